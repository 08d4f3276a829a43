"""Dynamics of a pair of generators: step accuracies, hazard and token model (DESIGN section 3)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from kde.artefact import replace_file
from kde.errors import InputError
from kde.hazard import estimate_hazard
from kde.samples import Array
from kde.traces import LabelledTrace

_SUM_TOLERANCE = 1e-6


class TokenModel(BaseModel):
    """Lengths of M_w's steps, and of M_s's step in their place.

    Attributes:
        counts: token counts of M_w's steps (bin centres), ascending.
        weights: probability of each bin; they sum to 1.
        strong_intercept, strong_slope: E[strong tokens | weak tokens c] = intercept + slope * c.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    counts: tuple[float, ...] = Field(min_length=1)
    weights: tuple[float, ...] = Field(min_length=1)
    strong_intercept: float = Field(default=0.0, ge=0)
    strong_slope: float = Field(default=1.0, ge=0)

    @model_validator(mode="after")
    def _is_distribution(self) -> "TokenModel":
        if len(self.counts) != len(self.weights):
            raise ValueError(f"{len(self.counts)} counts with {len(self.weights)} weights")
        if min(self.counts) < 1 or min(self.weights) < 0 or abs(sum(self.weights) - 1) > _SUM_TOLERANCE:
            raise ValueError("counts are at least 1, weights are not negative and sum to 1")
        return self

    def expected_strong(self, weak_tokens: float) -> float:
        """Expected tokens of M_s's step where M_w's proposal has `weak_tokens`."""
        return self.strong_intercept + self.strong_slope * weak_tokens


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


def step_accuracy(traces: Sequence[LabelledTrace]) -> float:
    """Probability that a step is right given a right prefix: right steps / (right steps + first errors).

    Add-one smoothed, so that a flawless sample does not claim certainty.
    """
    errors = sum(trace.label != -1 for trace in traces)
    right = sum(len(trace.steps) if trace.label == -1 else trace.label for trace in traces)
    return (right + 1) / (right + errors + 2)


def fit_tokens(weak: Sequence[LabelledTrace], strong: Sequence[LabelledTrace], *, bins: int) -> TokenModel:
    """Quantile bins of M_w's step lengths, and a least-squares line to M_s's step at the same place of the same problem.

    Raises:
        InputError: a trace has no token counts, or the two sets share no problem.
    """
    lengths = np.sort(np.array([count for trace in weak for count in _tokens(trace)], dtype=np.float64))
    groups = [group for group in np.array_split(lengths, bins) if len(group)]
    counts, inverse = np.unique([group.mean() for group in groups], return_inverse=True)
    weights = np.bincount(inverse, weights=[len(group) for group in groups]) / len(lengths)
    strong_by_problem = {trace.problem: _tokens(trace) for trace in strong}
    pairs = [
        pair for trace in weak for pair in zip(_tokens(trace), strong_by_problem.get(trace.problem, ()), strict=False)
    ]
    if not pairs:
        raise InputError(
            "token model", field="problems", value=0, remedy="the weak and the strong traces must share problems"
        )
    x, y = np.array(pairs, dtype=np.float64).T
    intercept, slope = _non_negative_line(x, y)
    return TokenModel(counts=tuple(counts), weights=tuple(weights), strong_intercept=intercept, strong_slope=slope)


def _non_negative_line(x: Array, y: Array) -> tuple[float, float]:
    """Least-squares intercept and slope, both at least 0; where the free line has a negative one, the best line without it."""
    slope = float(np.cov(x, y)[0, 1] / np.var(x, ddof=1)) if np.ptp(x) > 0 else 0.0
    if slope <= 0:
        return float(y.mean()), 0.0
    intercept = float(y.mean() - slope * x.mean())
    return (intercept, slope) if intercept >= 0 else (0.0, float(x @ y / (x @ x)))


def estimate_dynamics(
    weak: Sequence[LabelledTrace], strong: Sequence[LabelledTrace], *, max_steps: int = 30, token_bins: int = 5
) -> Dynamics:
    """All of the dynamics from labelled traces of M_w alone and M_s alone on the same problems."""
    return Dynamics(
        p_weak=step_accuracy(weak),
        p_strong=step_accuracy(strong),
        hazard=tuple(estimate_hazard([len(trace.steps) for trace in weak], max_steps=max_steps)),
        tokens=fit_tokens(weak, strong, bins=token_bins),
    )


def _tokens(trace: LabelledTrace) -> list[int]:
    if trace.tokens is None:
        raise InputError(f"trace {trace.id}", field="tokens", value=None, remedy="give the token count of every step")
    return trace.tokens
