"""What every engine is."""

import hashlib
import json
from collections.abc import Sequence
from typing import Protocol

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


class EngineError(TrimError):
    """An engine or a scorer cannot answer."""


class ContextFullError(EngineError):
    """A prefix leaves no room in the model's context: an episode ends here, the run does not.

    Args:
        model: what is too small.
        tokens: of the prefix.
        context: of the model, in tokens.
    """

    def __init__(self, model: str, *, tokens: int, context: int) -> None:
        super().__init__(
            f"{model}: a prefix of {tokens} tokens fills the model's context of {context}; use one with a longer context"
        )


def vocabulary_of(probe_ids: Sequence[int]) -> str:
    """Fingerprint of a tokenizer from its ids of `inference.step.PROBE`."""
    return hashlib.sha256(json.dumps(list(probe_ids)).encode()).hexdigest()[:16]
