"""A sweep: one family of policies at several settings, and what it costs for what it gains (DESIGN section 7)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from planner.curves import CostCurve

TARGETS = (0.5, 0.8, 0.95)
"""Shares of the accuracy gap whose cost CPT names."""
BUDGETS = (0.10, 0.15, 0.20, 0.25, 0.30)
"""Shares c of M_s's own tokens at which budgeted accuracy is read."""


@dataclass(frozen=True, slots=True)
class Ends:
    """The two models alone: what every sweep is measured against.

    Attributes:
        weak_accuracy: r_w.
        strong_accuracy: r_s.
        strong_tokens: C(M_s), mean tokens a problem of M_s alone.
    """

    weak_accuracy: float
    strong_accuracy: float
    strong_tokens: float


@dataclass(frozen=True, slots=True)
class Point:
    """One setting of a sweep: its accuracy and mean strong tokens a problem."""

    setting: float
    accuracy: float
    strong_tokens: float


@dataclass(frozen=True)
class Sweep:
    """One family of policies.

    Attributes:
        family: its name, such as `TRIM-Thr`.
        parameter: what is swept, such as `threshold`.
        points: one a setting.
        ends: the two models alone.
    """

    family: str
    parameter: str
    points: Sequence[Point]
    ends: Ends

    @cached_property
    def curve(self) -> CostCurve:
        """The monotone envelope over c and PGR."""
        gap = self.ends.strong_accuracy - self.ends.weak_accuracy
        return CostCurve.of(
            [point.strong_tokens / self.ends.strong_tokens for point in self.points],
            [(point.accuracy - self.ends.weak_accuracy) / gap for point in self.points],
        )

    def accuracy_within(self, c: float) -> float:
        """Budgeted accuracy: the best that c times the tokens of M_s alone buy."""
        gap = self.ends.strong_accuracy - self.ends.weak_accuracy
        return self.ends.weak_accuracy + gap * self.curve.pgr_within(c)

    def cpt_tokens(self, target: float) -> float | None:
        """CPT in strong tokens a problem; None where the sweep does not get there."""
        c = self.curve.cpt(target)
        return c * self.ends.strong_tokens if math.isfinite(c) else None

    def document(self) -> dict[str, Any]:
        """The sweep's metrics as JSON values."""
        return {
            "family": self.family,
            "parameter": self.parameter,
            "points": len(self.points),
            "cpt": {
                f"{target:.0%}": {"strong_tokens": tokens, "c": tokens and tokens / self.ends.strong_tokens}
                for target in TARGETS
                for tokens in [self.cpt_tokens(target)]
            },
            "delta_ibc": self.curve.delta_ibc(),
            "budgeted_accuracy": {f"{c:.0%}": self.accuracy_within(c) for c in BUDGETS},
        }
