"""Thresholds on the newest step's score: TRIM-Thr and One-Step Thr of the paper, and the published methods that come down to one.

`thr:T` rewrites every step below T. `one-step-thr:T` hands over for good: after the first step below T, M_s writes all that remains.
`rsd` is reward-guided speculative decoding (arXiv 2501.19324) with its published threshold of 0.7. `specreason:S` is SpecReason
(arXiv 2504.07891), which accepts a step that the base model gives at least S of 9 points; its scores come to the planner as points / 9.
"""

from dataclasses import dataclass

import numpy as np

from kde.errors import InputError
from planner.batch import CarryBatch, DecisionBatch, Flags, ProposalBatch
from planner.decision import Action, Carry, Decision, Need, Proposal, demand
from planner.policies.tableless import Tableless

RSD_THRESHOLD = 0.7
MOST_POINTS = 9
"""SpecReason's scale: 0 to 9 points."""


@dataclass(frozen=True, slots=True)
class _Thresholded(Tableless):
    """A threshold on the newest score.

    Attributes:
        id: as it was asked for.
        threshold: in [0, 1].

    Raises:
        InputError: the threshold is outside [0, 1].
    """

    id: str
    threshold: float

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            family = self.id.partition(":")[0]
            remedy = f"a number in [0, 1], for example {family}:0.5"
            raise InputError(f"policy {family}", field="threshold", value=self.threshold, remedy=remedy)


class ThresholdPolicy(_Thresholded):
    """Regenerate iff r_t < threshold (the paper's TRIM-Thr)."""

    __slots__ = ()

    def decide(self, proposal: Proposal, carry: Carry | None) -> Decision:  # noqa: ARG002
        """Compare the newest score with the threshold."""
        action = Action.REGENERATE if proposal.newest < self.threshold else Action.CONTINUE
        return Decision(action, self.id)

    def decide_many(self, proposals: ProposalBatch, carries: CarryBatch | None) -> DecisionBatch:  # noqa: ARG002
        """Compare every newest score with the threshold."""
        return DecisionBatch(proposals.newest < self.threshold)


class OneStepThresholdPolicy(_Thresholded):
    """Regenerate from the first step with r_t < threshold on: that M_s wrote the last step says that it has begun."""

    __slots__ = ()

    @property
    def needs(self) -> Need:
        """What was done at the step before."""
        return Need.ACTION

    def decide(self, proposal: Proposal, carry: Carry | None) -> Decision:
        """Go on with M_s, or compare the newest score with the threshold.

        Raises:
            InputError: a later step carries no action, or the first step carries one.
        """
        demand(self.needs, proposal, carry)
        begun = carry is not None and carry.action is Action.REGENERATE
        regenerate = begun or proposal.newest < self.threshold
        return Decision(Action.REGENERATE if regenerate else Action.CONTINUE, self.id)

    def decide_many(self, proposals: ProposalBatch, carries: CarryBatch | None) -> DecisionBatch:
        """As `decide` for every proposal.

        Raises:
            InputError: later steps come without a carry.
        """
        low = proposals.newest < self.threshold
        return DecisionBatch(low | _begun(proposals, carries))


def _begun(proposals: ProposalBatch, carries: CarryBatch | None) -> Flags:
    """[n] whether M_s wrote the step before; never before a first step.

    Raises:
        InputError: later steps come without a carry.
    """
    later = proposals.step > 1
    if carries is not None:
        return carries.regenerated & later
    if later.any():
        remedy = "later steps need what was done at the step before"
        raise InputError("decision", field="last_action", value=None, remedy=remedy)
    return np.zeros(len(later), np.bool_)


def points_threshold(policy_id: str, points: float) -> float:
    """The score below which SpecReason rejects a step, of a threshold in points.

    Raises:
        InputError: it is no whole number from 0 to 9.
    """
    if points not in range(MOST_POINTS + 1):
        remedy = "whole points from 0 to 9, for example specreason:7"
        raise InputError(f"policy {policy_id}", field="threshold", value=points, remedy=remedy)
    return points / MOST_POINTS
