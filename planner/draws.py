"""What the routing POMDP draws at a step, for many episodes at once: classes, scores, token counts and ends, inverted from uniform numbers.

An episode uses the same uniform numbers whatever is decided, so two policies that are shown equal generators meet the same episodes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kde.samples import Array, StepClass
from planner.batch import Counts, Flags, ProposalBatch
from planner.pomdp import RoutingPOMDP, Transitions

DRAWS = 7
"""Uniform numbers that an episode uses at every step."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """Proposals of one step.

    Attributes:
        proposals: what is seen of them.
        classes: [n] their true classes, which the proposals know too.
        newest_right: [n] whether the newest step is right, given a right prefix.
        expected_strong: [n] E[strong tokens] of rewriting it.
    """

    proposals: ProposalBatch
    classes: Counts
    newest_right: Flags
    expected_strong: Array


@dataclass(frozen=True, slots=True)
class Draws:
    """Distribution functions of one POMDP, inverted by search. Scores are uniform within their cell.

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
    def of(cls, pomdp: RoutingPOMDP) -> "Draws":
        """Of a POMDP: scores come from the observation model's cells, whatever the policy's filter makes of them."""
        counts = np.array(pomdp.tokens.counts)
        cells = pomdp.cells.reshape(3, -1).cumsum(axis=1)
        bins = np.cumsum(pomdp.tokens.weights)
        strong = np.array([pomdp.tokens.expected_strong(count) for count in counts])
        return cls(pomdp, cells / cells[:, -1:], bins / bins[-1], counts, strong)

    def proposals(self, step: Counts, right: Flags, regenerated: Flags, chances: Array) -> Drawn:
        """The next proposals.

        Args:
            step: [n] t, 1-based.
            right: [n] whether the accepted prefix is right.
            regenerated: [n] whether M_s wrote its last step.
            chances: [DRAWS, n] uniform numbers.
        """
        newest, cell, in_m, in_r, token, final, _ = chances
        drawn = self.pomdp.weak_by_step[step - 1]
        if self.pomdp.transitions is Transitions.PAPER:
            drawn = np.where(regenerated, 1.0, drawn)
        newest_right = newest < drawn
        open_class = np.where(newest_right, StepClass.CORRECT, StepClass.RECOVERABLE)
        classes: Counts = np.where(right, open_class, StepClass.DERAILED).astype(np.int64)
        _, n_m, n_r = self.pomdp.cells.shape
        place: NDArray[np.int64] = np.empty(len(right), dtype=np.int64)
        for step_class in StepClass:
            of_class = classes == step_class
            place[of_class] = np.searchsorted(self.cells[step_class], cell[of_class], side="right")
        bins = np.searchsorted(self.bins, token, side="right")
        proposals = ProposalBatch(
            step=step,
            earlier=(place // n_r + in_m) / n_m,
            newest=(place % n_r + in_r) / n_r,
            tokens=self.counts[bins],
            final=final < self.pomdp.hazard[step - 1],
            classes=classes,
        )
        return Drawn(proposals, classes, newest_right, self.expected_strong[bins])

    def accepted(self, step: Counts, right: Flags, newest_right: Flags, regenerate: Flags, chances: Array) -> Flags:
        """Whether the accepted prefix is right, [n]; the arguments are those of `proposals`."""
        repaired = chances[6] < self.pomdp.strong_by_step[step - 1]
        return np.asarray(right & np.where(regenerate, repaired, newest_right))
