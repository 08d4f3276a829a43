"""What holds for calls: refusals are counted and carry their status; open calls end when the server leaves or their time is up."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, TypeVar

from grpc import aio

from kde.errors import TrimError
from planner.service.metrics import ServiceMetrics
from planner.service.status import DrainingError, TooLateError, abort, code_name

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class OpenCall:
    """One call: every wait on its behalf goes through `wait`."""

    leaving: "asyncio.Task[object]"
    longest: float
    deadline: float | None

    async def wait(self, what: Awaitable[Answer]) -> Answer:
        """Await something that the client or another process has to do.

        Raises:
            DrainingError: the server leaves.
            TooLateError: the call's time is up.
        """
        waited = asyncio.ensure_future(what)
        left = None if self.deadline is None else self.deadline - asyncio.get_running_loop().time()
        try:
            await asyncio.wait({waited, self.leaving}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if waited.done():
                return waited.result()
        finally:
            waited.cancel()
        if self.leaving.done():
            raise DrainingError("the planner is leaving; ask another replica")
        raise TooLateError(f"the call was open for {self.longest:g} s and set no deadline of its own; call again")


@dataclass(frozen=True, slots=True)
class CallRules:
    """The rules for open calls.

    Attributes:
        longest: seconds that a call may take whose client set no deadline.
        draining: set once the server leaves.
    """

    longest: float
    draining: asyncio.Event = field(default_factory=asyncio.Event)

    @asynccontextmanager
    async def open(self, context: aio.ServicerContext[Any, Any]) -> AsyncIterator[OpenCall]:
        """The rules applied to one call; a deadline that the client set is gRPC's own business.

        Metadata goes ahead of everything: sent with the first message, it would be sent again by a refusal that comes before gRPC has
        said that this message is out, gRPC would not take that, and the call would stay open.
        """
        await context.send_initial_metadata(())
        leaving = asyncio.create_task(self.draining.wait())
        unlimited = context.time_remaining() is not None
        deadline = None if unlimited else asyncio.get_running_loop().time() + self.longest
        try:
            yield OpenCall(leaving, self.longest, deadline)
        finally:
            leaving.cancel()


@asynccontextmanager
async def refusing(metrics: ServiceMetrics, method: str, context: aio.ServicerContext[Any, Any]) -> AsyncIterator[None]:
    """Count a call, and end it with the status of the error that its block raises."""
    started = perf_counter()
    try:
        yield
    except TrimError as error:
        metrics.refused(error)
        metrics.methods[method].add(perf_counter() - started, code_name(error))
        await abort(context, error)
    metrics.methods[method].add(perf_counter() - started)
