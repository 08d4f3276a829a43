"""What every engine is, and the settings they share."""

import hashlib
import json
from collections.abc import Sequence
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field

from inference.step import Step
from kde.errors import TrimError


class Sampling(BaseModel):
    """How steps are sampled.

    Attributes:
        temperature: 0 decodes greedily.
        max_step_tokens: token limit of one step.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: float = Field(default=0.7, ge=0)
    max_step_tokens: int = Field(default=512, ge=1)


class Engine(Protocol):
    """A language model that writes one step at a time."""

    async def propose(self, problem: str, steps: Sequence[Step], *, seed: int) -> Step:
        """Write the step that follows `steps`; the same seed gives the same step.

        Raises:
            EngineError: the model cannot take the prefix, or did not answer.
        """

    async def close(self) -> None:
        """Release the model or the connection."""


class EngineError(TrimError):
    """An engine or a scorer cannot answer."""


class ContextFullError(EngineError):
    """The prefix leaves no room in a model's context: the episode ends, the run goes on."""


def vocabulary_of(probe_ids: Sequence[int]) -> str:
    """Fingerprint of a tokenizer from its ids of `inference.step.PROBE`."""
    return hashlib.sha256(json.dumps(list(probe_ids)).encode()).hexdigest()[:16]
