"""What a process reward model is given, and solutions that are longer than its context.

As many steps as fit behind the question are scored in one window. Each step beyond them is scored in a window of its own: the
question, and as many of the steps before it as fit. A step that does not fit behind the question is an error.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from inference.conversation import Conversation
from inference.engines.base import ContextFullError, EngineError
from inference.engines.settings import PrmSettings
from inference.prompts import Prompts
from inference.scorers.base import STEP_TAG, Scores

Ids = Sequence[int]


class Window(NamedTuple):
    """A piece of a solution.

    Attributes:
        ids: the question and some steps, each with its tag.
        steps: how many.
        scored: how many of the last ones are scored here.
    """

    ids: list[int]
    steps: int
    scored: int


def windows(question: Ids, steps: Sequence[Ids], *, context: int, model: str) -> list[Window]:
    """The windows of a solution, in the order of the steps that they score; one if the whole fits.

    Raises:
        ContextFullError: a step does not fit behind the question.
    """
    room = context - len(question)
    for step in steps:
        if len(step) > room:
            raise ContextFullError.of(model, tokens=len(question) + len(step), context=context)
    together = 0
    while together < len(steps) and sum(map(len, steps[: together + 1])) <= room:
        together += 1
    found = [_window(question, steps[:together], together)]
    for last in range(together, len(steps)):
        first = last
        while sum(map(len, steps[first - 1 : last + 1])) <= room:
            first -= 1
        found.append(_window(question, steps[first : last + 1], 1))
    return found


class PrmInputs:
    """Scores through a function that gives the score at every step tag of some token ids.

    Args:
        prompts: the PRM's tokenizer.
        settings: of the PRM.
        ask: that function.
    """

    def __init__(
        self, prompts: Prompts, settings: PrmSettings, ask: Callable[[list[int]], Awaitable[Sequence[float]]]
    ) -> None:
        self._prompts, self._noise, self._ask = prompts, settings.noise, ask

    async def score(self, question: Conversation, steps: Sequence[str], *, context: int, model: str) -> Scores:
        """Scores of all steps, in as many windows as a context of so many tokens asks for.

        Raises:
            ContextFullError: a step does not fit behind the question.
            EngineError: the model failed, or did not score every step.
        """
        asked = [*await self._padding(), *await self._prompts.question_ids(question)]
        written = [await self._prompts.text_ids(step + STEP_TAG) for step in steps]
        pieces = windows(asked, written, context=context, model=model)
        values: list[float] = []
        for window in pieces:
            found = await self._ask(window.ids)
            if len(found) != window.steps:
                remedy = f"the PRM must score at {STEP_TAG} (STEP pooling with its step_tag_id), and no step may hold that tag"
                raise EngineError(f"{model}: {len(found)} scores for {window.steps} steps; {remedy}")
            values += found[len(found) - window.scored :]
        return Scores(tuple(values), windows=len(pieces))

    async def _padding(self) -> list[int]:
        if not self._noise.left_padding:
            return []
        ids = await self._prompts.text_ids(self._noise.padding_token)
        if len(ids) != 1:
            raise EngineError(
                f"noise.padding_token {self._noise.padding_token!r} is {len(ids)} tokens of the PRM; name one"
            )
        return [*ids] * self._noise.left_padding


def _window(question: Ids, steps: Sequence[Ids], scored: int) -> Window:
    return Window([*question, *(token for step in steps for token in step)], len(steps), scored)
