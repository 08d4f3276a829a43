"""Exact solution of the routing POMDP by backward induction over one number (DESIGN section 4).

After a decision the future depends only on q, the probability that the accepted prefix is right. W_t(q), the value after acting at
a non-final step t, is convex, so on a grid of q
- linear interpolation of the backed-up values is an upper bound, and
- the alpha-vectors of the policy read off it, lines A q + B (1 - q), are a lower bound.
The grid is refined until the two agree at V_0 = W_0(1) to the requested gap.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kde.errors import InputError
from kde.filter import predict
from kde.samples import Array
from planner.pomdp import RoutingPOMDP, prefix_after_continue, prefix_after_regenerate

_COARSEST = 129
_FINEST = 8193
_GRID_STEP = 32


@dataclass(frozen=True, slots=True)
class Solution:
    """What solving for one lambda gives.

    Attributes:
        lam: lambda, the price of one strong token in units of reward.
        grid: [n_q] ascending values of q from 0 to 1.
        after_acting: [T, n_q], row t is W_t on the grid: value of acting optimally from step t + 1 on (row 0: before the first step).
        lower, upper: bounds on V_0 = W_0(1).
    """

    lam: float
    grid: Array
    after_acting: Array
    lower: float
    upper: float

    @property
    def value(self) -> float:
        """V_0 before the first proposal: the middle of the two bounds."""
        return (self.lower + self.upper) / 2

    @property
    def gap(self) -> float:
        """Certificate: upper minus lower bound on V_0."""
        return self.upper - self.lower

    def break_even_tokens(self, belief: Array, p_strong: float) -> Array:
        """Break-even n*(t, f, b): regenerate iff the step is expected to cost fewer strong tokens.

        Args:
            belief: [..., 3].
            p_strong: p_s.

        Returns:
            [T, 2, ...]: step t in row t - 1, then non-final and final. The last step is final whatever f says.
        """
        stay, repaired = prefix_after_continue(belief), prefix_after_regenerate(belief, p_strong)
        final = (repaired - stay) / self.lam
        steps = [
            (np.interp(repaired, self.grid, w) - np.interp(stay, self.grid, w)) / self.lam
            for w in self.after_acting[1:]
        ]
        return np.stack([np.stack([non_final, final]) for non_final in [*steps, final]])


def solve_exact(
    pomdp: RoutingPOMDP,
    lambdas: Sequence[float],
    *,
    gap: float = 1e-4,
    on_solved: Callable[[Solution], None] = lambda _: None,
) -> list[Solution]:
    """Solve for every lambda until the bounds on V_0 are within `gap`; `on_solved` hears of each as it is done.

    Raises:
        InputError: a lambda is not a positive number, or the gap is out of reach.
    """
    if not lambdas:
        raise InputError("solve", field="lambda", value=(), remedy="give at least one")
    if not 0 < gap < np.inf:
        raise InputError("solve", field="gap", value=gap, remedy="a positive number, for example 1e-4")
    for lam in lambdas:
        if not 0 < lam < np.inf:
            raise InputError("solve", field="lambda", value=lam, remedy="a positive number (reward per strong token)")
    backups: dict[int, _Backup] = {}
    solutions = []
    for lam in lambdas:
        solution = _refine(pomdp, lam, gap, backups)
        on_solved(solution)
        solutions.append(solution)
    return solutions


def _refine(pomdp: RoutingPOMDP, lam: float, gap: float, backups: dict[int, "_Backup"]) -> Solution:
    size = _COARSEST
    while size <= _FINEST:
        if size not in backups:
            backups[size] = _Backup.on_grid(pomdp, size)
        solution = backups[size].solve(lam)
        if solution.gap <= gap:
            return solution
        wanted = size * np.sqrt(solution.gap / gap)  # both bounds err with the square of the spacing
        size = 1 + _GRID_STEP * int(np.ceil(1.05 * wanted / _GRID_STEP))
    raise InputError(
        "solve",
        field="gap",
        value=gap,
        remedy=f"at lambda {lam} the bounds stay {solution.gap:.2g} apart: ask for more",
    )


@dataclass(frozen=True, slots=True)
class _Place:
    """Where values of q lie on the grid: left neighbour and the share of the right one, both [n_q, n_o]."""

    left: NDArray[np.intp]
    share: Array

    @classmethod
    def locate(cls, q: Array, size: int) -> "_Place":
        scaled = q * (size - 1)
        left = np.minimum(scaled.astype(np.intp), size - 2)
        return cls(left, scaled - left)

    def interpolate(self, values: Array) -> Array:
        return np.asarray(values[self.left] + self.share * np.diff(values)[self.left], dtype=np.float64)

    def nearest(self) -> NDArray[np.intp]:
        return self.left + (self.share > 0.5)


@dataclass(frozen=True, slots=True)
class _Lines:
    """One alpha-vector a grid point: its value when the accepted prefix is right and when it is wrong, both [n_q]."""

    right: Array
    wrong: Array


@dataclass(frozen=True, slots=True)
class _Backup:
    """Everything about one grid that does not depend on lambda; observations (cells that can occur) are flattened to n_o.

    Attributes:
        grid: [n_q].
        evidence: [n_q, n_o], probability of each observation of the next proposal.
        stay, repaired: [n_q, n_o], q after continuing and after regenerating there.
        at_stay, at_repaired: where those lie on the grid.
        right: [2, n_o] mass of observation o with the newest step right (row 0) and wrong (row 1), given a right prefix.
        wrong: [n_o], mass of o given a wrong prefix.
    """

    pomdp: RoutingPOMDP
    grid: Array
    evidence: Array
    stay: Array
    repaired: Array
    at_stay: _Place
    at_repaired: _Place
    right: Array
    wrong: Array

    @classmethod
    def on_grid(cls, pomdp: RoutingPOMDP, size: int) -> "_Backup":
        cells = pomdp.cells.reshape(3, -1)
        cells = cells[:, cells.sum(axis=0) > 0]
        grid = np.linspace(0, 1, size)
        joint = predict(grid, pomdp.p_weak)[:, None, :] * cells.T
        evidence = joint.sum(axis=-1)
        belief = np.divide(joint, evidence[..., None], out=np.zeros_like(joint), where=evidence[..., None] > 0)
        stay, repaired = prefix_after_continue(belief), prefix_after_regenerate(belief, pomdp.p_strong)
        right = np.stack([pomdp.p_weak * cells[0], (1 - pomdp.p_weak) * cells[2]])
        at_stay, at_repaired = _Place.locate(stay, size), _Place.locate(repaired, size)
        return cls(pomdp, grid, evidence, stay, repaired, at_stay, at_repaired, right, cells[1])

    def solve(self, lam: float) -> Solution:
        """Backward induction for one lambda: values from above, alpha-vectors from below."""
        final, final_lines = self._final_step(lam)
        upper, lines = final, final_lines
        rows = [upper]
        for h in self.pomdp.hazard[-2::-1]:
            value, next_lines = self._non_final_step(lam, upper, lines)
            upper = h * final + (1 - h) * value
            lines = _Lines(
                h * final_lines.right + (1 - h) * next_lines.right,
                h * final_lines.wrong + (1 - h) * next_lines.wrong,
            )
            rows.append(upper)
        return Solution(lam, self.grid, np.stack(rows[::-1]), lower=float(lines.right.max()), upper=float(upper[-1]))

    def _final_step(self, lam: float) -> tuple[Array, _Lines]:
        share, spent, gain = self._regenerations(lam, self.repaired - self.stay)
        value = (self.evidence * (self.stay + gain)).sum(axis=1)
        repaired = self.pomdp.p_strong * self.right.sum(axis=0)
        right = ((1 - share) * self.right[0] + share * repaired - lam * spent * self.right.sum(axis=0)).sum(axis=1)
        wrong = -lam * (spent * self.wrong).sum(axis=1)
        return value, _Lines(right, wrong)

    def _non_final_step(self, lam: float, upper: Array, lines: _Lines) -> tuple[Array, _Lines]:
        stay = self.at_stay.interpolate(upper)
        share, spent, gain = self._regenerations(lam, self.at_repaired.interpolate(upper) - stay)
        value = (self.evidence * (stay + gain)).sum(axis=1)
        near_stay, near_repaired = self.at_stay.nearest(), self.at_repaired.nearest()
        p_strong, reached = self.pomdp.p_strong, self.right.sum(axis=0)
        kept = self.right[0] * lines.right[near_stay] + self.right[1] * lines.wrong[near_stay]
        repaired = reached * (p_strong * lines.right[near_repaired] + (1 - p_strong) * lines.wrong[near_repaired])
        right = ((1 - share) * kept + share * repaired - lam * spent * reached).sum(axis=1)
        lost = (1 - share) * lines.wrong[near_stay] + share * lines.wrong[near_repaired] - lam * spent
        return value, _Lines(right, (lost * self.wrong).sum(axis=1))

    def _regenerations(self, lam: float, advantage: Array) -> tuple[Array, Array, Array]:
        """Over the token bins: probability of regenerating, expected strong tokens and expected gain, each [n_q, n_o]."""
        share, spent, gain = (np.zeros_like(advantage) for _ in range(3))
        bins = self.pomdp.tokens
        for weight, count in zip(bins.weights, bins.counts, strict=True):
            tokens = bins.expected_strong(count)
            net = advantage - lam * tokens
            regenerate = weight * (net > 0)
            share += regenerate
            spent += tokens * regenerate
            gain += net * regenerate
        return share, spent, gain
