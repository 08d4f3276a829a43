"""What a learner is worth in simulation: its regret against the exact optimum, and how much of the optimum's lead it has.

The optimum is known: the exact solver under Bayes's rule on the cells that the scores are drawn from. All are shown the same episodes.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from kde.filter import BAYES
from kde.samples import Array
from planner.batch import BatchPolicy
from planner.exact import solve_exact
from planner.policies.pomdp import TablePolicy
from planner.policies.threshold import ThresholdPolicy
from planner.pomdp import RoutingPOMDP
from planner.rehearsal import Estimate
from planner.simulate import simulate
from planner.table import tabulate

_GAP = 1e-5


@dataclass(frozen=True, slots=True)
class Judged:
    """Returns at the price that was trained for, simulated on the same episodes.

    Attributes:
        learned: of the learner's greedy policy.
        optimum: of the exact optimum.
        optimum_value: what the solver promises of it.
        best_threshold: the threshold with the largest mean return.
        threshold: its return.
        regret: optimum minus learner.
        share: (learner - best threshold) / (optimum - best threshold); None where the optimum has no lead on these episodes.
    """

    learned: Estimate
    optimum: Estimate
    optimum_value: float
    best_threshold: float
    threshold: Estimate
    regret: Estimate
    share: Estimate | None

    def document(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    def in_short(self) -> str:
        """The share, for people."""
        if self.share is None:
            return "the optimum has no lead over the best threshold at this price"
        return (
            f"{self.share.value:.1%} +- {self.share.standard_error:.1%} of the optimum's lead over the best threshold"
        )


@dataclass(frozen=True, slots=True)
class Bench:
    """The competitors on one set of episodes.

    Attributes:
        episodes: how many.
        seed: of the episodes.
        optimum: returns of the exact optimum, [episodes].
        optimum_value: V_0.
        best_threshold: the best of the thresholds between the cells of r.
        threshold: its returns, [episodes].
    """

    episodes: int
    seed: int
    optimum: Array
    optimum_value: float
    best_threshold: float
    threshold: Array

    @classmethod
    def of(cls, pomdp: RoutingPOMDP, lam: float, *, episodes: int, seed: int) -> "Bench":
        """Solve, and simulate the optimum and every threshold."""
        truth = replace(pomdp, filter=BAYES)
        (solution,) = solve_exact(truth, [lam], gap=_GAP)

        def returns(policy: BatchPolicy) -> Array:
            return simulate(pomdp, policy, episodes=episodes, rng=np.random.default_rng(seed)).returns(lam)

        n_r = pomdp.cells.shape[2]
        rows = {edge / n_r: returns(ThresholdPolicy(f"thr:{edge / n_r!r}", edge / n_r)) for edge in range(n_r + 1)}
        best = max(rows, key=lambda edge: float(rows[edge].mean()))
        optimum = returns(TablePolicy(f"pomdp:{lam!r}", tabulate(truth, [solution]), lam))
        return cls(episodes, seed, optimum, solution.value, best, rows[best])

    def judge(self, learned: Array) -> Judged:
        """Compare returns on the same episodes, [episodes]."""
        lead = self.optimum - self.threshold
        return Judged(
            learned=Estimate.mean(learned),
            optimum=Estimate.mean(self.optimum),
            optimum_value=self.optimum_value,
            best_threshold=self.best_threshold,
            threshold=Estimate.mean(self.threshold),
            regret=Estimate.mean(self.optimum - learned),
            share=Estimate.ratio(learned - self.threshold, lead) if lead.mean() > 0 else None,
        )
