"""TRIM-POMDP: regenerate where the step is expected to cost fewer strong tokens than it is worth at the current belief.

The policy is the same table under two belief filters: `pomdp` updates the belief recursively (Bayes), `pomdp-memoryless` forms it
from the newest features alone, as the authors do.
"""

from collections.abc import Callable

from kde.errors import InputError
from kde.filter import DENSITY_FLOOR
from planner.decision import Action, Belief, Carry, Decision, Proposal
from planner.table import PolicyTable

PriorRule = Callable[[PolicyTable, Proposal, Carry | None], Belief]
"""Class probabilities before the newest features are seen."""


def memoryless_prior(table: PolicyTable, proposal: Proposal, carry: Carry | None) -> Belief:  # noqa: ARG001
    """Uniform, whatever came before."""
    return (1 / 3, 1 / 3, 1 / 3)


def bayes_prior(table: PolicyTable, proposal: Proposal, carry: Carry | None) -> Belief:
    """The prior that the last belief and action imply (DESIGN section 3); a right, empty prefix before the first step."""
    if proposal.step == 1:
        if carry is not None:
            raise InputError("decision", field="carry", value=carry, remedy="nothing comes before step 1: leave it out")
        q = 1.0
    elif carry is None or carry.belief is None:
        raise InputError(
            "decision",
            field="belief",
            value=None,
            remedy=f"step {proposal.step} needs the belief and action of step {proposal.step - 1}",
        )
    else:
        correct, _, recoverable = carry.belief
        q = correct if carry.action is Action.CONTINUE else table.p_strong * (correct + recoverable)
    return (q * table.p_weak, 1 - q, q * (1 - table.p_weak))


class TablePolicy:
    """One lambda of a policy table under one belief filter."""

    def __init__(self, policy_id: str, table: PolicyTable, lam: float, prior: PriorRule) -> None:
        self._id, self._table, self._lam, self._prior = policy_id, table, lam, prior
        self._index = table.index(lam)
        _, self._n_m, self._n_r = table.cells.shape
        floor = DENSITY_FLOOR / (self._n_m * self._n_r)
        rows = table.cells.reshape(3, -1).clip(min=floor).T.tolist()
        self._likelihoods: list[Belief] = [(s0, s1, s2) for s0, s1, s2 in rows]

    @property
    def id(self) -> str:
        """`pomdp:LAMBDA` or `pomdp-memoryless:LAMBDA`, as it was asked for."""
        return self._id

    def decide(self, proposal: Proposal, carry: Carry | None) -> Decision:
        """Update the belief, look up its break-even count, compare it with the expected price."""
        table = self._table
        belief = self._posterior(self._prior(table, proposal, carry), proposal)
        break_even = table.lookup(self._index, proposal.step, belief, final=proposal.final)
        expected = table.strong_intercept + table.strong_slope * proposal.tokens
        return Decision(
            action=Action.REGENERATE if expected < break_even else Action.CONTINUE,
            policy=self._id,
            belief=belief,
            break_even_tokens=break_even,
            expected_strong_tokens=expected,
            advantage=self._lam * (break_even - expected),
            table_hash=table.content_hash,
        )

    def _posterior(self, prior: Belief, proposal: Proposal) -> Belief:
        """Bayes' rule on one cell; plain numbers, because this is the hot path (its array twin is `kde.filter.posterior`)."""
        i = min(int(proposal.earlier * self._n_m), self._n_m - 1)
        j = min(int(proposal.newest * self._n_r), self._n_r - 1)
        l0, l1, l2 = self._likelihoods[i * self._n_r + j]
        w0, w1, w2 = prior[0] * l0, prior[1] * l1, prior[2] * l2
        total = w0 + w1 + w2
        return (w0 / total, w1 / total, w2 / total)
