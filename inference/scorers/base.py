"""What every scorer is."""

from collections.abc import Sequence
from typing import Protocol

STEP_TAG = "<extra_0>"
"""Qwen2.5-Math-PRM's convention: this token follows every step, and the score is read there."""


class Scorer(Protocol):
    """A process reward model."""

    async def score(self, problem: str, steps: Sequence[str]) -> tuple[float, ...]:
        """Scores r_1..r_t in [0, 1] of the steps of a partial solution; all of them, every time.

        Raises:
            EngineError: the model cannot take the solution, or did not answer.
        """

    async def close(self) -> None:
        """Release the model or the connection."""
