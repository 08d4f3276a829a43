"""Token model: how long M_w's steps are, and what M_s's step in their place is expected to cost."""

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from kde.errors import InputError
from kde.samples import Array
from kde.traces import AnsweredTrace, LabelledTrace, normalised_text

_SUM_TOLERANCE = 1e-6
_HUBER = 1.345
"""Residuals beyond this many robust standard deviations count linearly: 95 % efficiency on Gaussian noise."""

Trace = LabelledTrace | AnsweredTrace


class TokenModel(BaseModel):
    """Lengths of M_w's steps, and of M_s's step in their place.

    Attributes:
        counts: token counts of M_w's steps (bin means), ascending.
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


def fit_tokens(weak: Sequence[Trace], strong: Sequence[Trace], *, bins: int) -> TokenModel:
    """Quantile bins of M_w's step lengths, and a robust line to the steps of M_s at the same place of the same problem.

    Raises:
        InputError: a trace has no token counts, or the two sets share no problem.
    """
    lengths = np.sort(np.array([count for trace in weak for count in _tokens(trace)], dtype=np.float64))
    groups = [group for group in np.array_split(lengths, bins) if len(group)]
    counts, inverse = np.unique([group.mean() for group in groups], return_inverse=True)
    weights = np.bincount(inverse, weights=[len(group) for group in groups]) / len(lengths)
    strong_by_problem: dict[str, list[list[int]]] = {}
    for trace in strong:
        strong_by_problem.setdefault(_problem(trace), []).append(_tokens(trace))
    pairs = [
        pair
        for trace in weak
        for candidate in strong_by_problem.get(_problem(trace), ())
        for pair in zip(_tokens(trace), candidate, strict=False)
    ]
    if not pairs:
        raise InputError(
            "token model", field="problems", value=0, remedy="the weak and the strong traces must share problems"
        )
    intercept, slope = robust_line(*np.array(pairs, dtype=np.float64).T)
    return TokenModel(counts=tuple(counts), weights=tuple(weights), strong_intercept=intercept, strong_slope=slope)


def robust_line(x: Array, y: Array) -> tuple[float, float]:
    """Intercept and slope, both at least 0, of the line with the least Huber loss; without spread in x, the level alone."""
    from scipy.optimize import least_squares  # noqa: PLC0415  a planner that only reads tables does not wait for it

    if np.ptp(x) == 0:
        return float(np.median(y)), 0.0
    start = np.array([0.0, float(np.median(y) / np.median(x))])
    residuals = y - start[1] * x
    scale = float(np.median(abs(residuals - np.median(residuals)))) / 0.6745

    def residuals_of(line: Array) -> Array:
        return np.asarray(line[0] + line[1] * x - y, dtype=np.float64)

    found = least_squares(
        residuals_of,
        start,
        bounds=(0, np.inf),
        loss="huber",
        f_scale=_HUBER * max(scale, 1e-6 * float(np.median(y))),
        x_scale=np.array([float(np.median(y)), 1.0]),
    )
    return float(found.x[0]), float(found.x[1])


def _tokens(trace: Trace) -> list[int]:
    if trace.tokens is None:
        raise InputError(f"trace {trace.key}", field="tokens", value=None, remedy="give the token count of every step")
    return trace.tokens


def _problem(trace: Trace) -> str:
    return normalised_text(trace.problem) if isinstance(trace, LabelledTrace) else trace.problem_id
