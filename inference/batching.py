"""Micro-batching: callers ask one by one, a model answers as many at once as are waiting."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

Request = TypeVar("Request")
Answer = TypeVar("Answer")


class Batcher(Generic[Request, Answer]):
    """Runs `answer` on its own thread over batches of waiting requests.

    Args:
        answer: answers a batch, one answer a request, in order; never called twice at once.
        largest: requests a batch.
    """

    def __init__(self, answer: Callable[[Sequence[Request]], Sequence[Answer]], *, largest: int) -> None:
        self._answer, self._largest = answer, largest
        self._waiting: list[tuple[Request, asyncio.Future[Answer]]] = []
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._busy: asyncio.Task[None] | None = None

    async def ask(self, request: Request) -> Answer:
        """Wait for the answer to one request; an error of its batch is raised to everyone in it."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, future))
        if self._busy is None or self._busy.done():
            self._busy = asyncio.create_task(self._work())
        return await future

    async def close(self) -> None:
        """Finish the batch under way, cancel what waits, and end the thread."""
        for _, future in self._waiting:
            future.cancel()
        if self._busy is not None:
            await self._busy
        self._thread.shutdown()

    async def _work(self) -> None:
        await asyncio.sleep(0)  # let everyone who is about to ask in this turn join the batch
        while self._waiting:
            batch, self._waiting = self._waiting[: self._largest], self._waiting[self._largest :]
            batch = [(request, future) for request, future in batch if not future.cancelled()]
            if batch:
                await self._answer_batch([request for request, _ in batch], [future for _, future in batch])

    async def _answer_batch(self, requests: list[Request], futures: list[asyncio.Future[Answer]]) -> None:
        try:
            answers = await asyncio.get_running_loop().run_in_executor(self._thread, self._answer, requests)
            if len(answers) != len(requests):
                raise RuntimeError(f"{len(answers)} answers to {len(requests)} requests")  # noqa: TRY301
        except Exception as error:  # noqa: BLE001  whatever went wrong belongs to those who wait for it
            for future in futures:
                if not future.cancelled():
                    future.set_exception(error)
            return
        for future, answer in zip(futures, answers, strict=True):
            if not future.cancelled():
                future.set_result(answer)
