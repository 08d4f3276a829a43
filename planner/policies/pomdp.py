"""TRIM-POMDP: regenerate where the step is expected to cost fewer strong tokens than it is worth at the current belief.

`pomdp` forms the belief with the filter that its table was planned with; `pomdp-memoryless` forms it from the newest features alone, as the
paper's authors do, and reads the same table.
"""

import numpy as np

from kde.filter import BeliefFilter
from planner.batch import CarryBatch, DecisionBatch, ProposalBatch
from planner.decision import Action, Carry, Decision, Need, Proposal
from planner.lattice import interpolate
from planner.policies.belief import BeliefUpdate
from planner.table import PolicyTable


class TablePolicy:
    """One lambda of a policy table under one belief filter, by default the table's own.

    Raises:
        UnknownPolicyError: the table was not built for this lambda.
    """

    def __init__(
        self, policy_id: str, table: PolicyTable, lam: float, belief_filter: BeliefFilter | None = None
    ) -> None:
        self._id, self._table, self._lam = policy_id, table, lam
        self._index = table.index(lam)
        self._beliefs = BeliefUpdate(table.pomdp, belief_filter)
        self._intercept, self._slope = table.pomdp.tokens.strong_intercept, table.pomdp.tokens.strong_slope

    @property
    def id(self) -> str:
        """`pomdp:LAMBDA` or `pomdp-memoryless:LAMBDA`, as it was asked for."""
        return self._id

    @property
    def table_hash(self) -> str:
        """Content hash of its table."""
        return self._table.content_hash

    @property
    def needs(self) -> Need:
        """The last belief, unless its filter is memoryless."""
        return Need.BELIEF if self._beliefs.recursive else Need.NOTHING

    def decide(self, proposal: Proposal, carry: Carry | None) -> Decision:
        """Update the belief, look up its break-even count, compare it with the expected price."""
        table = self._table
        belief = self._beliefs.one(proposal, carry)
        break_even = table.lookup(self._index, proposal.step, belief, final=proposal.final)
        expected = self._intercept + self._slope * proposal.tokens
        return Decision(
            action=Action.REGENERATE if expected < break_even else Action.CONTINUE,
            policy=self._id,
            belief=belief,
            break_even_tokens=break_even,
            expected_strong_tokens=expected,
            advantage=self._lam * (break_even - expected),
            table_hash=table.content_hash,
        )

    def decide_many(self, proposals: ProposalBatch, carries: CarryBatch | None) -> DecisionBatch:
        """As `decide`, bit for bit, for arrays of independent proposals.

        Raises:
            InputError: a proposal beyond the first step comes without a carry.
        """
        steps = self._table.pomdp.max_steps
        t = np.minimum(proposals.step, steps) - 1
        belief = self._beliefs.many(proposals, carries)
        surfaces = self._table.break_even[self._index].reshape(2 * steps, -1)
        break_even = interpolate(surfaces, 2 * t + proposals.final, belief, self._table.resolution)
        expected = np.asarray(self._intercept + self._slope * proposals.tokens, dtype=np.float64)
        advantage = self._lam * (break_even - expected)
        return DecisionBatch(expected < break_even, belief, break_even, expected, advantage)
