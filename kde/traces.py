"""Labelled and scored traces: ProcessBench's format in, class samples out."""

import hashlib
import json
from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import Field, model_validator

from kde.errors import InputError
from kde.jsonl import Record
from kde.samples import ClassSamples, StepClass


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
    tokens: list[Annotated[int, Field(ge=1)]] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> "LabelledTrace":
        if self.label >= len(self.steps):
            raise ValueError(f"label {self.label} is beyond the {len(self.steps)} steps")
        if self.tokens is not None and len(self.tokens) != len(self.steps):
            raise ValueError(f"{len(self.tokens)} token counts for {len(self.steps)} steps")
        return self

    @property
    def text_sha256(self) -> str:
        """Hex SHA-256 of the problem and the steps: what scores of this trace belong to."""
        return hashlib.sha256(json.dumps([self.problem, *self.steps]).encode()).hexdigest()

    def class_at(self, index: int) -> StepClass:
        """Class of the trace when the step at 0-based `index` is the newest."""
        if self.label == -1 or index < self.label:
            return StepClass.CORRECT
        return StepClass.RECOVERABLE if index == self.label else StepClass.DERAILED


class ScoredTrace(Record):
    """PRM scores of a trace's steps, in order; they may stop before the trace does.

    Attributes:
        text_sha256: `LabelledTrace.text_sha256` of what was scored, where the scorer wrote it down.
    """

    prm: str
    scores: list[float] = Field(min_length=1)
    text_sha256: str | None = None

    @model_validator(mode="after")
    def _in_range(self) -> "ScoredTrace":
        for index, score in enumerate(self.scores):
            if not 0 <= score <= 1:
                raise ValueError(f"scores[{index}] is {score}, scores are numbers in [0, 1]")
        return self


def class_samples(labels: Sequence[LabelledTrace], scores: Sequence[ScoredTrace], *, source: str) -> ClassSamples:
    """One sample [m, r] for every scored prefix of every labelled trace.

    Raises:
        InputError: a labelled trace has no scores, more scores than steps or those of another text, or scores belong to no trace.
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
                remedy=f"it has {len(trace.steps)} steps: give scores from the first on, one a step",
            )
        if scored.text_sha256 not in {None, trace.text_sha256}:
            raise InputError(
                source,
                field=f"scores of {trace.id}",
                value=scored.text_sha256,
                remedy="another text was scored: score again",
            )
        least = 1.0
        for index, score in enumerate(scored.scores):
            features[trace.class_at(index)].append((least, score))
            least = min(least, score)
    arrays = {c.key: np.array(features[c], dtype=np.float64).reshape(-1, 2) for c in StepClass}
    return ClassSamples.validated(arrays, source=source)
