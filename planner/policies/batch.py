"""Policies on columns: bit for bit the decisions of the policies on single proposals, a batch at a time."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kde.filter import DENSITY_FLOOR
from kde.samples import Array
from planner.decision import Action
from planner.policies.columns import CONTINUE, NO_ACTION, REGENERATE, DecisionColumns, ProposalColumns
from planner.table import PolicyTable

BatchRule = Callable[[ProposalColumns], DecisionColumns]
"""Decides acceptable rows; the caller has set aside those that `refused_by_bayes` names, if the policy carries a belief."""


@dataclass(frozen=True, slots=True)
class BatchPolicy:
    """A policy on columns.

    Attributes:
        decide: its rule.
        refuses: [n] rows that it cannot decide, acceptable as they are.
        table_hash: content hash of its table; empty without one.
    """

    decide: BatchRule
    refuses: Callable[[ProposalColumns], NDArray[np.bool_]]
    table_hash: str = ""


def fixed_batch(action: Action) -> BatchPolicy:
    """Always the same action."""
    code = REGENERATE if action is Action.REGENERATE else CONTINUE

    def decide(rows: ProposalColumns) -> DecisionColumns:
        decisions = DecisionColumns.unanswered(len(rows))
        decisions.actions[:] = code
        return decisions

    return BatchPolicy(decide, refuses_nothing)


def threshold_batch(threshold: float) -> BatchPolicy:
    """TRIM-Thr: regenerate iff r_t < threshold."""

    def decide(rows: ProposalColumns) -> DecisionColumns:
        decisions = DecisionColumns.unanswered(len(rows))
        decisions.actions[:] = np.where(rows.newest < threshold, REGENERATE, CONTINUE)
        return decisions

    return BatchPolicy(decide, refuses_nothing)


def table_batch(table: PolicyTable, lam: float, *, recursive: bool) -> BatchPolicy:
    """TRIM-POMDP under the recursive filter or the memoryless one.

    Raises:
        UnknownPolicyError: the table was not built for this lambda.
    """
    rule = _TableRule(table, table.index(lam), lam, _likelihoods(table), _bayes if recursive else _memoryless)
    return BatchPolicy(rule.decide, refuses_broken_carry if recursive else refuses_nothing, table.content_hash)


def refuses_nothing(rows: ProposalColumns) -> NDArray[np.bool_]:
    """No row."""
    return np.zeros(len(rows), np.bool_)


def refuses_broken_carry(rows: ProposalColumns) -> NDArray[np.bool_]:
    """Rows of the first step that carry something, and rows of later steps that carry no belief."""
    first = rows.steps == 1
    unbelieving = (rows.beliefs == 0).all(axis=1)
    return np.asarray(np.where(first, rows.last_actions != NO_ACTION, unbelieving), dtype=np.bool_)


Prior = Callable[[PolicyTable, ProposalColumns], tuple[Array, Array, Array]]
"""Class probabilities before the newest features are seen, each [n]."""


def _memoryless(table: PolicyTable, rows: ProposalColumns) -> tuple[Array, Array, Array]:  # noqa: ARG001
    uniform = np.full(len(rows), 1 / 3)
    return uniform, uniform, uniform


def _bayes(table: PolicyTable, rows: ProposalColumns) -> tuple[Array, Array, Array]:
    correct, _, recoverable = rows.beliefs.T
    q = np.where(rows.last_actions == CONTINUE, correct, table.p_strong * (correct + recoverable))
    q[rows.steps == 1] = 1.0
    return q * table.p_weak, 1 - q, q * (1 - table.p_weak)


def _likelihoods(table: PolicyTable) -> Array:
    """[3, n_m n_r], floored like those of `TablePolicy`."""
    _, n_m, n_r = table.cells.shape
    return np.ascontiguousarray(table.cells.reshape(3, -1).clip(min=DENSITY_FLOOR / (n_m * n_r)))


@dataclass(frozen=True, slots=True)
class _TableRule:
    table: PolicyTable
    index: int
    lam: float
    likelihoods: Array
    prior: Prior

    def decide(self, rows: ProposalColumns) -> DecisionColumns:
        table = self.table
        beliefs = self._posterior(rows)
        break_even = self._lookup(rows, beliefs)
        expected = table.strong_intercept + table.strong_slope * rows.tokens.astype(np.float64)
        actions = np.where(expected < break_even, REGENERATE, CONTINUE).astype(np.uint8)
        return DecisionColumns(actions, beliefs, break_even, expected, self.lam * (break_even - expected))

    def _posterior(self, rows: ProposalColumns) -> Array:
        _, n_m, n_r = self.table.cells.shape
        i = np.minimum((rows.earlier * n_m).astype(np.intp), n_m - 1)
        j = np.minimum((rows.newest * n_r).astype(np.intp), n_r - 1)
        l0, l1, l2 = self.likelihoods[:, i * n_r + j]
        p0, p1, p2 = self.prior(self.table, rows)
        w0, w1, w2 = p0 * l0, p1 * l1, p2 * l2
        total = w0 + w1 + w2
        beliefs = np.empty((len(rows), 3))
        for column, weight in enumerate((w0, w1, w2)):
            np.divide(weight, total, out=beliefs[:, column])
        return beliefs

    def _lookup(self, rows: ProposalColumns, beliefs: Array) -> Array:
        """`PolicyTable.lookup` on columns: the same operations in the same order."""
        n, surface = self.table.resolution, self.table.break_even
        _, max_steps, _, nodes = surface.shape
        x, y = beliefs[:, 0] * n, beliefs[:, 1] * n
        i = np.minimum(x.astype(np.intp), n - 1)
        j = np.minimum(y.astype(np.intp), n - 1 - i)
        fx, fy = x - i, y - j
        step = np.minimum(rows.steps, max_steps).astype(np.intp) - 1
        here = ((self.index * max_steps + step) * 2 + rows.finals) * nodes + i * (2 * n + 3 - i) // 2 + j
        down = here + n + 1 - i
        values = surface.reshape(-1)
        lower = (fx + fy <= 1) | (i + j == n - 1)
        at_down, at_right = values[down].astype(np.float64), values[here + 1].astype(np.float64)
        near = (1 - fx - fy) * values[here].astype(np.float64) + fx * at_down + fy * at_right
        opposite = values[np.where(lower, down, down + 1)].astype(np.float64)
        far = (fx + fy - 1) * opposite + (1 - fy) * at_down + (1 - fx) * at_right
        return np.where(lower, near, far)
