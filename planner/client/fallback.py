"""What decides while no planner answers.

`continue` accepts every step, `thr:0.4` is a threshold, `table` is the very table that the planner decided from, fetched while it was
there; `table,thr:0.4` says what decides until the table is here (without it, `continue`).

A rule without a table cannot update a belief. So that a trace can go back to the planner, it hands on the last belief, and the uniform
one where there is none; a step that it rewrites counts as its proposal's tokens.
"""

import asyncio
import logging
import tempfile
import time
from collections.abc import AsyncIterable, Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from grpc.aio import AioRpcError

from kde.errors import InputError, TrimError
from planner.decision import Action, Carry, Decision, Proposal
from planner.v1 import planner_pb2 as pb

if TYPE_CHECKING:
    from planner.policies.catalogue import Catalogue

_FORMS = "continue, thr:THRESHOLD, table, or table and one of the others: table,thr:0.4"
log = logging.getLogger(__name__)

_RETRY_SECONDS = 10.0
_MOST_BYTES = 256 * 2**20
_UNIFORM = (1 / 3, 1 / 3, 1 / 3)
_BELIEVING = ("pomdp", "agg", "budget")
"""Families that want a belief at the next step."""
_COUNTING = "budget"
"""The family that wants the strong tokens so far."""


class Fallback:
    """A declared fallback.

    Args:
        declared: in words, as above.

    Raises:
        InputError: it is something else.
    """

    def __init__(self, declared: str) -> None:
        parts = declared.split(",")
        self._wants_table = parts[0] == "table"
        rule = (parts[1:] or ["continue"]) if self._wants_table else parts
        if len(rule) != 1:
            raise InputError("client", field="fallback", value=declared, remedy=f"write {_FORMS}")
        self._threshold = _threshold(declared, rule[0])
        self._catalogues: dict[str, Catalogue] = {}
        self._hashes: dict[str, str] = {}
        self._fetching: asyncio.Task[None] | None = None
        self._not_before = 0.0

    @property
    def ready(self) -> bool:
        """Whether all that was declared is here: the table of every policy that has been asked for, if tables were."""
        wanted = set(self._hashes.values())
        return not self._wants_table or (bool(wanted) and wanted <= set(self._catalogues))

    def decide(self, policy: str, proposal: Proposal, carry: Carry | None) -> Decision:
        """Decide without the planner; the decision is marked.

        Raises:
            InputError: the table refuses the input.
        """
        catalogue = self._catalogues.get(self._hashes.get(policy, ""))
        if catalogue is not None:
            return replace(catalogue.get(policy).decide(proposal, carry), fallback=True)
        action = Action.REGENERATE if proposal.newest < self._threshold else Action.CONTINUE
        belief = spent = None
        if policy.startswith(_BELIEVING):
            belief = _UNIFORM if carry is None or carry.belief is None else carry.belief
        if policy.startswith(_COUNTING):
            before = 0.0 if carry is None or carry.spent is None else carry.spent
            spent = before + (proposal.tokens if action is Action.REGENERATE else 0)
        return Decision(action, policy, belief=belief, spent=spent, fallback=True)

    def heard(self, decision: Decision, fetch: Callable[[str], AsyncIterable[pb.GetTableResponse]]) -> None:
        """Take note of a planner's decision; the table behind it is fetched in the background if it is not here yet."""
        if not (self._wants_table and decision.table_hash and decision.policy.startswith("pomdp")):
            return
        self._hashes[decision.policy] = decision.table_hash
        idle = (self._fetching is None or self._fetching.done()) and time.monotonic() >= self._not_before
        if decision.table_hash not in self._catalogues and idle:
            self._fetching = asyncio.create_task(self._fetch(decision.table_hash, fetch))

    async def close(self) -> None:
        """Stop fetching."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.gather(self._fetching, return_exceptions=True)

    async def _fetch(self, table_hash: str, fetch: Callable[[str], AsyncIterable[pb.GetTableResponse]]) -> None:
        try:
            catalogue = await asyncio.to_thread(_read_table, table_hash, await _gather(table_hash, fetch))
        except (AioRpcError, TrimError, OSError) as error:
            self._not_before = time.monotonic() + _RETRY_SECONDS
            log.warning("the table of the fallback could not be fetched: %s", error)
            return
        before, wanted = list(self._catalogues), set(self._hashes.values())
        kept = wanted.union(before[-1:])  # replicas may still decide by the one before, while tables are rolled out
        self._catalogues = {each: self._catalogues[each] for each in before if each in kept} | {table_hash: catalogue}


async def _gather(table_hash: str, fetch: Callable[[str], AsyncIterable[pb.GetTableResponse]]) -> dict[str, bytearray]:
    """The table's files by name."""
    files: dict[str, bytearray] = {}
    size = 0
    async for piece in fetch(table_hash):
        files.setdefault(piece.file, bytearray()).extend(piece.content)
        size += len(piece.content)
        if size > _MOST_BYTES:
            raise TrimError(f"table {table_hash[:12]} has more than {_MOST_BYTES} bytes")
    return files


def _read_table(table_hash: str, files: dict[str, bytearray]) -> "Catalogue":
    from planner.policies.catalogue import Catalogue  # noqa: PLC0415  numerics load where a table is wanted
    from planner.table import PolicyTable  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="trim-table-") as folder:
        for name, content in files.items():
            if Path(name).name != name:
                raise TrimError(f"the planner sent a file named {name!r}")
            (Path(folder) / name).write_bytes(content)
        table = PolicyTable.load(Path(folder))
    if table.content_hash != table_hash:
        raise TrimError(f"the planner sent table {table.content_hash[:12]} for {table_hash[:12]}")
    return Catalogue(table)


def _threshold(declared: str, rule: str) -> float:
    """Scores below it are regenerated: none of them for `continue`."""
    family, _, number = rule.partition(":")
    if rule == "continue":
        return 0.0
    try:
        threshold = float(number) if family == "thr" else -1.0
    except ValueError:
        threshold = -1.0
    if not 0 <= threshold <= 1:
        raise InputError("client", field="fallback", value=declared, remedy=f"write {_FORMS}")
    return threshold
