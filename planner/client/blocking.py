"""The blocking client, for workers without an event loop: the asynchronous one on a thread of its own."""

import asyncio
import threading
from collections.abc import Coroutine, Sequence
from concurrent.futures import CancelledError
from types import TracebackType
from typing import Any, Self, TypeVar

from planner.client.aio import Counts, PlannerClient
from planner.client.errors import PlannerUnavailableError
from planner.decision import Carry, Decision, Proposal
from planner.v1 import planner_pb2 as pb

Answer = TypeVar("Answer")


class SyncPlannerClient:
    """`PlannerClient` for any number of threads; their decisions share batches if `linger` says so.

    Args: as `PlannerClient`.
    """

    def __init__(self, server: str | Sequence[str], **options: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="planner client", daemon=True)
        self._thread.start()
        try:
            self._client = self._run(_make(server, options))
        except BaseException:
            self._end()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def counts(self) -> Counts:
        """What has happened so far."""
        return self._client.counts

    def decide(self, policy: str, proposal: Proposal, carry: Carry | None) -> Decision:
        """Decide under the named policy.

        Raises:
            TrimError: as `PlannerClient.decide`.
        """
        return self._run(self._client.decide(policy, proposal, carry))

    def list_policies(self) -> list[pb.Policy]:
        """The policies on offer.

        Raises:
            TrimError: as `decide`.
        """
        return self._run(self._client.list_policies())

    def close(self) -> None:
        """Finish what is waiting, close the channels and end the thread; threads that still ask get PlannerUnavailableError."""
        self._run(self._client.close())
        self._end()

    def _run(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop).result()
        except CancelledError as error:
            raise PlannerUnavailableError("the planner's client was closed before an answer came") from error

    def _end(self) -> None:
        self._run(_cancel_the_rest())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _cancel_the_rest() -> None:
    """Other threads wait for these, and would for ever once the loop stands still."""
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)


async def _make(server: str | Sequence[str], options: dict[str, Any]) -> PlannerClient:
    return PlannerClient(server, **options)
