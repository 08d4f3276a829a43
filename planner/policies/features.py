"""What a learned policy is shown of a proposal, as numbers of order one."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

import numpy as np
from numpy.typing import NDArray

from kde.samples import Array
from planner.batch import Flags, ProposalBatch
from planner.pomdp import RoutingPOMDP


class FeatureSet(StrEnum):
    """Which features."""

    PAPER = "paper"
    """r_t, least earlier score, c_t, t: the paper's TRIM-Agg. Of the trace before, nothing but m_t is remembered."""
    BELIEF = "belief"
    """Those, whether the proposal ends the answer, and the filter's belief, which the worker carries."""
    SEQUENCE = "sequence"
    """r_t, c_t, and whether M_s wrote the step before: an entry of TRIM-Seq's sequence."""
    SEQUENCE_LEAST = "sequence-least"
    """Those and m_t."""

    @property
    def width(self) -> int:
        """How many numbers."""
        return {
            FeatureSet.PAPER: 4,
            FeatureSet.BELIEF: 7,
            FeatureSet.SEQUENCE: 3,
            FeatureSet.SEQUENCE_LEAST: 4,
        }[self]

    @property
    def of_a_sequence(self) -> bool:
        """Whether they are of an entry of a sequence, all of which is shown."""
        return self in {FeatureSet.SEQUENCE, FeatureSet.SEQUENCE_LEAST}


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

    def __call__(self, proposals: ProposalBatch, belief: Array, regenerated: Flags) -> Array:
        """Features [n, width].

        Args:
            proposals: n of them.
            belief: [n, 3] after they have been seen; read by `BELIEF` only.
            regenerated: [n] whether M_s wrote the step before; read by those of a sequence only.
        """
        newest = 2 * proposals.newest - 1
        earlier = 2 * proposals.earlier - 1
        length = proposals.tokens / self.tokens - 1
        columns: list[NDArray[np.floating]]
        if self.features.of_a_sequence:
            columns = [newest, length, 2.0 * regenerated - 1]
            return np.stack([*columns, earlier] if self.features is FeatureSet.SEQUENCE_LEAST else columns, axis=1)
        columns = [newest, earlier, length, 2 * proposals.step / self.max_steps - 1]
        if self.features is FeatureSet.BELIEF:
            final = proposals.final | (proposals.step >= self.max_steps)
            columns += [2.0 * final - 1, 2 * belief[:, 0] - 1, 2 * belief[:, 2] - 1]
        return np.stack(columns, axis=1)
