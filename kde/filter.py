"""Belief filters: from PRM features to a belief over the three classes (DESIGN sections 3 and 6).

A belief is float64 [..., 3] over (CORRECT, DERAILED, RECOVERABLE) and sums to 1.

Successive scores of one trace are not independent given the class, so plain recursive Bayes is overconfident. A `tempered` filter
reads them through a flatter observation function, P(features | class)^exponent renormalised per class. That is an observation
function like any other, so the planner plans with exactly the filter that it runs with.
"""

from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict, Field, model_validator

from kde.samples import Array

DENSITY_FLOOR = 1e-4
"""Likelihoods are floored at this density (uniform = 1): no single score can rule a class out, and no evidence is 0 / 0."""
UNIFORM_PRIOR: Array = np.full(3, 1 / 3)


class FilterKind(StrEnum):
    """How one belief follows from the last."""

    MEMORYLESS = "memoryless"
    """A uniform prior at every step (the paper's authors)."""
    BAYES = "bayes"
    """The prior that the last belief and action imply."""
    TEMPERED = "tempered"
    """As `BAYES`, on a tempered observation function."""


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
    def _only_tempered_has_an_exponent(self) -> "BeliefFilter":
        if self.kind is not FilterKind.TEMPERED and self.exponent != 1:
            raise ValueError(f"kind {self.kind.value} has exponent 1, not {self.exponent}")
        return self

    def observation_cells(self, cells: Array) -> Array:
        """Observation function that this filter reads the scores through, [3, n_m, n_r], each class summing to 1.

        Args:
            cells: [3, n_m, n_r], the observation model's cells.
        """
        tempered = _believed(cells, self.features) ** self.exponent
        return np.asarray(tempered / tempered.sum(axis=(1, 2), keepdims=True), dtype=np.float64)


BAYES = BeliefFilter()


def _believed(cells: Array, features: Features) -> Array:
    """Cells up to a factor a class: m made uniform where it is ignored, and where it is given."""
    newest = cells.sum(axis=1, keepdims=True)
    match features:
        case Features.JOINT:
            return cells
        case Features.NEWEST:
            return np.broadcast_to(newest, cells.shape)
        case Features.NEWEST_GIVEN_EARLIER:
            earlier = cells.sum(axis=2, keepdims=True)
            return np.where(earlier > 0, cells / np.where(earlier > 0, earlier, 1), newest)


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
