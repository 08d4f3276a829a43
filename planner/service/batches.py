"""Deciding a batch: rows grouped by policy, columns decided at once, refused rows named one by one."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kde.errors import InputError
from planner.batch import BatchPolicy
from planner.policies.catalogue import Catalogue
from planner.policies.columns import DecisionColumns, ProposalColumns, decide_columns, lacks


@dataclass(frozen=True, slots=True)
class DecidedBatch:
    """A batch and its answers.

    Attributes:
        policy_ids: as asked for.
        policies: [n] place of each row's policy in `policy_ids`.
        proposals: what was shown.
        decisions: the answers; refused rows are unanswered.
        table_hashes: of every policy; empty where there is none.
        refusals: the error of every refused row, ascending.
    """

    policy_ids: tuple[str, ...]
    policies: NDArray[np.intp]
    proposals: ProposalColumns
    decisions: DecisionColumns
    table_hashes: tuple[str, ...]
    refusals: dict[int, InputError]


def decide_batch(
    catalogue: Catalogue, policy_ids: tuple[str, ...], policies: NDArray[np.intp], proposals: ProposalColumns
) -> DecidedBatch:
    """Decide every row under its policy."""
    decisions = DecisionColumns.unanswered(len(proposals))
    acceptable = proposals.acceptable()
    refusals: dict[int, InputError] = {}
    hashes = []
    for place, policy_id in enumerate(policy_ids):
        rows = np.flatnonzero(policies == place) if len(policy_ids) > 1 else np.arange(len(proposals))
        try:
            policy = catalogue.get(policy_id)
        except InputError as error:
            refusals |= dict.fromkeys(rows.tolist(), error)
            hashes.append("")
            continue
        hashes.append(policy.table_hash)
        shown = proposals if len(rows) == len(proposals) else proposals.take(rows)
        refused = ~acceptable[rows] | lacks(policy, shown)
        if not refused.any() and len(rows) == len(proposals):
            decisions = decide_columns(policy, proposals)
            continue
        _decide_some(policy, shown, rows, refused, decisions)
        refusals |= _explain(policy.decide, proposals, rows[refused])
    return DecidedBatch(policy_ids, policies, proposals, decisions, tuple(hashes), dict(sorted(refusals.items())))


def _decide_some(
    policy: BatchPolicy,
    shown: ProposalColumns,
    rows: NDArray[np.intp],
    refused: NDArray[np.bool_],
    decisions: DecisionColumns,
) -> None:
    kept = np.flatnonzero(~refused)
    if len(kept):
        decisions.put(rows[kept], decide_columns(policy, shown.take(kept)))


def _explain(
    decide: Callable[..., object], proposals: ProposalColumns, rows: NDArray[np.intp]
) -> dict[int, InputError]:
    """The error that each row gets from the policy on single proposals."""
    errors = {}
    for row in rows.tolist():
        try:
            decide(*proposals.row(row))
        except InputError as error:
            errors[row] = error
        else:
            raise AssertionError(f"row {row} is refused in a batch and accepted alone")
    return errors
