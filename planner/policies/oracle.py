"""`oracle:LAMBDA`: the best that any step router could do, because it sees the true class. For simulation and labelled traces only."""

from typing import NoReturn

import numpy as np

from kde.errors import InputError
from kde.filter import BAYES
from kde.samples import StepClass
from planner.batch import CarryBatch, DecisionBatch, ProposalBatch
from planner.decision import Action, Belief, Carry, Decision, Need, Proposal
from planner.exact import Solution, solve_exact
from planner.policies.tableless import Tableless
from planner.pomdp import RoutingPOMDP

_CERTAIN: dict[StepClass, Belief] = {
    StepClass.CORRECT: (1.0, 0.0, 0.0),
    StepClass.DERAILED: (0.0, 1.0, 0.0),
    StepClass.RECOVERABLE: (0.0, 0.0, 1.0),
}


def solve_oracle(pomdp: RoutingPOMDP, lam: float, *, gap: float = 1e-6) -> Solution:
    """The POMDP whose scores give the class away, solved; its value bounds that of every step router from above.

    Raises:
        InputError: lambda is not a positive number.
    """
    changed = pomdp.description() | {"filter": BAYES.model_dump(mode="json")}
    (solution,) = solve_exact(RoutingPOMDP.described(np.eye(3)[:, :, None], changed), [lam], gap=gap)
    return solution


class OraclePolicy(Tableless):
    """Regenerate where that is worth its price, knowing the class of this proposal and of every one to come."""

    def __init__(self, policy_id: str, pomdp: RoutingPOMDP, lam: float) -> None:
        self._id, self._lam, self._tokens = policy_id, lam, pomdp.tokens
        self._break_even = solve_oracle(pomdp, lam).break_even_tokens(np.eye(3))

    @property
    def id(self) -> str:
        """`oracle:LAMBDA`."""
        return self._id

    @property
    def needs(self) -> Need:
        """The true class."""
        return Need.TRUTH

    def decide(self, proposal: Proposal, carry: Carry | None) -> Decision:  # noqa: ARG002
        """Compare what the class makes the step worth with what it is expected to cost.

        Raises:
            InputError: the true class is not known.
        """
        if proposal.truth is None:
            _refuse()
        step = min(proposal.step, len(self._break_even))
        break_even = float(self._break_even[step - 1, int(proposal.final), proposal.truth])
        expected = self._tokens.strong_intercept + self._tokens.strong_slope * proposal.tokens
        return Decision(
            action=Action.REGENERATE if expected < break_even else Action.CONTINUE,
            policy=self._id,
            belief=_CERTAIN[proposal.truth],
            break_even_tokens=break_even,
            expected_strong_tokens=expected,
            advantage=self._lam * (break_even - expected),
        )

    def decide_many(self, proposals: ProposalBatch, carries: CarryBatch | None) -> DecisionBatch:  # noqa: ARG002
        """As `decide`, bit for bit.

        Raises:
            InputError: the true classes are not known.
        """
        if proposals.classes is None:
            _refuse()
        step = np.minimum(proposals.step, len(self._break_even))
        break_even = self._break_even[step - 1, proposals.final.astype(np.intp), proposals.classes]
        expected = np.asarray(self._tokens.strong_intercept + self._tokens.strong_slope * proposals.tokens)
        belief = np.eye(3)[proposals.classes]
        advantage = self._lam * (break_even - expected)
        return DecisionBatch(expected < break_even, belief, break_even, expected, advantage)


def _refuse() -> NoReturn:
    remedy = "the oracle sees the true class, which only a simulation or a labelled trace knows: no planner serves it"
    raise InputError("policy oracle", field="truth", value=None, remedy=remedy)
