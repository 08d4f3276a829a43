"""Published step counts: where the traces of generators first fall below the PRM threshold, and what follows from that."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from kde.artefact import replace_file
from kde.errors import InputError
from kde.hazard import kaplan_meier, smoothed_hazard
from kde.quality import Estimate
from kde.samples import Array
from kde.step_accuracy import share_of_right_steps


class StepCounts(BaseModel):
    """What is known of the traces of one generator.

    Attributes:
        correct_steps: number of steps of every trace that never falls below the threshold.
        incorrect_steps: 1-based index of the first low step of every trace that does; its end is not known.
        accuracy: what the publisher computed, if it is there.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    correct_steps: list[int] = Field(min_length=1)
    incorrect_steps: list[int]
    accuracy: float | None = None


@dataclass(frozen=True, slots=True)
class GeneratorEstimate:
    """Step accuracy and hazard of one generator.

    Attributes:
        accuracy: right steps / (right steps + first errors).
        traces: how many there are.
        longer: how many of them go beyond the step limit, and are taken to be stopped there.
        smoothed: hazard of the complete traces by the authors' scheme, [T].
        kaplan_meier: hazard of all traces, those with a low step lost sight of at it, [T].
    """

    accuracy: Estimate
    traces: int
    longer: int
    smoothed: Array
    kaplan_meier: Array


def read_step_counts(path: Path) -> dict[str, StepCounts]:
    """Read {generator: step counts} of a JSON file.

    Raises:
        InputError: it cannot be read, a field is missing, unknown or not as it should be, or a count is below 1.
    """
    try:
        found = TypeAdapter(dict[str, StepCounts]).validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(path, field="file", value=error.strerror, remedy="name a JSON file of step counts") from error
    except ValidationError as error:
        raise InputError.of_validation(path, error) from error
    if not found:
        raise InputError(path, field="generators", value={}, remedy="name at least one with its step counts")
    for name, counts in found.items():
        least = min(counts.correct_steps + counts.incorrect_steps)
        if least < 1:
            raise InputError(path, field=f"{name}: steps", value=least, remedy="steps are counted from 1")
    return found


def estimate_generators(
    counts: Mapping[str, StepCounts], rng: np.random.Generator, *, max_steps: int
) -> dict[str, GeneratorEstimate]:
    """Step accuracy and hazard of every generator."""
    return {name: _estimate(one, rng, max_steps) for name, one in counts.items()}


def save_hazards(path: Path, estimates: Mapping[str, GeneratorEstimate]) -> None:
    """Write {generator: Kaplan-Meier hazard} as JSON, as `trim tables build --hazard FILE:GENERATOR` reads it."""
    hazards = {name: one.kaplan_meier.tolist() for name, one in estimates.items()}
    replace_file(path, (json.dumps(hazards, indent=2) + "\n").encode())


def _estimate(counts: StepCounts, rng: np.random.Generator, max_steps: int) -> GeneratorEstimate:
    complete, lost = np.array(counts.correct_steps), np.array(counts.incorrect_steps, dtype=np.int64)
    right = np.concatenate([complete, lost - 1])
    wrong = np.repeat([0, 1], [len(complete), len(lost)])
    return GeneratorEstimate(
        accuracy=share_of_right_steps(right, wrong, np.arange(len(right)), rng, pseudo_count=0),
        traces=len(right),
        longer=int((complete > max_steps).sum() + (lost > max_steps).sum()),
        smoothed=smoothed_hazard(complete, max_steps=max_steps),
        kaplan_meier=kaplan_meier(
            np.minimum(complete, max_steps), max_steps=max_steps, censored=np.minimum(lost, max_steps)
        ),
    )
