"""From a budget to a price: the lambda at which a policy meets a cost or a gain in simulation."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Self

import numpy as np

from kde.errors import InputError
from planner.exact import ExactSolver
from planner.policies.pomdp import TablePolicy
from planner.pomdp import RoutingPOMDP
from planner.rehearsal import Estimate, Rehearsed, Stage
from planner.table import tabulate

_HALVINGS = 30
_PRECISION = 1e-4
_CONFIDENCE = 1.96
_LEAST_SHARE_OF_REWARD = 1e-6


class Target(StrEnum):
    """What is to be met."""

    COST = "c"
    """Strong tokens as a share of M_s alone."""
    GAIN = "pgr"
    """Performance gap recovered."""


@dataclass(frozen=True, slots=True)
class Calibrated:
    """A lambda that meets a target.

    Attributes:
        target: what was asked for.
        wanted: its value.
        lam: lambda that meets it on the simulated episodes, costing at most or gaining at least what is wanted.
        low, high: lambdas at which the target is the upper and the lower end of the simulated 95 % interval.
        rehearsed: the policy at `lam`.
        episodes, seed: of the simulation.
    """

    target: Target
    wanted: float
    lam: float
    low: float
    high: float
    rehearsed: Rehearsed
    episodes: int
    seed: int


def calibrate(
    pomdp: RoutingPOMDP, target: Target, wanted: float, *, episodes: int, seed: int, gap: float = 1e-4
) -> Calibrated:
    """Find the lambda at which the policy, run with its filter, meets `wanted`; cost and gain both fall as lambda rises.

    Raises:
        InputError: no lambda meets it, or the two models do not differ.
    """
    sweep = _Sweep.of(pomdp, Stage.of(pomdp, episodes=episodes, seed=seed), target, gap)
    if not sweep.at(sweep.dearest).value <= wanted <= sweep.at(sweep.cheapest).value:
        reach = f"{sweep.at(sweep.dearest).value:.4g} to {sweep.at(sweep.cheapest).value:.4g}"
        raise InputError(
            "calibrate", field=f"target {target.value}", value=wanted, remedy=f"the policies reach {reach}"
        )
    lam = sweep.meet(wanted)
    margin = _CONFIDENCE * sweep.at(lam).standard_error
    return Calibrated(
        target, wanted, lam, sweep.meet(wanted + margin), sweep.meet(wanted - margin), sweep.run(lam), episodes, seed
    )


@dataclass(frozen=True, slots=True)
class _Sweep:
    """The target as a function of lambda, on episodes that are the same for every lambda.

    Attributes:
        run: what the policy of a lambda does; remembered.
        target: which of that is looked at.
        cheapest, dearest: smallest and largest lambda worth trying.
    """

    run: Callable[[float], Rehearsed]
    target: Target
    cheapest: float
    dearest: float

    @classmethod
    def of(cls, pomdp: RoutingPOMDP, stage: Stage, target: Target, gap: float) -> Self:
        solver = ExactSolver(gap)

        @cache
        def run(lam: float) -> Rehearsed:
            (solution,) = solver.solve(pomdp, [lam])
            return stage.rehearse(TablePolicy(f"pomdp:{lam!r}", tabulate(pomdp, [solution]), lam), lam)

        prices = [pomdp.tokens.expected_strong(count) for count in pomdp.tokens.counts]
        steps = pomdp.max_steps * max(prices)
        return cls(
            run, target, _LEAST_SHARE_OF_REWARD / steps, 1 / min(prices)
        )  # beyond 1 / price nothing is worth its price

    def at(self, lam: float) -> Estimate:
        done = self.run(lam)
        return done.c if self.target is Target.COST else done.pgr

    def meet(self, wanted: float) -> float:
        """The lambda at which the target falls to `wanted`, by halving on a logarithmic scale; an end of the range where it never does.

        Where the target jumps, a cost stays below what is wanted and a gain above it.
        """
        low, high = np.log(self.cheapest), np.log(self.dearest)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            if high - low < _PRECISION:
                break
            low, high = (middle, high) if self.at(float(np.exp(middle))).value > wanted else (low, middle)
        return float(np.exp(high if self.target is Target.COST else low))
