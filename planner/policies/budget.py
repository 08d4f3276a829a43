"""`budget:B`: at most B strong tokens a trace, planned anew at every step with what is left (`planner.budget`)."""

import numpy as np

from kde.errors import InputError
from planner.batch import CarryBatch, DecisionBatch, ProposalBatch
from planner.budget import BudgetTable
from planner.decision import Carry, Decision, Need, Proposal
from planner.policies.belief import BeliefUpdate
from planner.policies.columns import decide_one
from planner.pomdp import prefix_after_continue, prefix_after_regenerate


class BudgetPolicy:
    """Regenerate where what is left pays for it and gains more right answers than keeping it for later.

    What M_s will write is only expected; a caller that knows what it wrote says so in `Carry.spent`, and no step is rewritten whose
    expected tokens what is left does not cover. So the budget holds exactly in expected tokens, and in real ones up to what one step
    has beyond its expectation.

    Args:
        policy_id: as it was asked for.
        table: the solution.
        budget: B, strong tokens a trace.

    Raises:
        InputError: the budget is beyond what was solved.
    """

    def __init__(self, policy_id: str, table: BudgetTable, budget: float) -> None:
        if not 0 <= budget <= table.most:
            remedy = f"0 to {table.most:g} strong tokens: the budget table was built for so many"
            raise InputError("policy budget", field="budget", value=budget, remedy=remedy)
        self._id, self._table, self._budget = policy_id, table, budget
        self._beliefs = BeliefUpdate(table.pomdp)
        self._strong = table.pomdp.strong_by_step

    @property
    def id(self) -> str:
        """`budget:B`."""
        return self._id

    @property
    def table_hash(self) -> str:
        """Content hash of its solution."""
        return self._table.content_hash

    @property
    def needs(self) -> Need:
        """What was spent, and the last belief unless the filter is memoryless."""
        return Need.SPENT | (Need.BELIEF if self._beliefs.recursive else Need.NOTHING)

    def decide(self, proposal: Proposal, carry: Carry | None) -> Decision:
        """As `decide_many` for one proposal.

        Raises:
            InputError: a later step does not carry what was spent, or the belief.
        """
        return decide_one(self, proposal, carry)

    def decide_many(self, proposals: ProposalBatch, carries: CarryBatch | None) -> DecisionBatch:
        """Compare the value of what is left after rewriting with that of what is left after keeping.

        Raises:
            InputError: a proposal beyond the first step comes without a carry.
        """
        pomdp, table = self._table.pomdp, self._table
        belief = self._beliefs.many(proposals, carries)
        spent = np.zeros(len(belief)) if carries is None else np.where(proposals.step == 1, 0.0, carries.spent)
        expected = np.asarray(pomdp.tokens.strong_intercept + pomdp.tokens.strong_slope * proposals.tokens)
        left = np.maximum(self._budget - spent, 0.0)
        affordable = spent + expected <= self._budget
        step = np.minimum(proposals.step, pomdp.max_steps)
        final = proposals.final | (step == pomdp.max_steps)
        going_on = np.minimum(step, pomdp.max_steps - 1)  # the last step is final, whatever is read for it
        stay, mended = prefix_after_continue(belief), prefix_after_regenerate(belief, self._strong[step - 1])
        rest = np.where(affordable, left - expected, 0.0)
        keep = np.where(final, stay, table.worth(going_on, left, stay, regenerated=False))
        rewrite = np.where(final, mended, table.worth(going_on, rest, mended, regenerated=True))
        regenerate = affordable & (rewrite > keep)
        return DecisionBatch(
            regenerate,
            belief,
            expected_strong_tokens=expected,
            advantage=rewrite - keep,
            spent=spent + regenerate * expected,
        )
