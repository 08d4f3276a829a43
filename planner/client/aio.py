"""The asynchronous client."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import stamina
from grpc import aio

from planner.client.batching import Batcher
from planner.client.errors import PlannerUnavailableError, is_passing, refused_or_absent, when_to_retry
from planner.client.fallback import Fallback
from planner.client.pool import Pool, Replica, Security
from planner.decision import Carry, Decision, Proposal
from planner.v1 import planner_pb2 as pb
from planner.wire import read_response, request_message


@dataclass(slots=True)
class Counts:
    """What a client has seen.

    Attributes:
        decisions: answered by a planner.
        retries: calls asked again.
        fallbacks: decisions of the declared fallback.
    """

    decisions: int = 0
    retries: int = 0
    fallbacks: int = 0


class PlannerClient:
    """Channels to the replicas of a planner.

    Deciding is free of side effects, so a call that failed in passing is asked again, of the next replica, with back-off and jitter. A
    replica that fails again and again is left alone for a while. With a fallback declared, no decision takes longer than `patience`.

    Args:
        server: HOST:PORT or unix:PATH, or several: replicas that calls are spread over.
        deadline: seconds for one call.
        attempts: how often to ask before giving up.
        fallback: what decides while no planner answers (`planner.client.fallback`): `continue`, `thr:0.4`, `table`; None raises.
        patience: seconds after which a declared fallback decides.
        linger: seconds that a decision waits for others to share its call; None asks one by one.
        connections: connections to each address; several spread over the workers behind one port.
        security: TLS and token.
        breaker: failures in a row after which a replica is left alone, and for how many seconds at first.

    Attributes:
        counts: what has happened so far.

    Raises:
        InputError: an argument is out of range, or a file of `security` cannot be read.
    """

    def __init__(
        self,
        server: str | Sequence[str],
        *,
        deadline: float = 2.0,
        attempts: int = 8,
        fallback: str | None = None,
        patience: float = 2.0,
        linger: float | None = None,
        connections: int = 1,
        security: Security | None = None,
        breaker: tuple[int, float] = (5, 0.5),
    ) -> None:
        addresses = [server] if isinstance(server, str) else list(server)
        trusted = Security() if security is None else security
        self._servers, self._attempts, self._patience = ", ".join(addresses), attempts, patience
        self._deadline = deadline if fallback is None else min(deadline, patience)
        self._metadata = trusted.metadata()
        self._fallback = None if fallback is None else Fallback(fallback)
        self._pool = Pool(addresses, connections, trusted, breaker)
        self._batcher = None if linger is None else Batcher(linger, self._call_batch)
        self.counts = Counts()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Finish what is waiting and close the channels."""
        if self._batcher is not None:
            await self._batcher.close()
        if self._fallback is not None:
            await self._fallback.close()
        await self._pool.close()

    @property
    def ready_to_fall_back(self) -> bool:
        """Whether the declared fallback has all that it needs: a table has to be fetched first."""
        return self._fallback is not None and self._fallback.ready

    async def decide(self, policy: str, proposal: Proposal, carry: Carry | None) -> Decision:
        """Decide under the named policy.

        Raises:
            PlannerRefusedError: the request is not acceptable; asking again does not help.
            PlannerUnavailableError: no answer within the retries, and no fallback is declared.
        """
        try:
            if self._batcher is not None:
                decision = await self._batcher.decide(policy, proposal, carry)
            else:
                response = await self._call("Decide", request_message(policy, proposal, carry))
                decision = read_response(policy, response)
        except PlannerUnavailableError:
            if self._fallback is None:
                raise
            self.counts.fallbacks += 1
            return self._fallback.decide(policy, proposal, carry)
        self.counts.decisions += 1
        if self._fallback is not None:
            self._fallback.heard(decision, self._table)
        return decision

    async def list_policies(self) -> list[pb.Policy]:
        """The policies on offer.

        Raises:
            TrimError: as `decide`.
        """
        response: pb.ListPoliciesResponse = await self._call("ListPolicies", pb.ListPoliciesRequest())
        return list(response.policies)

    async def _call_batch(self, request: pb.DecideBatchRequest) -> pb.DecideBatchResponse:
        response: pb.DecideBatchResponse = await self._call("DecideBatch", request)
        return response

    async def _call(self, method: str, request: Any) -> Any:
        """One call, asked again while it fails in passing."""
        began = asyncio.get_running_loop().time()
        try:
            try:
                return await self._attempt(method, request)  # the hot path knows nothing of retries
            except aio.AioRpcError as error:
                if not is_passing(error) or self._attempts == 1:
                    raise
                return await self._retry(method, request, error, began)
        except aio.AioRpcError as error:
            raise refused_or_absent(self._servers, error) from error

    async def _retry(self, method: str, request: Any, first: aio.AioRpcError, began: float) -> Any:
        again = stamina.retry_context(
            on=when_to_retry, attempts=self._attempts, timeout=None, wait_initial=0.1, wait_max=2.0, wait_jitter=0.1
        )
        try:
            async with asyncio.timeout_at(None if self._fallback is None else began + self._patience):
                async for attempt in again:
                    with attempt:
                        if attempt.num == 1:
                            raise first
                        self.counts.retries += 1
                        return await self._attempt(method, request)
        except TimeoutError as error:
            raise PlannerUnavailableError(f"planner {self._servers}: no answer within {self._patience:g} s") from error
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _attempt(self, method: str, request: Any) -> Any:
        replica = self._pool.pick()
        if replica is None:
            if self._fallback is not None:
                raise PlannerUnavailableError(f"planner {self._servers}: every replica has failed and is left alone")
            replica = self._pool.soonest()
        return await self._ask(replica, method, request)

    async def _ask(self, replica: Replica, method: str, request: Any) -> Any:
        breaker = replica.breaker
        breaker.started()
        try:
            call = getattr(replica.stub, method)
            response = await call(request, timeout=self._deadline, metadata=self._metadata)
        except aio.AioRpcError as error:
            if is_passing(error):
                breaker.failed()
            else:
                breaker.succeeded()
            raise
        except BaseException:
            breaker.abandoned()
            raise
        breaker.succeeded()
        return response

    async def _table(self, table_hash: str) -> AsyncIterator[pb.GetTableResponse]:
        replica = self._pool.pick() or self._pool.soonest()
        stream = replica.stub.GetTable(pb.GetTableRequest(table_hash=table_hash), timeout=60.0, metadata=self._metadata)
        async for piece in stream:
            yield piece
