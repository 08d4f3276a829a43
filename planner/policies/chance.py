"""`random:P`: regenerate with probability P, whatever the scores are: the baseline that every router must beat.

A policy remembers nothing and may be asked twice, so its coin is a hash of what it is shown: any replica throws the same one.
`random:P:SEED` throws others. Proposals that look alike in every number fall alike, which PRM scores hardly ever do.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kde.errors import InputError
from kde.samples import Array
from planner.batch import CarryBatch, DecisionBatch, ProposalBatch
from planner.decision import Action, Carry, Decision, Proposal
from planner.policies.tableless import Tableless

_LARGEST_SEED = 2**32 - 1
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class RandomPolicy(Tableless):
    """Regenerate with a fixed probability.

    Attributes:
        id: as it was asked for.
        probability: of regenerating, in [0, 1].
        seed: of the coin, 0 to 2^32 - 1.

    Raises:
        InputError: one of them is out of range.
    """

    id: str
    probability: float
    seed: int

    def __post_init__(self) -> None:
        if not 0 <= self.probability <= 1:
            remedy = "a number in [0, 1], for example random:0.3"
            raise InputError("policy random", field="probability", value=self.probability, remedy=remedy)
        if not 0 <= self.seed <= _LARGEST_SEED:
            raise InputError("policy random", field="seed", value=self.seed, remedy="a whole number from 0 to 2^32 - 1")

    def decide(self, proposal: Proposal, carry: Carry | None) -> Decision:  # noqa: ARG002
        """Throw the proposal's coin."""
        numbers = np.array([[proposal.step], [proposal.earlier], [proposal.newest], [proposal.tokens]], np.float64)
        regenerate = _coins(self.seed, numbers)[0] < self.probability
        return Decision(Action.REGENERATE if regenerate else Action.CONTINUE, self.id)

    def decide_many(self, proposals: ProposalBatch, carries: CarryBatch | None) -> DecisionBatch:  # noqa: ARG002
        """Throw the coin of every proposal."""
        numbers = [proposals.step, proposals.earlier, proposals.newest, proposals.tokens]
        return DecisionBatch(_coins(self.seed, np.array(numbers, np.float64)) < self.probability)


def _coins(seed: int, numbers: Array) -> Array:
    """Uniform numbers in [0, 1) from the bits of [k, n] numbers: [n]."""
    state = np.full(numbers.shape[1], seed, np.uint64)
    for words in (numbers + 0.0).view(np.uint64):  # adding 0 makes -0.0 the 0.0 that it equals
        state = _mixed((state ^ words) + _GOLDEN)
    return np.asarray((state >> np.uint64(11)).astype(np.float64) * 2.0**-53, dtype=np.float64)


def _mixed(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finalizer of SplitMix64: every bit of the result depends on every bit given."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
