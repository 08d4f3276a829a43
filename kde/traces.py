"""Labelled and scored traces: ProcessBench's format in, class samples out."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from kde.errors import InputError
from kde.samples import ClassSamples, StepClass

Record = TypeVar("Record", "LabelledTrace", "ScoredTrace")


class LabelledTrace(BaseModel):
    """One solution with the place of its first error: a ProcessBench record.

    Attributes:
        label: 0-based index of the first wrong step, -1 when every step is right.
        tokens: tokens of each step, where the generator's tokenizer counted them.
    """

    model_config = ConfigDict(frozen=True, strict=True)

    id: str
    generator: str
    problem: str
    steps: list[str] = Field(min_length=1)
    final_answer_correct: bool
    label: int = Field(ge=-1)
    tokens: list[int] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> "LabelledTrace":
        if self.label >= len(self.steps):
            raise ValueError(f"label {self.label} is beyond the {len(self.steps)} steps")
        if self.tokens is not None and len(self.tokens) != len(self.steps):
            raise ValueError(f"{len(self.tokens)} token counts for {len(self.steps)} steps")
        return self

    def class_at(self, index: int) -> StepClass:
        """Class of the trace when the step at 0-based `index` is the newest."""
        if self.label == -1 or index < self.label:
            return StepClass.CORRECT
        return StepClass.RECOVERABLE if index == self.label else StepClass.DERAILED


class ScoredTrace(BaseModel):
    """PRM scores of a trace's steps, in order; they may stop before the trace does."""

    model_config = ConfigDict(frozen=True, strict=True)

    id: str
    prm: str
    scores: list[float] = Field(min_length=1)

    @model_validator(mode="after")
    def _in_range(self) -> "ScoredTrace":
        for index, score in enumerate(self.scores):
            if not 0 <= score <= 1:
                raise ValueError(f"scores[{index}] is {score}, scores are numbers in [0, 1]")
        return self


def read_traces(path: Path, record: type[Record]) -> list[Record]:
    """Read JSONL records of one type.

    Raises:
        InputError: naming the line: not JSON, not a valid record, a repeated id, or an empty file.
    """
    records: list[Record] = []
    lines: dict[str, int] = {}
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(path, field="file", value=str(error), remedy="name a readable JSONL file") from error
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            parsed = record.model_validate_json(line)
        except ValidationError as error:
            raise InputError.of_validation(path, error, prefix=f"line {number}") from error
        if parsed.id in lines:
            raise InputError(
                path,
                field=f"line {number}, id",
                value=parsed.id,
                remedy=f"line {lines[parsed.id]} has it already: ids are unique",
            )
        lines[parsed.id] = number
        records.append(parsed)
    if not records:
        raise InputError(path, field="file", value="", remedy="it has no records")
    return records


def class_samples(labels: Sequence[LabelledTrace], scores: Sequence[ScoredTrace], *, source: str) -> ClassSamples:
    """One sample [m, r] for every scored prefix of every labelled trace.

    Raises:
        InputError: a labelled trace has no scores or more scores than steps, or scores belong to no labelled trace.
    """
    by_id = {scored.id: scored for scored in scores}
    unknown = by_id.keys() - {trace.id for trace in labels}
    if unknown:
        raise InputError(source, field="id", value=min(unknown), remedy="these scores belong to no labelled trace")
    features: dict[StepClass, list[tuple[float, float]]] = {c: [] for c in StepClass}
    for trace in labels:
        scored = by_id.get(trace.id)
        if scored is None or len(scored.scores) > len(trace.steps):
            found = None if scored is None else len(scored.scores)
            raise InputError(
                source,
                field=f"scores of {trace.id}",
                value=found,
                remedy=f"its {len(trace.steps)} steps need one score each",
            )
        least = 1.0
        for index, score in enumerate(scored.scores):
            features[trace.class_at(index)].append((least, score))
            least = min(least, score)
    arrays = {c.key: np.array(features[c], dtype=np.float64).reshape(-1, 2) for c in StepClass}
    return ClassSamples.validated(arrays, source=source)
