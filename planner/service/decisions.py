"""The decisions: `Decide`, `DecideBatch` and `RouteTrace`."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from grpc import aio

from kde.errors import TrimError
from planner.decision import Decision
from planner.service.admission import LoadGate
from planner.service.batch_wire import batch_response, read_batch
from planner.service.batches import DecidedBatch, decide_batch
from planner.service.calls import CallRules, refusing
from planner.service.decision_log import DecisionLog, LoggedDecision
from planner.service.metrics import ServiceMetrics
from planner.service.status import abort, code_name, refusal_kind, refused_field
from planner.service.tables import TableStore
from planner.v1 import planner_pb2 as pb
from planner.wire import read_request, response_message


@dataclass(frozen=True, slots=True)
class DecisionDesk:
    """What decisions are made with, and what is written down about them.

    Attributes:
        store: the policies on offer.
        gate: sends calls away while too many wait.
        rules: for streams.
        metrics: the counts.
        decision_log: where sampled decisions go, if anywhere.
        most_rows: longest batch.
    """

    store: TableStore
    gate: LoadGate
    rules: CallRules
    metrics: ServiceMetrics
    decision_log: DecisionLog | None
    most_rows: int

    async def decide(
        self, request: pb.DecideRequest, context: aio.ServicerContext[pb.DecideRequest, pb.DecideResponse]
    ) -> pb.DecideResponse:
        """Decide one proposal."""
        started = perf_counter()
        try:
            self.gate.admit()
            decision = self._decide(request)
        except TrimError as error:
            self._refused("Decide", error, started)
            await abort(context, error)
            raise
        response = response_message(decision)
        self.metrics.methods["Decide"].add(perf_counter() - started)
        return response

    async def decide_batch(
        self,
        request: pb.DecideBatchRequest,
        context: aio.ServicerContext[pb.DecideBatchRequest, pb.DecideBatchResponse],
    ) -> pb.DecideBatchResponse:
        """Decide many proposals in columns."""
        started = perf_counter()
        try:
            self.gate.admit()
            policies, proposals = read_batch(request, self.most_rows)
        except TrimError as error:
            self._refused("DecideBatch", error, started)
            await abort(context, error)
            raise
        batch = decide_batch(self.store.catalogue, tuple(request.policy_ids), policies, proposals)
        self._count(batch)
        response = batch_response(
            batch.decisions, batch.table_hashes, [_batch_refusal(*each) for each in batch.refusals.items()]
        )
        self.metrics.methods["DecideBatch"].add(perf_counter() - started)
        return response

    async def route_trace(
        self,
        requests: AsyncIterator[pb.RouteTraceRequest],  # noqa: ARG002  read through the context, one at a time
        context: aio.ServicerContext[pb.RouteTraceRequest, pb.RouteTraceResponse],
    ) -> None:
        """Decide the proposals of a stream, in order, until the worker closes it."""
        async with refusing(self.metrics, "RouteTrace", context), self.rules.open(context) as call:
            while (request := await call.wait(_read(context))) is not None:
                await call.wait(context.write(self._answer(request)))

    def _answer(self, request: pb.RouteTraceRequest) -> pb.RouteTraceResponse:
        try:
            self.gate.admit()
            return pb.RouteTraceResponse(
                sequence=request.sequence, decision=response_message(self._decide(request.proposal))
            )
        except TrimError as error:
            self.metrics.refused(error)
            refusal = pb.RouteTraceRefusal(refusal=refusal_kind(error), field=refused_field(error), message=str(error))
            return pb.RouteTraceResponse(sequence=request.sequence, refusal=refusal)

    def _decide(self, request: pb.DecideRequest) -> Decision:
        policy, proposal, carry = read_request(request)
        decision = self.store.catalogue.get(policy).decide(proposal, carry)
        self.metrics.decided(decision)
        if self.decision_log is not None and self.decision_log.sampled():
            self.decision_log.put(policy, proposal, carry, decision)
        return decision

    def _count(self, batch: DecidedBatch) -> None:
        for error in batch.refusals.values():
            self.metrics.refused(error)
        believing = np.asarray(batch.decisions.beliefs.any(axis=1))
        for place, policy in enumerate(batch.policy_ids):
            rows = slice(None) if len(batch.policy_ids) == 1 else batch.policies == place
            actions, beliefs = batch.decisions.actions[rows], batch.decisions.beliefs[rows]
            if not actions.any():  # nothing was decided, perhaps because there is no such policy: it needs no label
                continue
            self.metrics.decided_many(policy, actions, beliefs[believing[rows]])
        if self.decision_log is not None:
            chosen = [row for row in np.flatnonzero(batch.decisions.actions).tolist() if self.decision_log.sampled()]
            if chosen:
                self.decision_log.put_many(lambda: _rows_in_words(batch, chosen), len(chosen))

    def _refused(self, method: str, error: TrimError, started: float) -> None:
        self.metrics.refused(error)
        self.metrics.methods[method].add(perf_counter() - started, code_name(error))


def _rows_in_words(batch: DecidedBatch, rows: list[int]) -> Iterator[LoggedDecision]:
    for row in rows:
        policy, table_hash = batch.policy_ids[batch.policies[row]], batch.table_hashes[batch.policies[row]]
        proposal, carry = batch.proposals.row(row)
        yield policy, proposal, carry, batch.decisions.row(row, policy=policy, table_hash=table_hash)


def _batch_refusal(row: int, error: TrimError) -> pb.DecideBatchRefusal:
    return pb.DecideBatchRefusal(row=row, refusal=refusal_kind(error), field=refused_field(error), message=str(error))


async def _read(context: aio.ServicerContext[pb.RouteTraceRequest, Any]) -> pb.RouteTraceRequest | None:
    """The next message of a stream; None at its end."""
    message: Any = await context.read()
    return None if message is aio.EOF else message
