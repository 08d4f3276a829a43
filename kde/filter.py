"""Belief filters: from PRM features to a belief over the three classes (DESIGN sections 3 and 6).

A belief is float64 [..., 3] over (CORRECT, DERAILED, RECOVERABLE) and sums to 1.

Successive scores of one trace are not independent given the class, so plain recursive Bayes is overconfident. A `tempered` filter
takes the likelihood to a power below 1. A power of a likelihood is no distribution over observations, so a planner could not plan
with it as it stands; but multiplying all three classes' likelihoods of one observation by the same number changes no posterior, and
there is one such reweighting that makes three distributions and stays closest to what is really observed. `observation_cells` finds
it. Every filter is thereby Bayes' rule on an observation function, and the planner plans with exactly the filter that it runs with.
"""

from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict, Field, model_validator

from kde.errors import InputError
from kde.samples import Array

DENSITY_FLOOR = 1e-4
"""Likelihoods are floored at this density (uniform = 1): no single score can rule a class out, and no evidence is 0 / 0."""
UNIFORM_PRIOR: Array = np.full(3, 1 / 3)
_NEWTON_STEPS = 100
_RESIDUAL = 1e-12


class FilterKind(StrEnum):
    """How one belief follows from the last."""

    MEMORYLESS = "memoryless"
    """A uniform prior at every step (the paper's authors)."""
    BAYES = "bayes"
    """The prior that the last belief and action imply."""
    TEMPERED = "tempered"
    """As `BAYES`, with the likelihood to a power."""


class Features(StrEnum):
    """What of (m, r) a filter believes."""

    JOINT = "m,r"
    NEWEST = "r"
    """P(r | class): the least earlier score is ignored."""
    NEWEST_GIVEN_EARLIER = "r|m"
    """P(r | m, class): what r adds to what m has said already."""


class BeliefFilter(BaseModel):
    """A belief filter.

    Attributes:
        kind: how the prior is formed.
        features: what of the scores is believed.
        exponent: power of the likelihood, in (0, 1]; 1 unless the kind is `TEMPERED`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: FilterKind = FilterKind.BAYES
    features: Features = Features.JOINT
    exponent: float = Field(default=1.0, gt=0, le=1)

    @model_validator(mode="after")
    def _only_tempered_departs_from_the_joint_likelihood(self) -> "BeliefFilter":
        if self.kind is not FilterKind.TEMPERED and (self.exponent, self.features) != (1, Features.JOINT):
            raise ValueError(f"{self.kind.value} takes m and r jointly to the power 1; the kind for others is tempered")
        return self

    def observation_cells(self, cells: Array) -> Array:
        """Observation function whose Bayes posterior is this filter's, [3, n_m, n_r], each class summing to 1.

        The likelihood L(o | s) of observation o is scaled by k(o), the same for all classes. Among the k that give three
        distributions it is the one whose class average is nearest in relative entropy to that of `cells`:
        k(o) = rho(o) / l(o) exp(sum_s mu_s L(o | s) / l(o)), rho and l being class averages of `cells` and L, mu by Newton.

        Args:
            cells: [3, n_m, n_r], the observation model's cells.

        Raises:
            InputError: no reweighting makes distributions of this filter's likelihoods (the exponent is too small for these features).
        """
        if self.features is Features.JOINT and self.exponent == 1:
            return cells
        believed = _believed(cells, self.features) ** self.exponent
        average = believed.mean(axis=0)
        seen = (cells.mean(axis=0) > 0) & (average > 0)
        ratios = believed[:, seen] / average[seen]
        found = np.zeros_like(cells)
        found[:, seen] = ratios * _balancing_weights(ratios, cells.mean(axis=0)[seen])
        return found


BAYES = BeliefFilter()
MEMORYLESS = BeliefFilter(kind=FilterKind.MEMORYLESS)
SCORES_ALONE = BeliefFilter(kind=FilterKind.TEMPERED, features=Features.NEWEST)
"""Full likelihood of the newest scores: successive ones repeat nothing of one another by construction, as m does."""


def describe_filter(belief_filter: BeliefFilter) -> str:
    """A filter in a few characters: `memoryless`, `bayes`, or `tempered P(r)^0.52`."""
    if belief_filter.kind is not FilterKind.TEMPERED:
        return belief_filter.kind.value
    return f"{belief_filter.kind.value} P({belief_filter.features.value})^{belief_filter.exponent:.2f}"


def _believed(cells: Array, features: Features) -> Array:
    """Likelihood of each cell by class, up to a factor a cell: [3, n_m, n_r]."""
    newest = np.broadcast_to(cells.sum(axis=1, keepdims=True), cells.shape)
    match features:
        case Features.JOINT:
            return cells
        case Features.NEWEST:
            return newest
        case Features.NEWEST_GIVEN_EARLIER:
            earlier = cells.sum(axis=2, keepdims=True)
            return np.asarray(np.divide(cells, earlier, out=newest.copy(), where=earlier > 0), dtype=np.float64)


def _balancing_weights(ratios: Array, reference: Array) -> Array:
    """Weights w [n] closest to `reference` [n] in relative entropy with sum_o w(o) ratios(s, o) = 1 for every class s."""
    multipliers = np.zeros(len(ratios))
    for _ in range(_NEWTON_STEPS):
        weights = reference * np.exp(multipliers @ ratios)
        excess = (weights * ratios).sum(axis=1) - 1
        if abs(excess).max() < _RESIDUAL:
            return np.asarray(weights, dtype=np.float64)
        step = np.linalg.lstsq((weights * ratios) @ ratios.T, excess)[0]
        multipliers -= step / max(1.0, abs(step).max())
        if abs(multipliers).max() > _NEWTON_STEPS:
            break
    raise InputError(
        "belief filter",
        field="observation function",
        value=multipliers.round(1).tolist(),
        remedy="no observation function has these posteriors: take a larger exponent, other features, or the filter bayes",
    )


def predict(prefix_correct: ArrayLike, p_weak: ArrayLike) -> Array:
    """Prior class probabilities of M_w's next proposal, [..., 3].

    Args:
        prefix_correct: q, the probability that the accepted prefix is right, any shape.
        p_weak: p_w, the probability that M_w's step is right given a right prefix, broadcast against q.
    """
    q, p = np.asarray(prefix_correct, dtype=np.float64), np.asarray(p_weak, dtype=np.float64)
    return np.stack(np.broadcast_arrays(q * p, 1 - q, q * (1 - p)), axis=-1)


def posterior(prior: Array, likelihood: Array, *, cells: int) -> Array:
    """Bayes' rule: belief [..., 3] from prior [..., 3] and cell probabilities [..., 3] on a grid of `cells` cells."""
    weighted = prior * np.maximum(likelihood, DENSITY_FLOOR / cells)
    return np.asarray(weighted / weighted.sum(axis=-1, keepdims=True), dtype=np.float64)
