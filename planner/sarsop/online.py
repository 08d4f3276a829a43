"""The paper's online variant: solve again at a decision, from the belief held there.

A solve takes seconds, so it is spent only where it may matter: where the newest step may well be the wrong one. Elsewhere the step is
accepted.
"""

from dataclasses import dataclass

from kde.errors import InputError
from planner.decision import Action, Carry, Decision, Proposal
from planner.explicit import ACTIONS, Now
from planner.policies.pomdp import TablePolicy
from planner.sarsop.solver import SarsopSolver
from planner.table import PolicyTable

CLOSENESS = 0.4


@dataclass(frozen=True, slots=True)
class OnlinePolicy:
    """Decides by solving from the current belief; blocks while it does.

    Attributes:
        table: its POMDP is solved, and its filter forms the belief.
        lam: lambda, one of the table's.
        solver: what solves.
        closeness: solve only where b(S2) is within this of the largest belief; the paper takes 0.35 to 0.40.

    Raises:
        InputError: closeness is outside [0, 1].
        UnknownPolicyError: the table was not built for this lambda.
    """

    table: PolicyTable
    lam: float
    solver: SarsopSolver
    closeness: float = CLOSENESS

    def __post_init__(self) -> None:
        self.table.index(self.lam)
        if not 0 <= self.closeness <= 1:
            raise InputError("online policy", field="closeness", value=self.closeness, remedy="a number in [0, 1]")

    @property
    def id(self) -> str:
        """`pomdp-online:LAMBDA`."""
        return f"pomdp-online:{self.lam!r}"

    def decide(self, proposal: Proposal, carry: Carry | None) -> Decision:
        """Update the belief; solve from it where the newest step may be the wrong one, else continue.

        The last step needs no solve: what a repair is worth there is known.

        Raises:
            InputError: the carry does not fit the step, or there is no Julia.
            SolverError: the solver failed.
        """
        tabled = TablePolicy(self.id, self.table, self.lam).decide(proposal, carry)
        belief = tabled.belief
        if belief is None or belief[2] < max(belief) - self.closeness:
            return Decision(Action.CONTINUE, self.id, belief=belief)
        if proposal.final or proposal.step >= self.table.pomdp.max_steps:
            return Decision(tabled.action, self.id, belief=belief)
        now = Now(proposal.step, belief, float(proposal.tokens))
        model, policy = self.solver.solve_now(self.table.pomdp, self.lam, now)
        name = policy.action(model.initial)
        return Decision(Action.REGENERATE if name == ACTIONS[1] else Action.CONTINUE, self.id, belief=belief)
