"""Prefixes as one model's token ids."""

from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Final, Protocol, TypeVar

from inference.conversation import Conversation
from inference.engines.base import vocabulary_of
from inference.step import PROBE, Step

_REMEMBERED: Final = 8192
"""Conversations, and pieces of text, whose ids are kept: the same ones come back at every step."""

Key = TypeVar("Key", bound=Hashable)
Ids = tuple[int, ...]


class Tokens(Protocol):
    """A model's tokenizer, here or behind its server."""

    async def question_ids(self, question: Conversation) -> Ids:
        """A conversation through the chat template, up to where the answer begins."""

    async def text_ids(self, text: str) -> Ids:
        """A piece of text, without special tokens around it."""


class Prompts:
    """What a tokenizer makes of conversations and steps; asked once for each."""

    def __init__(self, tokens: Tokens) -> None:
        self.question_ids = _remembering(tokens.question_ids)
        self.text_ids = _remembering(tokens.text_ids)

    async def vocabulary(self) -> str:
        """Fingerprint of the tokenizer."""
        return vocabulary_of(await self.text_ids(PROBE))

    async def prefix_ids(self, question: Conversation, steps: Sequence[Step]) -> list[int]:
        """A conversation and the steps of its answer: by their ids where those are of this tokenizer, else by their text."""
        vocabulary = await self.vocabulary()
        ids = list(await self.question_ids(question))
        for step in steps:
            ours = step.vocabulary == vocabulary
            ids += step.token_ids if ours else await self.text_ids(step.text + step.separator)
        return ids


def _remembering(ask: Callable[[Key], Awaitable[Ids]]) -> Callable[[Key], Awaitable[Ids]]:
    known: dict[Key, Ids] = {}

    async def answer(key: Key) -> Ids:
        if key not in known:
            if len(known) >= _REMEMBERED:
                del known[next(iter(known))]
            known[key] = await ask(key)
        return known[key]

    return answer
