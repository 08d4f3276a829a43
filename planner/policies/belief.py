"""The belief that a policy forms of a proposal: one step of the filter that its POMDP was planned with.

Single proposals are the hot path and are worked in plain numbers; arrays of them give the same, bit for bit.
"""

import numpy as np

from kde.errors import InputError
from kde.filter import DENSITY_FLOOR, BeliefFilter, FilterKind, posterior, predict
from kde.samples import Array
from planner.batch import CarryBatch, Counts, ProposalBatch
from planner.decision import Action, Belief, Carry, Proposal
from planner.pomdp import RoutingPOMDP, Transitions

_UNIFORM: Belief = (1 / 3, 1 / 3, 1 / 3)


class BeliefUpdate:
    """One POMDP under one belief filter, by default the POMDP's own.

    Attributes:
        recursive: whether later steps need the belief of the step before.
    """

    def __init__(self, pomdp: RoutingPOMDP, belief_filter: BeliefFilter | None = None) -> None:
        chosen = belief_filter or pomdp.filter
        self.recursive = chosen.kind is not FilterKind.MEMORYLESS
        self._pomdp = pomdp
        self._drawn_after_repair = pomdp.transitions is Transitions.TWO_STAGE
        self._weak: list[float] = pomdp.weak_by_step.tolist()
        self._strong: list[float] = pomdp.strong_by_step.tolist()
        _, self._n_m, self._n_r = pomdp.cells.shape
        floor = DENSITY_FLOOR / (self._n_m * self._n_r)
        self._cells: Array = chosen.observation_cells(pomdp.cells).reshape(3, -1).T.clip(min=floor)
        self._likelihoods: list[Belief] = [(s0, s1, s2) for s0, s1, s2 in self._cells.tolist()]

    def one(self, proposal: Proposal, carry: Carry | None) -> Belief:
        """Belief after a proposal has been seen.

        Raises:
            InputError: the carry does not fit the step.
        """
        return self._posterior(self._prior(proposal, carry) if self.recursive else _UNIFORM, proposal)

    def many(self, proposals: ProposalBatch, carries: CarryBatch | None) -> Array:
        """As `one`, bit for bit, for independent proposals: [n, 3].

        Raises:
            InputError: a proposal beyond the first step comes without a carry.
        """
        i = np.minimum((proposals.earlier * self._n_m).astype(np.intp), self._n_m - 1)
        j = np.minimum((proposals.newest * self._n_r).astype(np.intp), self._n_r - 1)
        likelihood = self._cells.take(i * self._n_r + j, axis=0)
        t = np.minimum(proposals.step, self._pomdp.max_steps) - 1
        prior = self._priors(proposals, carries, t) if self.recursive else np.full((len(t), 3), 1 / 3)
        return posterior(prior, likelihood, cells=self._n_m * self._n_r)

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
        weak = self._pomdp.weak_by_step.take(t)
        first = proposals.step == 1
        if carries is None:
            if not first.all():
                raise _no_belief(int(proposals.step.max()))
            return predict(np.ones(len(t)), weak)
        strong = self._pomdp.strong_by_step.take(t - 1, mode="wrap")  # first steps read none
        correct, recoverable = carries.belief[:, 0], carries.belief[:, 2]
        q = np.where(carries.regenerated, strong * (correct + recoverable), correct)
        if not self._drawn_after_repair:
            weak = np.where(carries.regenerated & ~first, 1.0, weak)
        return predict(np.where(first, 1.0, q), weak)


def _no_belief(step: int) -> InputError:
    remedy = f"step {step} needs the belief and action of step {step - 1}"
    return InputError("decision", field="belief", value=None, remedy=remedy)
