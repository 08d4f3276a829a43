"""The planner's client: decisions over gRPC, with deadlines and retries."""

from types import TracebackType
from typing import Self

import grpc
import stamina
from grpc import aio

from kde.errors import TrimError
from planner.decision import Carry, Decision, Proposal
from planner.v1 import planner_pb2_grpc as pb_grpc
from planner.wire import read_response, request_message

_REFUSED = {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND}
_PASSING = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED}


class PlannerRefusedError(TrimError):
    """The planner does not accept the request; the message is the planner's own."""


class PlannerUnavailableError(TrimError):
    """No planner answered within the retries."""


class PlannerClient:
    """A channel to one planner.

    Deciding is free of side effects, so a call that failed in passing is simply asked again: `attempts` times, each with `deadline`
    seconds, with back-off and jitter in between.
    """

    def __init__(self, server: str, *, deadline: float = 2.0, attempts: int = 8) -> None:
        self._server, self._deadline, self._attempts = server, deadline, attempts
        self._channel = aio.insecure_channel(server, options=[("grpc.initial_reconnect_backoff_ms", 100)])
        self._stub = pb_grpc.PlannerServiceStub(self._channel)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()

    async def decide(self, policy: str, proposal: Proposal, carry: Carry | None) -> Decision:
        """Decide under the named policy.

        Raises:
            PlannerRefusedError: the request is not acceptable; asking again does not help.
            PlannerUnavailableError: no answer within the retries.
        """
        request = request_message(policy, proposal, carry)
        retries = stamina.retry_context(
            on=_is_passing, attempts=self._attempts, timeout=None, wait_initial=0.1, wait_max=2.0, wait_jitter=0.1
        )
        try:
            async for attempt in retries:
                with attempt:
                    return read_response(policy, await self._stub.Decide(request, timeout=self._deadline))
        except aio.AioRpcError as error:
            if error.code() in _REFUSED:
                raise PlannerRefusedError(f"planner {self._server}: {error.details()}") from error
            if error.code() in _PASSING:
                remedy = "start it with `trim serve` and run the same command again"
                raise PlannerUnavailableError(
                    f"planner {self._server}: no answer ({error.code().name}); {remedy}"
                ) from error
            raise PlannerRefusedError(f"planner {self._server}: {error.code().name}: {error.details()}") from error
        raise AssertionError("unreachable: the last attempt returns or raises")


def _is_passing(error: Exception) -> bool:
    return isinstance(error, aio.AioRpcError) and error.code() in _PASSING
