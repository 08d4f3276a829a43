"""What every scorer is."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from inference.conversation import Conversation

STEP_TAG = "<extra_0>"
"""Qwen2.5-Math-PRM's convention: this token follows every step, and the score is read there."""


class Scores(NamedTuple):
    """Scores of a partial solution.

    Attributes:
        values: r_1..r_t in [0, 1], one a step.
        windows: pieces that the solution was scored in: 1, or more where it is longer than the model takes.
    """

    values: tuple[float, ...]
    windows: int = 1


class Scorer(Protocol):
    """Says how likely each step of a partial solution is right."""

    async def score(self, question: Conversation, steps: Sequence[str]) -> Scores:
        """Scores of all the steps, every time.

        Raises:
            ContextFullError: a step does not fit the model.
            EngineError: the model did not answer.
        """

    async def close(self) -> None:
        """Release the model or the connection."""
