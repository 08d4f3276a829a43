"""A policy rehearsed in simulation: what it costs and gains relative to the two models alone, with standard errors."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from kde.errors import InputError
from kde.filter import BAYES
from kde.samples import Array
from planner.batch import BatchPolicy
from planner.policies.fixed import STRONG, WEAK
from planner.pomdp import RoutingPOMDP
from planner.simulate import Episodes, simulate


@dataclass(frozen=True, slots=True)
class Estimate:
    """A simulated quantity and its standard error."""

    value: float
    standard_error: float

    @classmethod
    def mean(cls, samples: Array) -> Self:
        """Mean of independent samples [n]."""
        return cls(float(samples.mean()), float(samples.std(ddof=1) / np.sqrt(len(samples))))

    @classmethod
    def ratio(cls, numerator: Array, denominator: Array) -> Self:
        """Ratio of the means of paired samples, both [n], with its error to first order."""
        base = denominator.mean()
        ratio = numerator.mean() / base
        return cls(float(ratio), cls.mean((numerator - ratio * denominator) / base).standard_error)

    def holds(self, claim: float) -> bool:
        """Whether a claimed value is within three standard errors."""
        return abs(self.value - claim) <= 3 * self.standard_error


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What one policy did (DESIGN section 7).

    Attributes:
        accuracy: r.
        strong_tokens: C.
        c: C / C(M_s alone).
        pgr: performance gap recovered.
        interventions: share of steps written by M_s.
        returns: task reward minus lambda times strong tokens.
    """

    accuracy: Estimate
    strong_tokens: Estimate
    c: Estimate
    pgr: Estimate
    interventions: float
    returns: Estimate


@dataclass(frozen=True, slots=True)
class Stage:
    """A POMDP with the two models alone on it; every policy rehearsed here meets the same episodes.

    Attributes:
        pomdp: what episodes are drawn from.
        episodes: how many.
        seed: of the random numbers.
        weak, strong: M_w alone and M_s alone.
    """

    pomdp: RoutingPOMDP
    episodes: int
    seed: int
    weak: Episodes
    strong: Episodes

    @classmethod
    def of(cls, pomdp: RoutingPOMDP, *, episodes: int, seed: int) -> Self:
        """Rehearse the two models alone.

        Raises:
            InputError: there are fewer than two episodes, M_s costs nothing, or there is no gap between the two models.
        """
        if episodes < 2:
            raise InputError("simulation", field="episodes", value=episodes, remedy="at least 2")
        weak, strong = (
            simulate(pomdp, policy, episodes=episodes, rng=np.random.default_rng(seed)) for policy in (WEAK, STRONG)
        )
        if not strong.strong_tokens.any():
            remedy = "M_s's steps must cost something: look at the token model"
            raise InputError("simulation", field="strong tokens", value=0.0, remedy=remedy)
        if strong.correct.mean() <= weak.correct.mean():
            remedy = "in simulation M_s alone is not better than M_w alone: p_s must be above p_w"
            raise InputError("simulation", field="gap", value=float(strong.correct.mean()), remedy=remedy)
        return cls(pomdp, episodes, seed, weak, strong)

    def episodes_of(self, policy: BatchPolicy) -> Episodes:
        """Episodes of a policy."""
        return simulate(self.pomdp, policy, episodes=self.episodes, rng=np.random.default_rng(self.seed))

    def rehearse(self, policy: BatchPolicy, lam: float) -> Rehearsed:
        """What a policy does, its returns at price lambda."""
        done = self.episodes_of(policy)
        gap = self.strong.correct - self.weak.correct
        return Rehearsed(
            accuracy=Estimate.mean(done.correct),
            strong_tokens=Estimate.mean(done.strong_tokens),
            c=Estimate.ratio(done.strong_tokens, self.strong.strong_tokens),
            pgr=Estimate.ratio(done.correct - self.weak.correct, gap),
            interventions=float(done.interventions.sum() / done.steps.sum()),
            returns=Estimate.mean(done.returns(lam)),
        )


def as_planned(pomdp: RoutingPOMDP) -> RoutingPOMDP:
    """The POMDP that was solved: scores come from the observation function that the filter believes, and beliefs are Bayes's."""
    return replace(pomdp, cells=pomdp.observation_cells(), filter=BAYES)
