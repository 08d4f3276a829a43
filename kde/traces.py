"""Traces: labelled step by step (ProcessBench's format), scored by a PRM, or known by their final answer."""

import hashlib
import json
import re
import unicodedata
from collections.abc import Hashable, Sequence
from typing import Annotated

from pydantic import AliasChoices, Field, model_validator

from kde.records import Entry, Record
from kde.samples import StepClass

Score = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Tokens = list[Annotated[int, Field(ge=1)]] | None
Windows = Annotated[int, Field(ge=1)] | None


class LabelledTrace(Record):
    """One solution with the place of its first error: a ProcessBench record.

    Attributes:
        label: 0-based index of the first wrong step, -1 when every step is right.
        tokens: tokens of each step, where the generator's tokenizer counted them.
    """

    generator: str
    problem: str
    steps: list[str] = Field(min_length=1)
    final_answer_correct: bool
    label: int = Field(ge=-1)
    tokens: Tokens = None

    @model_validator(mode="after")
    def _consistent(self) -> "LabelledTrace":
        if self.label >= len(self.steps):
            raise ValueError(f"label {self.label} is beyond the {len(self.steps)} steps")
        _check_tokens(self.tokens, len(self.steps))
        return self

    @property
    def length(self) -> int:
        """Number of steps."""
        return len(self.steps)

    @property
    def text_sha256(self) -> str:
        """`sha256_of_text` of this trace: what its scores belong to."""
        return sha256_of_text(self.problem, self.steps)

    def class_at(self, index: int) -> StepClass:
        """Class of the trace when the step at 0-based `index` is the newest."""
        if self.label == -1 or index < self.label:
            return StepClass.CORRECT
        return StepClass.RECOVERABLE if index == self.label else StepClass.DERAILED


class ScoredTrace(Record):
    """PRM scores of a trace's steps, in order; they may stop before the trace does.

    Attributes:
        prm: which PRM scored it, where the scorer wrote it down.
        windows: pieces that it was scored in, likewise; more than one where it is longer than the PRM takes.
        text_sha256: `LabelledTrace.text_sha256` of what was scored, likewise.
    """

    prm: str | None = None
    windows: Windows = None
    scores: list[Score] = Field(min_length=1)
    text_sha256: str | None = None

    @property
    def key(self) -> Hashable:
        """Id and PRM: several PRMs may score one trace in one file."""
        return (self.id, self.prm)


class AnsweredTrace(Entry):
    """A complete solution that is known by its final answer alone.

    Attributes:
        problem_id: what it solves; several candidates may solve one problem.
        final_answer_correct: whether its final answer is right; None where nobody knows.
        scores: PRM scores of every step.
        tokens: tokens of each step, where they were counted.
        prm: which PRM scored it, where the scorer wrote it down.
        windows: pieces that it was scored in, likewise; more than one where it is longer than the PRM takes.
        text_sha256: `sha256_of_text` of what was scored, likewise.
    """

    problem_id: str = Field(min_length=1)
    candidate: int = Field(default=0, ge=0)
    final_answer_correct: bool | None = None
    scores: list[Score] = Field(min_length=1)
    tokens: Tokens = None
    prm: str | None = None
    windows: Windows = None
    text_sha256: str | None = None

    @model_validator(mode="after")
    def _consistent(self) -> "AnsweredTrace":
        _check_tokens(self.tokens, len(self.scores))
        return self

    @property
    def length(self) -> int:
        """Number of steps."""
        return len(self.scores)

    @property
    def key(self) -> Hashable:
        """Problem and candidate."""
        return (self.problem_id, self.candidate)


class ProblemText(Entry):
    """The text of a problem, called `problem` or `question`; a file may have it twice."""

    text: str = Field(validation_alias=AliasChoices("problem", "question"))

    @property
    def key(self) -> Hashable:
        """Its own identity: repeats do no harm."""
        return id(self)


def exclude_problems(traces: Sequence[LabelledTrace], problems: Sequence[str]) -> list[LabelledTrace]:
    """The traces whose problem is not among `problems`, compared by `normalised_text`."""
    excluded = {normalised_text(problem) for problem in problems}
    return [trace for trace in traces if normalised_text(trace.problem) not in excluded]


def sha256_of_text(problem: str, steps: Sequence[str]) -> str:
    """Hex SHA-256 of a problem and the steps of a solution."""
    return hashlib.sha256(json.dumps([problem, *steps]).encode()).hexdigest()


def normalised_text(text: str) -> str:
    """The text with compatible characters unified (NFKC), in lower case, white space collapsed."""
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", text).casefold()).strip()


def _check_tokens(tokens: Tokens, steps: int) -> None:
    if tokens is not None and len(tokens) != steps:
        raise ValueError(f"{len(tokens)} token counts for {steps} steps")
