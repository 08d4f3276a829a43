"""Cost curves: what a family of policies pays for what it gains (DESIGN section 7).

A sweep is one point a policy: c, its strong tokens as a share of M_s alone, and PGR, the share of the accuracy gap that it recovers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from kde.errors import InputError
from kde.samples import Array

REGIONS = 100
ROUNDING = 1e-9
"""A PGR of 0.5 that is computed as 0.49999999999999994 reaches 0.5, and a budget of 0.2 pays a cost of 0.20000000000000004."""


@dataclass(frozen=True, slots=True)
class CostCurve:
    """The monotone envelope of a sweep: at each cost the best PGR so far, linear between the sweep's points.

    Attributes:
        c: [n_points] ascending from 0.
        pgr: [n_points] ascending from 0 (M_w alone).
    """

    c: Array
    pgr: Array

    @classmethod
    def of(cls, c: Sequence[float], pgr: Sequence[float]) -> Self:
        """The envelope of a sweep's points, in any order; M_w alone, (0, 0), is its first point.

        Raises:
            InputError: the two differ in length, a cost is negative, or something is not a number.
        """
        costs, gains = np.array(c, dtype=np.float64), np.array(pgr, dtype=np.float64)
        if len(costs) != len(gains) or not (costs >= 0).all() or not np.isfinite([*costs, *gains]).all():
            points = list(zip(c, pgr, strict=False))
            raise InputError("cost curve", field="points", value=points, remedy="pairs of c >= 0 and PGR")
        order = np.lexsort((-gains, costs))
        return cls(np.r_[0.0, costs[order]], np.maximum.accumulate(np.r_[0.0, gains[order]]))

    def cpt(self, target: float) -> float:
        """CPT(target): the least c at which PGR reaches `target`; infinite where the sweep does not."""
        return float(self.least_costs(np.array([target]))[0])

    def pgr_within(self, c: float) -> float:
        """The PGR that a budget of c buys; past the sweep's last point, what that one has."""
        bought = self.pgr[np.searchsorted(self.c, c + ROUNDING, side="right") - 1]
        return float(max(np.interp(c, self.c, self.pgr), bought))

    def delta_ibc(self) -> float:
        """IBC / IBC_base - 1, averaged over 100 equal performance regions between M_w and M_s; the base is M_s alone.

        IBC, the accuracy gained a strong token, relative to that of M_s alone is PGR / c. A region is represented by its middle; regions
        that the sweep does not reach are reached as the base does, by M_s alone (c = 1 at PGR 1). Infinite where a region costs nothing.
        """
        middles = (np.arange(REGIONS) + 0.5) / REGIONS
        curve = CostCurve.of([*self.c, 1.0], [*self.pgr, 1.0])
        with np.errstate(divide="ignore"):
            return float((middles / curve.least_costs(middles) - 1).mean())

    def least_costs(self, targets: Array) -> Array:
        """[n] CPT of [n] targets."""
        after = np.searchsorted(self.pgr, targets - ROUNDING, side="left")
        reached = np.clip(after, 1, len(self.pgr) - 1) if len(self.pgr) > 1 else np.zeros_like(after)
        before = np.maximum(reached - 1, 0)
        rise = self.pgr[reached] - self.pgr[before]
        share = np.divide(targets - self.pgr[before], rise, out=np.zeros_like(targets), where=rise > 0).clip(max=1)
        costs = self.c[before] + share * (self.c[reached] - self.c[before])
        return np.select([targets <= 0, after < len(self.pgr)], [0.0, costs], np.inf)
