"""What a learned policy is shown of a proposal, as numbers of order one."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

import numpy as np
from numpy.typing import NDArray

from kde.samples import Array
from planner.batch import ProposalBatch
from planner.pomdp import RoutingPOMDP


class FeatureSet(StrEnum):
    """Which features."""

    PAPER = "paper"
    """r_t, least earlier score, c_t, t: the paper's TRIM-Agg. Nothing of the trace is remembered but what m_t tells."""
    BELIEF = "belief"
    """Those, whether the proposal ends the answer, and the filter's belief, which the worker carries."""

    @property
    def width(self) -> int:
        """How many numbers."""
        return 4 if self is FeatureSet.PAPER else 7


@dataclass(frozen=True, slots=True)
class Featurizer:
    """From proposals to features.

    Attributes:
        features: which ones.
        max_steps: T, the scale of t.
        tokens: scale of c_t, the mean length of M_w's steps.
    """

    features: FeatureSet
    max_steps: int
    tokens: float

    @classmethod
    def of(cls, pomdp: RoutingPOMDP, features: FeatureSet) -> Self:
        """With the scales of a POMDP."""
        return cls(features, pomdp.max_steps, float(np.dot(pomdp.tokens.counts, pomdp.tokens.weights)))

    def __call__(self, proposals: ProposalBatch, belief: Array | None) -> Array:
        """Features [n, width]; the belief [n, 3] is read by `BELIEF` only."""
        columns: list[NDArray[np.floating]] = [
            2 * proposals.newest - 1,
            2 * proposals.earlier - 1,
            proposals.tokens / self.tokens - 1,
            2 * proposals.step / self.max_steps - 1,
        ]
        if self.features is FeatureSet.BELIEF and belief is not None:
            final = proposals.final | (proposals.step >= self.max_steps)
            columns += [2.0 * final - 1, 2 * belief[:, 0] - 1, 2 * belief[:, 2] - 1]
        return np.stack(columns, axis=1)
