"""TRIM-POMDP: regenerate where the step is expected to cost fewer strong tokens than it is worth at the current belief.

`pomdp` forms the belief with the filter that its table was planned with; `pomdp-memoryless` forms it from the newest features alone, as the
paper's authors do, and reads the same table.
"""

import numpy as np

from kde.errors import InputError
from kde.filter import DENSITY_FLOOR, BeliefFilter, FilterKind, posterior, predict
from kde.samples import Array
from planner.batch import CarryBatch, Counts, DecisionBatch, ProposalBatch
from planner.decision import Action, Belief, Carry, Decision, Proposal
from planner.lattice import interpolate
from planner.pomdp import Transitions
from planner.table import PolicyTable

_UNIFORM: Belief = (1 / 3, 1 / 3, 1 / 3)


class TablePolicy:
    """One lambda of a policy table under one belief filter, by default the table's own.

    Raises:
        UnknownPolicyError: the table was not built for this lambda.
    """

    def __init__(
        self, policy_id: str, table: PolicyTable, lam: float, belief_filter: BeliefFilter | None = None
    ) -> None:
        pomdp, chosen = table.pomdp, belief_filter or table.pomdp.filter
        self._id, self._table, self._lam = policy_id, table, lam
        self._index = table.index(lam)
        self._recursive = chosen.kind is not FilterKind.MEMORYLESS
        self._drawn_after_repair = pomdp.transitions is Transitions.TWO_STAGE
        self._weak: list[float] = pomdp.weak_by_step.tolist()
        self._strong: list[float] = pomdp.strong_by_step.tolist()
        self._intercept, self._slope = pomdp.tokens.strong_intercept, pomdp.tokens.strong_slope
        _, self._n_m, self._n_r = pomdp.cells.shape
        floor = DENSITY_FLOOR / (self._n_m * self._n_r)
        self._cells: Array = chosen.observation_cells(pomdp.cells).reshape(3, -1).T.clip(min=floor)
        self._likelihoods: list[Belief] = [(s0, s1, s2) for s0, s1, s2 in self._cells.tolist()]

    @property
    def id(self) -> str:
        """`pomdp:LAMBDA` or `pomdp-memoryless:LAMBDA`, as it was asked for."""
        return self._id

    @property
    def table_hash(self) -> str:
        """Content hash of its table."""
        return self._table.content_hash

    @property
    def keeps_belief(self) -> bool:
        """Unless its filter is memoryless."""
        return self._recursive

    def decide(self, proposal: Proposal, carry: Carry | None) -> Decision:
        """Update the belief, look up its break-even count, compare it with the expected price."""
        table = self._table
        belief = self._posterior(self._prior(proposal, carry) if self._recursive else _UNIFORM, proposal)
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
        i = np.minimum((proposals.earlier * self._n_m).astype(np.intp), self._n_m - 1)
        j = np.minimum((proposals.newest * self._n_r).astype(np.intp), self._n_r - 1)
        likelihood = self._cells.take(i * self._n_r + j, axis=0)
        prior = self._priors(proposals, carries, t) if self._recursive else np.full((len(t), 3), 1 / 3)
        belief = posterior(prior, likelihood, cells=self._n_m * self._n_r)
        surfaces = self._table.break_even[self._index].reshape(2 * steps, -1)
        break_even = interpolate(surfaces, 2 * t + proposals.final, belief, self._table.resolution)
        expected = np.asarray(self._intercept + self._slope * proposals.tokens, dtype=np.float64)
        advantage = self._lam * (break_even - expected)
        return DecisionBatch(expected < break_even, belief, break_even, expected, advantage)

    def _prior(self, proposal: Proposal, carry: Carry | None) -> Belief:
        """The prior that the last belief and action imply (DESIGN section 3); a right, empty prefix before the first step."""
        step = min(proposal.step, len(self._weak))
        p_weak = self._weak[step - 1]
        if proposal.step == 1:
            if carry is not None:
                raise InputError(
                    "decision", field="carry", value=carry, remedy="nothing comes before step 1: leave it out"
                )
            q = 1.0
        elif carry is None or carry.belief is None:
            raise _no_belief(proposal.step)
        else:
            correct, _, recoverable = carry.belief
            if carry.action is Action.CONTINUE:
                q = correct
            else:
                q = self._strong[step - 2] * (correct + recoverable)
                p_weak = p_weak if self._drawn_after_repair else 1.0
        return (q * p_weak, 1 - q, q * (1 - p_weak))

    def _posterior(self, prior: Belief, proposal: Proposal) -> Belief:
        """Bayes' rule on one cell; plain numbers, because this is the hot path (its array twin is `kde.filter.posterior`)."""
        i = min(int(proposal.earlier * self._n_m), self._n_m - 1)
        j = min(int(proposal.newest * self._n_r), self._n_r - 1)
        l0, l1, l2 = self._likelihoods[i * self._n_r + j]
        w0, w1, w2 = prior[0] * l0, prior[1] * l1, prior[2] * l2
        total = w0 + w1 + w2
        return (w0 / total, w1 / total, w2 / total)

    def _priors(self, proposals: ProposalBatch, carries: CarryBatch | None, t: Counts) -> Array:
        """As `_prior`; rows of first steps are a right, empty prefix, whatever is carried."""
        weak = self._table.pomdp.weak_by_step.take(t)
        first = proposals.step == 1
        if carries is None:
            if not first.all():
                raise _no_belief(int(proposals.step.max()))
            return predict(np.ones(len(t)), weak)
        strong = self._table.pomdp.strong_by_step.take(t - 1, mode="wrap")  # first steps read none
        correct, recoverable = carries.belief[:, 0], carries.belief[:, 2]
        q = np.where(carries.regenerated, strong * (correct + recoverable), correct)
        if not self._drawn_after_repair:
            weak = np.where(carries.regenerated & ~first, 1.0, weak)
        return predict(np.where(first, 1.0, q), weak)


def _no_belief(step: int) -> InputError:
    remedy = f"step {step} needs the belief and action of step {step - 1}"
    return InputError("decision", field="belief", value=None, remedy=remedy)
