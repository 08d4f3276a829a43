"""Policies that ignore what they see."""

from dataclasses import dataclass

import numpy as np

from planner.batch import CarryBatch, DecisionBatch, ProposalBatch
from planner.decision import Action, Carry, Decision, Proposal
from planner.policies.tableless import Tableless


@dataclass(frozen=True, slots=True)
class FixedPolicy(Tableless):
    """Always the same action: `weak` accepts every step of M_w, `strong` lets M_s write every step."""

    id: str
    action: Action

    def decide(self, proposal: Proposal, carry: Carry | None) -> Decision:  # noqa: ARG002
        """The same action whatever is seen."""
        return Decision(self.action, self.id)

    def decide_many(self, proposals: ProposalBatch, carries: CarryBatch | None) -> DecisionBatch:  # noqa: ARG002
        """The same action for all."""
        return DecisionBatch(np.full(len(proposals.step), self.action is Action.REGENERATE))


WEAK = FixedPolicy("weak", Action.CONTINUE)
STRONG = FixedPolicy("strong", Action.REGENERATE)
