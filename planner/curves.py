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


@dataclass(frozen=True, slots=True)
class CostCurve:
    """The monotone envelope of a sweep: the least c at which each PGR is reached, linear between its points.

    Attributes:
        c: [n_points] ascending from 0.
        pgr: [n_points] strictly ascending from 0 (M_w alone).
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
        costs, gains = costs[order], gains[order]
        better = gains > np.maximum.accumulate(np.r_[0.0, gains])[:-1]
        return cls(np.r_[0.0, costs[better]], np.r_[0.0, gains[better]])

    def cpt(self, target: float) -> float:
        """CPT(target): the least c at which PGR reaches `target`; infinite where the sweep does not."""
        return float(np.interp(target, self.pgr, self.c, right=np.inf))

    def delta_ibc(self) -> float:
        """IBC / IBC_base - 1, averaged over 100 equal performance regions between M_w and M_s; the base is M_s alone.

        IBC, the accuracy gained a strong token, relative to that of M_s alone is PGR / c. A region is represented by its middle; regions
        that the sweep does not reach are reached as the base does, by M_s alone (c = 1 at PGR 1). Infinite where a region costs nothing.
        """
        middles = (np.arange(REGIONS) + 0.5) / REGIONS
        curve = CostCurve.of([*self.c, 1.0], [*self.pgr, 1.0])
        with np.errstate(divide="ignore"):
            return float((middles / np.interp(middles, curve.pgr, curve.c) - 1).mean())
