"""`PolicyAdminService`: building, activating and retiring policies of a folder of tables."""

import asyncio
import fcntl
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

from grpc import aio

from kde.errors import InputError
from planner.decision import UnknownPolicyError
from planner.policies.offer import ACTIVE_FILE, ActivePolicies, Offer
from planner.service.builds import BuildOrder, running_build
from planner.service.calls import CallRules, OpenCall, refusing
from planner.service.information import policy_message, policy_messages
from planner.service.metrics import ServiceMetrics
from planner.service.status import FailedPreconditionError, OverloadedError
from planner.service.tables import TableStore
from planner.table import TABLE
from planner.v1 import admin_pb2 as pb

log = logging.getLogger(__name__)

_GAP = 1e-4
_TELL_SECONDS = 0.5
_BUSY_SECONDS = 2.0
_STAGES = {"solving": pb.BUILD_STAGE_SOLVING, "writing": pb.BUILD_STAGE_WRITING}


class AdminServicer:
    """Changes the offer of one server; other workers and servers of the same folder follow when they see the change."""

    def __init__(self, store: TableStore, rules: CallRules, metrics: ServiceMetrics) -> None:
        self._store, self._rules, self._metrics = store, rules, metrics
        self._building = asyncio.Lock()

    async def BuildPolicy(  # noqa: N802
        self,
        request: pb.BuildPolicyRequest,
        context: aio.ServicerContext[pb.BuildPolicyRequest, pb.BuildPolicyResponse],
    ) -> None:
        """Build, telling how far it is."""
        async with refusing(self._metrics, "BuildPolicy", context), self._rules.open(context) as call:
            order = self._order(request)
            if self._building.locked():
                raise OverloadedError(_BUSY_SECONDS)
            async with self._building:
                await self._build(order, context, call)

    async def ActivatePolicy(  # noqa: N802
        self,
        request: pb.ActivatePolicyRequest,
        context: aio.ServicerContext[pb.ActivatePolicyRequest, pb.ActivatePolicyResponse],
    ) -> pb.ActivatePolicyResponse:
        """Put a version of a policy on offer."""
        async with refusing(self._metrics, "ActivatePolicy", context):
            lam = _wanted_lam(request)
            if not request.table_hash:
                raise InputError("request", field="table_hash", value="", remedy="name the version to activate")
            await asyncio.to_thread(self._activate, lam, request.table_hash)
            await self._store.reload()
            log.info("policy activated", extra={"lambda": lam, "table_hash": request.table_hash})
            return pb.ActivatePolicyResponse(policies=policy_messages(self._store.catalogue))

    async def RetirePolicy(  # noqa: N802
        self,
        request: pb.RetirePolicyRequest,
        context: aio.ServicerContext[pb.RetirePolicyRequest, pb.RetirePolicyResponse],
    ) -> pb.RetirePolicyResponse:
        """Take a policy off the offer."""
        async with refusing(self._metrics, "RetirePolicy", context):
            lam = _wanted_lam(request)
            await asyncio.to_thread(self._retire, lam)
            await self._store.reload()
            log.info("policy retired", extra={"lambda": lam})
            return pb.RetirePolicyResponse(policies=policy_messages(self._store.catalogue))

    def _order(self, request: pb.BuildPolicyRequest) -> BuildOrder:
        """What a request asks for, checked."""
        self._check_folder()
        lam, gap = _wanted_lam(request), request.gap if request.HasField("gap") else _GAP
        if not 0 < gap < float("inf"):
            raise InputError("request", field="gap", value=gap, remedy="a positive number, for example 1e-4")
        offer = self._store.offer
        wanted = request.table_hash or (next(iter(offer.tables)) if len(offer.tables) == 1 else "")
        if wanted not in offer.tables:
            remedy = f"name one of {', '.join(offer.tables)}"
            raise InputError("request", field="table_hash", value=wanted, remedy=remedy)
        return BuildOrder(offer.places[wanted], lam, gap)

    async def _build(self, order: BuildOrder, context: aio.ServicerContext[Any, Any], call: OpenCall) -> None:
        started = perf_counter()

        async def tell(stage: "pb.BuildStage.ValueType", **more: Any) -> None:
            message = pb.BuildPolicyResponse(stage=stage, elapsed_seconds=perf_counter() - started, **more)
            await call.wait(context.write(message))

        stage = pb.BUILD_STAGE_STARTED
        async with running_build(order, self._store.directory) as build:
            next_stage = asyncio.ensure_future(build.next_stage())
            try:
                while True:
                    await tell(stage)
                    await call.wait(asyncio.wait({next_stage}, timeout=_TELL_SECONDS))
                    if not next_stage.done():
                        continue
                    told = next_stage.result()
                    if told["stage"] == "done":
                        break
                    stage = _STAGES[told["stage"]]
                    next_stage = asyncio.ensure_future(build.next_stage())
            finally:
                next_stage.cancel()
            table_hash = str(told["table_hash"])
            await asyncio.to_thread(self._keep, build.directory, order.lam, table_hash)
        await self._store.reload()
        policy = policy_message(self._store.offer.tables[table_hash], order.lam)
        log.info("policy built", extra={"lambda": order.lam, "table_hash": table_hash})
        await tell(pb.BUILD_STAGE_DONE, policy=policy)

    def _activate(self, lam: float, table_hash: str) -> None:
        with self._changing() as (offer, active):
            table = offer.tables.get(table_hash)
            if table is None or all(entry.lam != lam for entry in table.entries):
                remedy = f"no table of the folder has this hash and lambda {lam!r}: build it first"
                raise UnknownPolicyError("request", field="table_hash", value=table_hash, remedy=remedy)
            ActivePolicies(tables={**active.tables, lam: table_hash}).save(self._store.directory)

    def _retire(self, lam: float) -> None:
        with self._changing() as (_, active):
            if lam not in active.tables:
                known = ", ".join(f"{each!r}" for each in active.tables)
                raise UnknownPolicyError("request", field="lam", value=lam, remedy=f"on offer are {known}")
            left = {each: table_hash for each, table_hash in active.tables.items() if each != lam}
            ActivePolicies(tables=left).save(self._store.directory)

    def _keep(self, built: Path, lam: float, table_hash: str) -> None:
        """Move a finished table into the folder; what is on offer stays as it is."""
        with self._changing() as (_, active):
            active.save(self._store.directory)
            place = self._store.directory / f"pomdp-{lam!r}-{table_hash[:12]}"
            if not place.exists():
                built.rename(place)

    def _check_folder(self) -> None:
        if (self._store.directory / f"{TABLE.name}.json").exists():
            raise FailedPreconditionError(
                f"{self._store.directory} is one table; serve a folder of tables to add to it or to take from it"
            )

    @contextmanager
    def _changing(self) -> Iterator[tuple[Offer, ActivePolicies]]:
        """What the folder holds and offers now, while no other process changes it. It waits and reads: for threads only."""
        self._check_folder()
        with (self._store.directory / f".{ACTIVE_FILE}.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            offer = Offer.load(self._store.directory)
            yield offer, offer.active


def _wanted_lam(request: pb.BuildPolicyRequest | pb.ActivatePolicyRequest | pb.RetirePolicyRequest) -> float:
    if not request.HasField("lam") or not 0 < request.lam < float("inf"):
        value = request.lam if request.HasField("lam") else None
        raise InputError("request", field="lam", value=value, remedy="a positive number (reward per strong token)")
    return request.lam
