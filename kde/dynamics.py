"""Dynamics of a pair of generators: step accuracies, hazard and token model (DESIGN section 3)."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kde.artefact import replace_file
from kde.errors import InputError
from kde.hazard import kaplan_meier, smoothed_hazard
from kde.step_accuracy import labelled_accuracy
from kde.tokens import TokenModel, Trace, fit_tokens
from kde.traces import LabelledTrace


class Dynamics(BaseModel):
    """What the planner must know of M_w and M_s; saved as one reviewable JSON file.

    Attributes:
        p_weak, p_strong: probability that a step by M_w / M_s is right, given a right prefix.
        hazard: entry t - 1 is h_t, the probability that step t ends the answer.
        tokens: step lengths.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    p_weak: float = Field(gt=0, lt=1)
    p_strong: float = Field(gt=0, lt=1)
    hazard: tuple[float, ...] = Field(min_length=1)
    tokens: TokenModel

    def save(self, path: Path) -> None:
        """Write the JSON file, atomically."""
        replace_file(path, (self.model_dump_json(indent=2) + "\n").encode())

    @classmethod
    def load(cls, path: Path) -> "Dynamics":
        """Read the JSON file.

        Raises:
            InputError: it cannot be read, a field is missing, unknown or out of range.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise InputError(
                path, field="file", value=error.strerror, remedy="write it with `trim kde dynamics`"
            ) from error
        except ValidationError as error:
            raise InputError.of_validation(path, error) from error


class HazardMethod(StrEnum):
    """How the hazard is estimated."""

    KAPLAN_MEIER = "kaplan-meier"
    SMOOTHED = "smoothed"
    """As the paper's authors do (`kde.hazard.smoothed_hazard`)."""


def estimate_dynamics(
    weak: Sequence[Trace],
    strong: Sequence[Trace],
    *,
    p_weak: float,
    p_strong: float,
    hazard: HazardMethod = HazardMethod.KAPLAN_MEIER,
    max_steps: int = 30,
    token_bins: int = 5,
) -> Dynamics:
    """Hazard and token model of traces of M_w alone and M_s alone on the same problems, with step accuracies known already.

    Raises:
        InputError: an answer is longer than `max_steps`, a trace has no token counts, or the two sets share no problem.
    """
    ends = [trace.length for trace in weak]
    match hazard:
        case HazardMethod.KAPLAN_MEIER:
            by_step = kaplan_meier(ends, max_steps=max_steps)
        case HazardMethod.SMOOTHED:
            by_step = smoothed_hazard(ends, max_steps=max_steps)
    tokens = fit_tokens(weak, strong, bins=token_bins)
    return Dynamics(p_weak=p_weak, p_strong=p_strong, hazard=tuple(by_step.tolist()), tokens=tokens)


def labelled_dynamics(
    weak: Sequence[LabelledTrace], strong: Sequence[LabelledTrace], *, max_steps: int = 30, token_bins: int = 5
) -> Dynamics:
    """All of the dynamics from labelled traces."""
    rng = np.random.default_rng(0)  # of intervals that nobody asks for here
    p_weak, p_strong = (labelled_accuracy(traces, rng).value for traces in (weak, strong))
    return estimate_dynamics(weak, strong, p_weak=p_weak, p_strong=p_strong, max_steps=max_steps, token_bins=token_bins)
