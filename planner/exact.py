"""Exact solution of the routing POMDP by backward induction over one number (DESIGN section 4).

After a decision the future depends only on q, the probability that the accepted prefix is right, and under `paper` transitions on which
action it was. W_t(q), the value after acting at a non-final step t, is convex: on a grid of q it is bounded from above by interpolation
and from below by a policy's alpha-vectors (`planner.backup`). The grid is refined until the two agree at V_0 to the requested gap.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from kde.errors import InputError
from kde.samples import Array
from planner.backup import Bounds, Prices, Proposals, grid
from planner.pomdp import RoutingPOMDP, Transitions, check_lambda, prefix_after_continue, prefix_after_regenerate

_COARSEST = 65
_FINEST = 4097
_MOST_GROWTH = 4
_MOST_BELIEFS = 2**22
"""Grid points times cells times kinds of steps: keeps memory at about half a gigabyte."""


@dataclass(frozen=True, slots=True)
class Solution:
    """What solving for one lambda gives.

    Attributes:
        lam: lambda, the price of one strong token in units of reward.
        grid: [n_q] ascending values of q from 0 to 1.
        after_continue: [T, n_q], row t is W_t on the grid after `continue`: value of acting optimally from step t + 1 on (row 0:
            before the first step).
        after_regenerate: [T, n_q], the same after `regenerate`; differs under `paper` transitions only.
        p_strong: [T], p_s by step.
        lower, upper: bounds on V_0 = W_0(1).
    """

    lam: float
    grid: Array
    after_continue: Array
    after_regenerate: Array
    p_strong: Array
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

    def break_even_tokens(self, belief: Array) -> Array:
        """Break-even n*(t, f, b): regenerate iff the step is expected to cost fewer strong tokens.

        Args:
            belief: [..., 3].

        Returns:
            [T, 2, ...]: step t in row t - 1, then non-final and final. The last step is final whatever f says.
        """
        steps = len(self.p_strong)
        counts = np.empty((steps, 2, *belief.shape[:-1]))
        stay = prefix_after_continue(belief)
        for t, p_strong in enumerate(self.p_strong.tolist(), start=1):
            repaired = prefix_after_regenerate(belief, p_strong)
            counts[t - 1] = (repaired - stay) / self.lam
            if t < steps:
                worth = np.interp(repaired, self.grid, self.after_regenerate[t])
                counts[t - 1, 0] = (worth - np.interp(stay, self.grid, self.after_continue[t])) / self.lam
        return counts


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
    solutions = []
    for solution in ExactSolver(gap).solve(pomdp, lambdas):
        on_solved(solution)
        solutions.append(solution)
    return solutions


@dataclass(frozen=True, slots=True)
class ExactSolver:
    """The exact solver as one of the solvers that tables are built with.

    Attributes:
        gap: largest difference of the bounds on V_0.

    Raises:
        InputError: the gap is not a positive number.
    """

    gap: float = 1e-4
    name: ClassVar[str] = "exact"

    def __post_init__(self) -> None:
        if not 0 < self.gap < np.inf:
            raise InputError("solve", field="gap", value=self.gap, remedy="a positive number, for example 1e-4")

    @property
    def parameters(self) -> dict[str, Any]:
        """What its results depend on."""
        return {"gap": self.gap}

    def solve(self, pomdp: RoutingPOMDP, lambdas: Sequence[float]) -> Iterator[Solution]:
        """Solve for one lambda after the other.

        Raises:
            InputError: a lambda is not a positive number, or the gap is out of reach.
        """
        check_lambdas(lambdas)
        inductions: dict[int, _Induction] = {}
        for lam in lambdas:
            yield _refine(pomdp, lam, self.gap, inductions)


def check_lambdas(lambdas: Sequence[float]) -> None:
    """Refuse an empty list and prices that are not positive numbers.

    Raises:
        InputError: as said.
    """
    if not lambdas:
        raise InputError("solve", field="lambda", value=(), remedy="give at least one")
    for lam in lambdas:
        check_lambda(lam, source="solve")


def _refine(pomdp: RoutingPOMDP, lam: float, gap: float, inductions: dict[int, "_Induction"]) -> Solution:
    kinds = len(set(zip(pomdp.weak_by_step.tolist(), pomdp.strong_by_step.tolist(), strict=True)))
    finest = min(_FINEST, max(2, _MOST_BELIEFS // (pomdp.cells[0].size * kinds)))
    size = min(_COARSEST, finest)
    while True:
        if size not in inductions:
            inductions[size] = _Induction(pomdp, grid(size))
        solution = inductions[size].solve(lam)
        if solution.gap <= gap:
            return solution
        if size == finest:
            break
        growth = 1.05 * np.sqrt(solution.gap / gap)  # both bounds err with the square of the spacing
        size = min(finest, 1 + int(np.ceil(min(growth, _MOST_GROWTH) * (size - 1))))
    raise InputError(
        "solve",
        field="gap",
        value=gap,
        remedy=f"at lambda {lam} the bounds stay {solution.gap:.2g} apart: ask for more",
    )


@dataclass(frozen=True, slots=True)
class _Induction:
    """Backward induction on one grid. What can be seen of a step does not depend on lambda and is kept for the next one."""

    pomdp: RoutingPOMDP
    points: Array
    seen: dict[tuple[float, float], Proposals] = field(default_factory=dict)

    def solve(self, lam: float) -> Solution:
        prices = Prices.of(self.pomdp.tokens, lam)
        terminal = Bounds.terminal(self.points)
        final = lru_cache(lambda seen: seen.backup(terminal, terminal, prices))
        kept = repaired = terminal
        rows: list[tuple[Array, Array]] = []
        for step in range(self.pomdp.max_steps, 0, -1):
            hazard = float(self.pomdp.hazard[step - 1])
            before: dict[Proposals, Bounds] = {}
            for seen in self._proposals(step):
                ending = final(seen) if hazard else terminal
                before[seen] = ending if hazard == 1 else seen.backup(kept, repaired, prices).mixed(ending, hazard)
            kept, repaired = (before[seen] for seen in self._proposals(step))
            rows.append((kept.upper, repaired.upper))
        after_continue, after_regenerate = (np.stack(column[::-1]) for column in zip(*rows, strict=True))
        lower = float(kept.right.max())
        upper = max(lower, float(kept.upper[-1]))  # they may cross by rounding
        return Solution(
            lam, self.points, after_continue, after_regenerate, self.pomdp.strong_by_step, lower=lower, upper=upper
        )

    def _proposals(self, step: int) -> tuple[Proposals, Proposals]:
        """What can be seen of step `step` after `continue` and after `regenerate`; one and the same unless transitions are `paper`."""
        p_weak, p_strong = float(self.pomdp.weak_by_step[step - 1]), float(self.pomdp.strong_by_step[step - 1])
        drawn = self._seen(p_weak, p_strong)
        return drawn, drawn if self.pomdp.transitions is Transitions.TWO_STAGE else self._seen(1.0, p_strong)

    def _seen(self, p_weak: float, p_strong: float) -> Proposals:
        if (p_weak, p_strong) not in self.seen:
            cells = self.pomdp.observation_cells()
            self.seen[p_weak, p_strong] = Proposals.seen(self.points, cells, p_weak, p_strong)
        return self.seen[p_weak, p_strong]
