"""What is on offer: `ListPolicies`, `GetPolicy`, `WatchPolicies` and `GetTable`."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from grpc import aio

from kde.artefact import read_artefact
from planner.decision import UnknownPolicyError
from planner.policies.catalogue import Catalogue
from planner.service.calls import CallRules, refusing
from planner.service.metrics import ServiceMetrics
from planner.service.status import UnknownTableError
from planner.service.tables import TableStore
from planner.table import TABLE, PolicyTable
from planner.v1 import planner_pb2 as pb

_PIECE = 256 * 1024


@dataclass(frozen=True, slots=True)
class InformationDesk:
    """Says what is on offer.

    Attributes:
        store: the policies on offer.
        rules: for streams.
        metrics: the counts.
    """

    store: TableStore
    rules: CallRules
    metrics: ServiceMetrics

    async def list_policies(
        self,
        request: pb.ListPoliciesRequest,  # noqa: ARG002  it has nothing to say
        context: aio.ServicerContext[pb.ListPoliciesRequest, pb.ListPoliciesResponse],
    ) -> pb.ListPoliciesResponse:
        """List the policies of the tables."""
        async with refusing(self.metrics, "ListPolicies", context):
            return pb.ListPoliciesResponse(policies=policy_messages(self.store.catalogue))

    async def get_policy(
        self, request: pb.GetPolicyRequest, context: aio.ServicerContext[pb.GetPolicyRequest, pb.GetPolicyResponse]
    ) -> pb.GetPolicyResponse:
        """Describe a policy and its table."""
        async with refusing(self.metrics, "GetPolicy", context):
            lam, table = _find(self.store.catalogue, request.policy_id)
            return pb.GetPolicyResponse(
                policy=policy_message(table, lam),
                max_steps=table.break_even.shape[1],
                resolution=table.resolution,
                pomdp_json=json.dumps(table.pomdp.description(), sort_keys=True),
                provenance_json=json.dumps(table.provenance, sort_keys=True),
            )

    async def watch_policies(
        self,
        request: pb.WatchPoliciesRequest,  # noqa: ARG002  it has nothing to say
        context: aio.ServicerContext[pb.WatchPoliciesRequest, pb.WatchPoliciesResponse],
    ) -> None:
        """Send the policies now and after every change."""
        async with refusing(self.metrics, "WatchPolicies", context), self.rules.open(context) as call:
            while True:
                offer = self.store.offer
                policies = policy_messages(offer.catalogue)
                await call.wait(context.write(pb.WatchPoliciesResponse(policies=policies)))
                if self.store.offer is offer:
                    await call.wait(self.store.changed())

    async def get_table(
        self, request: pb.GetTableRequest, context: aio.ServicerContext[pb.GetTableRequest, pb.GetTableResponse]
    ) -> None:
        """Send the files of a table."""
        async with refusing(self.metrics, "GetTable", context), self.rules.open(context) as call:
            wanted = request.table_hash
            if wanted not in self.store.offer.places:
                remedy = "no table of this hash is here: ListPolicies names those on offer"
                raise UnknownTableError("request", field="table_hash", value=wanted, remedy=remedy)
            pieces = await asyncio.to_thread(_table_files, self.store.offer.places[wanted], wanted)
            for name, content in pieces.items():
                for start in range(0, len(content), _PIECE):
                    piece = content[start : start + _PIECE]
                    await call.wait(context.write(pb.GetTableResponse(file=name, content=piece)))


def policy_message(table: PolicyTable, lam: float) -> pb.Policy:
    """One policy as the wire has it."""
    entry = table.entries[table.index(lam)]
    return pb.Policy(
        policy_id=f"pomdp:{lam!r}",
        lam=lam,
        table_hash=table.content_hash,
        value=entry.value,
        lower=entry.lower,
        upper=entry.upper,
    )


def policy_messages(catalogue: Catalogue) -> Iterator[pb.Policy]:
    """All policies of the tables on offer, ascending by lambda, then the learned ones."""
    yield from (policy_message(table, lam) for lam, table in catalogue.tables.items())
    for lam, learned in catalogue.learned.items():
        yield pb.Policy(policy_id=f"agg:{lam!r}", lam=lam, table_hash=learned.table_hash)


def _find(catalogue: Catalogue, policy_id: str) -> tuple[float, PolicyTable]:
    catalogue.get(policy_id)
    family, _, parameter = policy_id.partition(":")
    if not family.startswith("pomdp"):
        remedy = "it has no table to describe; ListPolicies names those that have"
        raise UnknownPolicyError("request", field="policy_id", value=policy_id, remedy=remedy)
    return float(parameter), catalogue.tables[float(parameter)]


def _table_files(place: Path, wanted: str) -> dict[str, bytes]:
    """Content of the table's files, as long as they are still those that were loaded."""
    artefact = read_artefact(place, TABLE)
    if artefact.content_hash != wanted:
        remedy = "its files have been replaced since it was loaded: ask for the new one"
        raise UnknownTableError("request", field="table_hash", value=wanted, remedy=remedy)
    return {name: (place / name).read_bytes() for name in (f"{TABLE.name}.json", f"{TABLE.name}.safetensors")}
