"""A step of a solution, and the one rule for where steps end."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from inference.grading import boxed_answer

SEPARATOR = "\n\n"
"""Ends a step."""


class Author(StrEnum):
    """Who wrote a step."""

    WEAK = "weak"
    STRONG = "strong"


class Stop(StrEnum):
    """Why a step ended."""

    SEPARATOR = "separator"
    """The blank line."""
    END = "end"
    """The model ended its answer."""
    LENGTH = "length"
    """The token limit of a step."""
    DEGENERATE = "degenerate"
    """Nothing but white space and punctuation came, again and again."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step as an engine wrote it.

    The token ids are the truth of a prefix wherever the next engine has the same vocabulary, so that going on never tokenises
    differently; elsewhere the text is.

    Attributes:
        text: the step without its separator or end mark.
        token_ids: everything that was decoded, separator and end mark included.
        vocabulary: fingerprint of the tokenizer that the ids belong to (see `PROBE`); empty where the engine gives no ids.
        stop: why it ended.
        counted: tokens that were decoded, where the engine gives no ids.
    """

    text: str
    token_ids: tuple[int, ...]
    vocabulary: str
    stop: Stop
    counted: int = 0

    @property
    def tokens(self) -> int:
        """Tokens that were decoded for it."""
        return len(self.token_ids) or self.counted

    @property
    def separator(self) -> str:
        """What stands between this step and the next."""
        return separator_after(self.stop)

    @property
    def ends_answer(self) -> bool:
        """Whether nothing comes after it: the model stopped, ran into nothing but degenerate text, or the answer is boxed."""
        return self.stop in {Stop.END, Stop.DEGENERATE} or boxed_answer(self.text) is not None


PROBE = "Answer: 1,234.5 = \\frac{x}{7}\n\nSo \u2211 \u2260 \u6570 thus\tit'S 'done'\n \n\nEND"
"""Two tokenizers that give the same ids for this text are taken to be the same."""


class Written(Protocol):
    """A step that stands in a solution, as an engine wrote it or as a record keeps it."""

    @property
    def text(self) -> str:
        """The step without its separator or end mark."""

    @property
    def stop(self) -> Stop:
        """Why it ended."""


def solution_text(steps: Sequence[Written]) -> str:
    """A whole solution as it was written: a step that the token limit cut is followed by no separator."""
    return "".join(step.text + separator_after(step.stop) for step in steps[:-1]) + (steps[-1].text if steps else "")


def separator_after(stop: Stop) -> str:
    """What stands between a step that ended so and the next."""
    return SEPARATOR if stop is Stop.SEPARATOR else ""


def is_degenerate(text: str) -> bool:
    """Whether a text says nothing: no letter and no digit in it."""
    return not any(map(str.isalnum, text))
