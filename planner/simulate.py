"""Vectorised episodes of the routing POMDP itself: what a policy earns, spends and how often it intervenes.

Every episode draws the same numbers in the same order whatever is decided, so two policies that are shown equal generators meet the same
episodes, and their differences are free of most of the noise.
"""

from dataclasses import dataclass

import numpy as np

from kde.samples import Array
from planner.batch import BatchPolicy, CarryBatch, Counts
from planner.draws import DRAWS, Draws
from planner.pomdp import RoutingPOMDP


@dataclass(frozen=True, slots=True)
class Episodes:
    """Simulated episodes of one policy, entry i for episode i; all [n].

    Attributes:
        correct: 1 where the final answer is right, else 0.
        strong_tokens: expected tokens decoded by M_s.
        interventions: steps written by M_s.
        steps: steps of the answer.
    """

    correct: Array
    strong_tokens: Array
    interventions: Counts
    steps: Counts

    def returns(self, lam: float) -> Array:
        """Task reward minus lambda times strong tokens, [n]."""
        return self.correct - lam * self.strong_tokens


def simulate(pomdp: RoutingPOMDP, policy: BatchPolicy, *, episodes: int, rng: np.random.Generator) -> Episodes:
    """Draw episodes from a POMDP, acting by a policy.

    Scores are uniform within their cell. They are drawn from the observation model's cells, whatever the policy's filter makes of them.
    """
    draws = Draws.of(pomdp)
    right = np.ones(episodes, dtype=np.bool_)
    tokens = np.zeros(episodes)
    interventions, steps = np.zeros(episodes, dtype=np.int64), np.zeros(episodes, dtype=np.int64)
    regenerated = np.zeros(episodes, dtype=np.bool_)
    belief = np.full((episodes, 3), 1 / 3)
    running = np.arange(episodes)
    for step in range(1, pomdp.max_steps + 1):
        chances = rng.random((DRAWS, episodes))[:, running]
        at = np.full(len(running), step)
        drawn = draws.proposals(at, right[running], regenerated[running], chances)
        carry = CarryBatch(belief[running], regenerated[running], tokens[running]) if step > 1 else None
        decided = policy.decide_many(drawn.proposals, carry)
        chosen = decided.regenerate
        right[running] = draws.accepted(at, right[running], drawn.newest_right, chosen, chances)
        regenerated[running] = chosen
        if decided.belief is not None:
            belief[running] = decided.belief
        tokens[running] += chosen * drawn.expected_strong
        interventions[running] += chosen
        steps[running] = step
        running = running[~drawn.proposals.final]
    return Episodes(right.astype(np.float64), tokens, interventions, steps)
