"""The routing POMDP (DESIGN sections 2 and 3): one validated, frozen description."""

from dataclasses import dataclass

import numpy as np

from kde.dynamics import Dynamics
from kde.errors import InputError
from kde.hazard import check_hazard
from kde.samples import Array
from kde.tokens import TokenModel

_SUM_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingPOMDP:
    """Stepwise routing of one trace, `two_stage` dynamics.

    Attributes:
        cells: [3, n_m, n_r] observation probabilities by class, each class summing to 1.
        p_weak: p_w, probability that M_w's step is right given a right prefix, in (0, 1).
        p_strong: p_s, the same for M_s.
        hazard: [T], entry t - 1 is h_t, the probability that step t ends the answer; the last is 1.
        tokens: lengths of M_w's proposals (bins with weights), and what M_s's step in their place is expected to cost.

    Raises:
        InputError: a field has the wrong shape or is out of range.
    """

    cells: Array
    p_weak: float
    p_strong: float
    hazard: Array
    tokens: TokenModel

    def __post_init__(self) -> None:
        for name in ("p_weak", "p_strong"):
            value = getattr(self, name)
            if not 0 < value < 1:
                raise InputError("POMDP", field=name, value=value, remedy="a probability strictly between 0 and 1")
        check_hazard(self.hazard, source="POMDP")
        if self.cells.ndim != 3 or len(self.cells) != 3 or not (self.cells >= 0).all():
            raise InputError("POMDP", field="cells", value=self.cells.shape, remedy="[3, n_m, n_r] probabilities")
        sums = self.cells.sum(axis=(1, 2))
        if (abs(sums - 1) > _SUM_TOLERANCE).any():
            raise InputError("POMDP", field="cells", value=sums.tolist(), remedy="the cells of each class sum to 1")

    @classmethod
    def assemble(cls, cells: Array, dynamics: Dynamics) -> "RoutingPOMDP":
        """From an observation model's cells and the dynamics of a pair of generators."""
        hazard = np.array(dynamics.hazard)
        return cls(
            cells=cells, p_weak=dynamics.p_weak, p_strong=dynamics.p_strong, hazard=hazard, tokens=dynamics.tokens
        )

    @property
    def max_steps(self) -> int:
        """T, the step limit."""
        return len(self.hazard)


def prefix_after_continue(belief: Array) -> Array:
    """Value of q after `continue`: the prefix is right iff the trace is in S0. Belief [..., 3] to [...]."""
    return belief[..., 0]


def prefix_after_regenerate(belief: Array, p_strong: float) -> Array:
    """Value of q after `regenerate`: M_s repairs a right or a recoverable trace with p_s. Belief [..., 3] to [...]."""
    return np.asarray(p_strong * (belief[..., 0] + belief[..., 2]), dtype=np.float64)
