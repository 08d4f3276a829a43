"""Why an episode ends: one rule over what is written, for whoever wrote it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from inference.grading import boxed_answer
from inference.step import Stop, Written


class Ending(StrEnum):
    """Why nothing comes after the last step."""

    ANSWER = "answer"
    """It holds a boxed answer."""
    END = "end"
    """The model ended its answer without a box."""
    DEGENERATE = "degenerate"
    """The model wrote separators and nothing to separate."""
    REPEATED = "repeated"
    """The same step came again and again."""
    STEP_LIMIT = "step_limit"
    """It is the last that the limit allows."""
    CONTEXT = "context"
    """A model has no room for what is written."""
    DEADLINE = "deadline"
    """Its time is up; what was being asked is not on record."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long an episode may go on.

    Attributes:
        max_steps: T, the step limit.
        max_repeats: how many steps in a row may equal the one before them; the last of them ends the episode.
        deadline_seconds: wall time of an episode; None for as long as it takes.
    """

    max_steps: int = 30
    max_repeats: int = 3
    deadline_seconds: float | None = None


def ending_of(steps: Sequence[Written], limits: Limits) -> Ending | None:
    """Why an episode ends behind these steps; None while it goes on.

    A full context and a deadline do not show in what is written.
    """
    if not steps:
        return None
    last = steps[-1]
    if boxed_answer(last.text) is not None:
        return Ending.ANSWER
    if last.stop is Stop.END:
        return Ending.END
    if last.stop is Stop.DEGENERATE:
        return Ending.DEGENERATE
    same = steps[-limits.max_repeats - 1 :]
    if len(same) > limits.max_repeats and all(step.text == last.text for step in same):
        return Ending.REPEATED
    return Ending.STEP_LIMIT if len(steps) >= limits.max_steps else None
