"""Between the columns of `DecideBatch` and arrays.

Packed repeated numbers are, on the wire, the little-endian array itself, so whole columns are copied instead of built number by number.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kde.errors import InputError
from planner.policies.columns import DecisionColumns, ProposalColumns
from planner.v1 import planner_pb2 as pb

_LENGTH_DELIMITED = 2
_NUMBERS = {field.name: field.number for field in pb.DecideBatchResponse.DESCRIPTOR.fields}


def read_batch(message: pb.DecideBatchRequest, most: int) -> tuple[NDArray[np.intp], ProposalColumns]:
    """For every row its place in `policy_ids`, and the columns.

    Raises:
        InputError: the batch is empty or too long, or a column has another length or names a policy that is not listed.
    """
    count = len(message.steps)
    if not 1 <= count <= most:
        raise InputError("request", field="steps", value=f"{count} rows", remedy=f"a batch has 1 to {most}")
    if not 1 <= len(message.policy_ids) <= 64:
        value = f"{len(message.policy_ids)} ids"
        raise InputError("request", field="policy_ids", value=value, remedy="a batch names 1 to 64 policies")
    policies = _column(message, "policies", count, np.intp, optional=len(message.policy_ids) == 1)
    if (policies >= len(message.policy_ids)).any():
        row = int(np.argmax(policies >= len(message.policy_ids)))
        remedy = f"policy_ids has {len(message.policy_ids)} entries, counted from 0"
        raise InputError("request", field=f"policies[{row}]", value=int(policies[row]), remedy=remedy)
    return policies, ProposalColumns(
        steps=_column(message, "steps", count, np.uint32),
        earlier=_column(message, "earlier", count, np.float64),
        newest=_column(message, "newest", count, np.float64),
        tokens=_column(message, "token_counts", count, np.uint32),
        finals=_column(message, "finals", count, np.bool_),
        last_actions=_column(message, "last_actions", count, np.int32, optional=True),
        beliefs=_column(message, "beliefs", 3 * count, np.float64, optional=True).reshape(count, 3),
        spent=_numbers(message, "spent_tokens", count),
    )


def batch_response(
    decisions: DecisionColumns, table_hashes: Sequence[str], refusals: Sequence[pb.DecideBatchRefusal]
) -> pb.DecideBatchResponse:
    """The response that carries the decisions; columns that say nothing stay empty."""
    columns = [_packed("actions", decisions.actions.tobytes())]
    if decisions.beliefs.any():
        columns.append(_packed("beliefs", decisions.beliefs.astype("<f8", copy=False).tobytes()))
    for name, column in (
        ("break_even_tokens", decisions.break_even_tokens),
        ("expected_strong_tokens", decisions.expected_strong_tokens),
        ("advantages", decisions.advantages),
        ("spent_tokens", decisions.spent),
    ):
        if not np.isnan(column).all():
            columns.append(_packed(name, column.astype("<f8", copy=False).tobytes()))
    message = pb.DecideBatchResponse.FromString(b"".join(columns))
    message.table_hashes.extend(table_hashes)
    message.refusals.extend(refusals)
    return message


def read_batch_response(message: pb.DecideBatchResponse) -> DecisionColumns:
    """The columns that a response carries.

    Raises:
        InputError: a column has another length than the actions.
    """
    count = len(message.actions)
    names = ("break_even_tokens", "expected_strong_tokens", "advantages", "spent_tokens")
    numbers = [_numbers(message, name, count) for name in names]
    actions = _column(message, "actions", count, np.uint8)
    return DecisionColumns(
        actions, _column(message, "beliefs", 3 * count, np.float64, optional=True).reshape(count, 3), *numbers
    )


def _column(
    message: pb.DecideBatchRequest | pb.DecideBatchResponse,
    name: str,
    count: int,
    kind: type,
    *,
    optional: bool = False,
) -> NDArray[Any]:
    values = getattr(message, name)
    if optional and not values:
        return np.zeros(count, kind)
    if len(values) != count:
        raise InputError("batch", field=name, value=f"{len(values)} values", remedy=f"as many as rows: {count}")
    return np.asarray(values, dtype=kind)


def _numbers(message: pb.DecideBatchRequest | pb.DecideBatchResponse, name: str, count: int) -> NDArray[np.float64]:
    """A column of numbers, NaN in all rows where it is empty."""
    return _column(message, name, count, np.float64) if getattr(message, name) else np.full(count, np.nan)


def _packed(name: str, content: bytes) -> bytes:
    """A packed repeated field of `DecideBatchResponse`: key, length, content."""
    return _varint(_NUMBERS[name] << 3 | _LENGTH_DELIMITED) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    taken = bytearray()
    while number > 0x7F:
        taken.append(number & 0x7F | 0x80)
        number >>= 7
    taken.append(number)
    return bytes(taken)
