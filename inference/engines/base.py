"""What every engine is."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from inference.conversation import Conversation
from inference.step import Step
from kde.errors import TrimError


class Engine(Protocol):
    """A language model that writes one step at a time."""

    async def propose(self, question: Conversation, steps: Sequence[Step], *, seed: int) -> Step:
        """Write the step that follows `steps`; the same seed gives the same step.

        Raises:
            ContextFullError: the prefix leaves no room for a step.
            EngineError: the model did not answer.
        """

    async def prefill(self, question: Conversation, steps: Sequence[Step]) -> None:
        """Warm the KV cache of a prefix, so that a step proposed behind it starts at once; nothing without such a cache.

        Raises:
            ContextFullError: the prefix leaves no room for a step.
            EngineError: the model did not answer.
        """

    async def close(self) -> None:
        """Release the model or the connection."""


class Grader(Protocol):
    """A language model that is asked for its first token only."""

    async def first_token(self, question: Conversation) -> Mapping[str, float]:
        """Log-probabilities of the `TOP_TOKENS` likeliest first tokens of an answer, by their text.

        Raises:
            ContextFullError: the conversation leaves no room in the model's context.
            EngineError: the model did not answer.
        """


TOP_TOKENS = 20
"""The most log-probabilities that a vLLM server gives unless it is told otherwise."""


@dataclass(slots=True)
class Usage:
    """What an engine was asked so far.

    Attributes:
        calls, prompt_tokens, cached_tokens, decoded_tokens: of steps and grades; `cached_tokens` are those of the prompts that were
            in the KV cache.
        prefills, prefilled_tokens, prefill_decoded_tokens: of prefilling, which is no part of any step: tokens that were encoded, and
            those that had to be decoded and thrown away for it.
    """

    calls: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    decoded_tokens: int = 0
    prefills: int = 0
    prefilled_tokens: int = 0
    prefill_decoded_tokens: int = 0

    def add_call(self, *, prompt: int, cached: int, decoded: int) -> None:
        """Count one call for a step or a grade."""
        self.calls += 1
        self.prompt_tokens += prompt
        self.cached_tokens += cached
        self.decoded_tokens += decoded

    def add_prefill(self, *, prompt: int, cached: int, decoded: int) -> None:
        """Count one prefill."""
        self.prefills += 1
        self.prefilled_tokens += prompt - cached
        self.prefill_decoded_tokens += decoded


class EngineError(TrimError):
    """An engine or a scorer cannot answer."""


class ContextFullError(EngineError):
    """A prefix leaves no room in the model's context: an episode ends here, the run does not."""

    @classmethod
    def of(cls, model: str, *, tokens: int, context: int) -> Self:
        """The error of a prefix of so many tokens for a model that takes `context` tokens."""
        return cls(
            f"{model}: {tokens} tokens do not fit the model's context of {context}; use one with a longer context"
        )


def vocabulary_of(probe_ids: Sequence[int]) -> str:
    """Fingerprint of a tokenizer from its ids of `inference.step.PROBE`."""
    return hashlib.sha256(json.dumps(list(probe_ids)).encode()).hexdigest()[:16]
