"""Scores for domains without a process reward model: a language model grades each step from 0 to 9 (the paper's GPQA set-up)."""

import math
from collections.abc import Mapping, Sequence
from typing import Final

from inference.conversation import Conversation, Message
from inference.engines.base import EngineError, Grader
from inference.scorers.base import Scores

_ASK: Final = (
    "Grade the last step of a partial solution.\n\nProblem:\n{problem}\n\nSteps before it:\n{before}\n\nLast step:\n{step}\n\n"
    "How sure are you that the last step is correct and helps to solve the problem? Answer with one digit from 0 (certainly wrong) to 9 "
    "(certainly right), and nothing else."
)
_REMEMBERED: Final = 65536


class SelfEvaluationScorer:
    """Grades by the expectation of the answer's first token over the digits, divided by 9.

    A step is graded once, when it is the last of a prefix, and keeps its grade: later steps do not change it. A prefix whose
    earlier steps were not graded yet has them graded one by one.
    """

    def __init__(self, grader: Grader) -> None:
        self._grader = grader
        self._grades: dict[tuple[Conversation, tuple[str, ...]], float] = {}

    async def score(self, question: Conversation, steps: Sequence[str]) -> Scores:
        """The grades of all steps.

        Raises:
            ContextFullError: the solution does not fit the model.
            EngineError: the model did not answer, or with no digit.
        """
        return Scores(tuple([await self._grade(question, tuple(steps[: end + 1])) for end in range(len(steps))]))

    async def close(self) -> None:
        """Nothing: the grader is one of the fleet's engines."""

    async def _grade(self, question: Conversation, steps: tuple[str, ...]) -> float:
        key = question, steps
        if key not in self._grades:
            if len(self._grades) >= _REMEMBERED:
                del self._grades[next(iter(self._grades))]
            self._grades[key] = expected_grade(await self._grader.first_token(_grading(question, steps)))
        return self._grades[key]


def expected_grade(first_token: Mapping[str, float]) -> float:
    """Expectation of the digit over 9, in [0, 1], from log-probabilities of first tokens; what is no digit does not count.

    Raises:
        EngineError: there is no digit.
    """
    digits: dict[int, float] = {}
    for token, logprob in first_token.items():
        text = token.strip()
        if len(text) == 1 and text in "0123456789":
            digits[int(text)] = digits.get(int(text), 0.0) + math.exp(logprob)
    total = sum(digits.values())
    if not total:
        raise EngineError(
            f"the grade has no digit among its first tokens {sorted(first_token)}; let another model grade"
        )
    return sum(digit * weight for digit, weight in digits.items()) / total / 9


def _grading(question: Conversation, steps: tuple[str, ...]) -> Conversation:
    problem = "\n\n".join(message.content for message in question if message.role != "system")
    before = "\n\n".join(steps[:-1]) or "(none)"
    return (Message("user", _ASK.format(problem=problem, before=before, step=steps[-1])),)
