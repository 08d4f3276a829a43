"""Vectorised episodes of the routing POMDP itself: what a policy earns, spends and how often it intervenes.

Every episode draws the same numbers in the same order whatever is decided, so two policies that are shown equal generators meet the same
episodes, and their differences are free of most of the noise.
"""

from dataclasses import dataclass

import numpy as np

from kde.samples import Array, StepClass
from planner.batch import BatchPolicy, CarryBatch, Counts, Flags, ProposalBatch
from planner.pomdp import RoutingPOMDP, Transitions


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
    draws = _Draws.of(pomdp)
    right = np.ones(episodes, dtype=np.bool_)
    tokens = np.zeros(episodes)
    interventions, steps = np.zeros(episodes, dtype=np.int64), np.zeros(episodes, dtype=np.int64)
    regenerated = np.zeros(episodes, dtype=np.bool_)
    belief = np.full((episodes, 3), 1 / 3)
    running = np.arange(episodes)
    for step in range(1, pomdp.max_steps + 1):
        chances = rng.random((_DRAWS, episodes))[:, running]
        drawn = draws.proposals(step, right[running], regenerated[running], chances)
        carry = CarryBatch(belief[running], regenerated[running]) if step > 1 else None
        decided = policy.decide_many(drawn.proposals, carry)
        chosen = decided.regenerate
        right[running] = draws.accepted(step, right[running], drawn.newest_right, chosen, chances)
        regenerated[running] = chosen
        if decided.belief is not None:
            belief[running] = decided.belief
        tokens[running] += chosen * draws.expected_strong[drawn.bins]
        interventions[running] += chosen
        steps[running] = step
        running = running[~drawn.proposals.final]
    return Episodes(right.astype(np.float64), tokens, interventions, steps)


_DRAWS = 7
"""Numbers an episode draws at every step."""


@dataclass(frozen=True, slots=True)
class _Drawn:
    """Proposals of one step, whether their newest step is right given a right prefix, and their token bins."""

    proposals: ProposalBatch
    newest_right: Flags
    bins: Counts


@dataclass(frozen=True, slots=True)
class _Draws:
    """Distribution functions of one POMDP, inverted by search.

    Attributes:
        pomdp: what is drawn from.
        cells: [3, n_cells] cumulative observation probabilities by class.
        bins: [n_bins] cumulative weights of the token bins.
        counts, expected_strong: [n_bins] tokens of M_w's proposal, and expected ones of M_s's step in its place.
    """

    pomdp: RoutingPOMDP
    cells: Array
    bins: Array
    counts: Array
    expected_strong: Array

    @classmethod
    def of(cls, pomdp: RoutingPOMDP) -> "_Draws":
        counts = np.array(pomdp.tokens.counts)
        cells = pomdp.cells.reshape(3, -1).cumsum(axis=1)
        bins = np.cumsum(pomdp.tokens.weights)
        strong = np.array([pomdp.tokens.expected_strong(count) for count in counts])
        return cls(pomdp, cells / cells[:, -1:], bins / bins[-1], counts, strong)

    def proposals(self, step: int, right: Flags, regenerated: Flags, chances: Array) -> _Drawn:
        newest, cell, in_m, in_r, token, final, _ = chances
        drawn = np.full(len(right), self.pomdp.weak_by_step[step - 1])
        if self.pomdp.transitions is Transitions.PAPER:
            drawn[regenerated] = 1.0
        newest_right = newest < drawn
        classes = np.where(right, np.where(newest_right, StepClass.CORRECT, StepClass.RECOVERABLE), StepClass.DERAILED)
        _, n_m, n_r = self.pomdp.cells.shape
        place = np.empty(len(right), dtype=np.int64)
        for step_class in StepClass:
            of_class = classes == step_class
            place[of_class] = np.searchsorted(self.cells[step_class], cell[of_class], side="right")
        bins = np.searchsorted(self.bins, token, side="right")
        proposals = ProposalBatch(
            step=np.full(len(right), step),
            earlier=(place // n_r + in_m) / n_m,
            newest=(place % n_r + in_r) / n_r,
            tokens=self.counts[bins],
            final=final < self.pomdp.hazard[step - 1],
        )
        return _Drawn(proposals, newest_right, bins)

    def accepted(self, step: int, right: Flags, newest_right: Flags, regenerate: Flags, chances: Array) -> Flags:
        """Whether the accepted prefix is right."""
        repaired = chances[6] < self.pomdp.strong_by_step[step - 1]
        return np.asarray(right & np.where(regenerate, repaired, newest_right))
