"""`pomdp-online:LAMBDA`: the paper's online re-solve, by the exact solver and without Julia.

A solve from the belief at hand would give the same as a solve from the start: the exact solution knows every belief. So it is solved once,
when the policy is first asked for, and each decision evaluates it at its own belief and token count. `pomdp:LAMBDA` reads the same solution
from a lattice of beliefs, between whose nodes it interpolates; that is all by which the two differ.
"""

import numpy as np

from kde.samples import Array
from planner.batch import CarryBatch, Counts, DecisionBatch, Flags, ProposalBatch
from planner.decision import Carry, Decision, Need, Proposal
from planner.exact import solve_exact
from planner.policies.belief import BeliefUpdate
from planner.policies.columns import decide_one
from planner.pomdp import prefix_after_continue, prefix_after_regenerate
from planner.table import PolicyTable

_GAP = 1e-5


class OnlinePolicy:
    """The exact solution at the belief that is held, for the POMDP of a table and one of its lambdas.

    Raises:
        UnknownPolicyError: the table was not built for this lambda.
    """

    def __init__(self, policy_id: str, table: PolicyTable, lam: float) -> None:
        table.index(lam)
        self._id, self._lam, self._hash = policy_id, lam, table.content_hash
        self._pomdp = table.pomdp
        self._beliefs = BeliefUpdate(table.pomdp)
        (self._solution,) = solve_exact(table.pomdp, [lam], gap=_GAP)

    @property
    def id(self) -> str:
        """`pomdp-online:LAMBDA`, as it was asked for."""
        return self._id

    @property
    def table_hash(self) -> str:
        """Content hash of the table whose POMDP is solved."""
        return self._hash

    @property
    def needs(self) -> Need:
        """The last belief, unless the filter is memoryless."""
        return Need.BELIEF if self._beliefs.recursive else Need.NOTHING

    def decide(self, proposal: Proposal, carry: Carry | None) -> Decision:
        """As `decide_many` for one proposal.

        Raises:
            InputError: the carry does not fit the step.
        """
        return decide_one(self, proposal, carry)

    def decide_many(self, proposals: ProposalBatch, carries: CarryBatch | None) -> DecisionBatch:
        """Update the beliefs, evaluate the solution at them, compare with the expected prices.

        Raises:
            InputError: a proposal beyond the first step comes without a carry.
        """
        belief = self._beliefs.many(proposals, carries)
        step = np.minimum(proposals.step, self._pomdp.max_steps)
        break_even = self._break_even(step, proposals.final | (step == self._pomdp.max_steps), belief)
        tokens = self._pomdp.tokens
        expected = np.asarray(tokens.strong_intercept + tokens.strong_slope * proposals.tokens, dtype=np.float64)
        advantage = self._lam * (break_even - expected)
        return DecisionBatch(expected < break_even, belief, break_even, expected, advantage)

    def _break_even(self, step: Counts, final: Flags, belief: Array) -> Array:
        """n*, [n], as `Solution.break_even_tokens` has it for every step."""
        solution = self._solution
        stay = prefix_after_continue(belief)
        repaired = prefix_after_regenerate(belief, self._pomdp.strong_by_step[step - 1])
        gain = repaired - stay
        for t in np.unique(step[~final]):
            here = ~final & (step == t)
            worth = np.interp(repaired[here], solution.grid, solution.after_regenerate[t])
            gain[here] = worth - np.interp(stay[here], solution.grid, solution.after_continue[t])
        return np.asarray(gain / self._lam, dtype=np.float64)
