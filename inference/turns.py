"""Back-pressure with a fair order: who takes turns at something that only so many may use at once.

Everybody has a place in line, set once for a problem and inherited by whatever works for it: older problems go first, so that they
finish and make room, and what is done ahead of need goes last.
"""

import asyncio
import heapq
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from itertools import count

_place: ContextVar[tuple[bool, int]] = ContextVar("place", default=(False, 0))


@contextmanager
def place_in_line(number: int) -> Iterator[None]:
    """What this block awaits, and the tasks that it starts, take their turns as number `number`; lower goes first."""
    token = _place.set((False, number))
    try:
        yield
    finally:
        _place.reset(token)


@contextmanager
def ahead_of_need() -> Iterator[None]:
    """What this block awaits takes its turns behind everything that somebody waits for."""
    _, number = _place.get()
    token = _place.set((True, number))
    try:
        yield
    finally:
        _place.reset(token)


class Line:
    """A semaphore that is passed on by place in line.

    Args:
        at_once: most that may be inside.
    """

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._line: list[tuple[tuple[bool, int], int, asyncio.Future[None]]] = []
        self._arrivals = count()

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return sum(not turn.done() for _, _, turn in self._line)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn, and have it for the time of the block."""
        await self._arrive()
        try:
            yield
        finally:
            self._pass_on()

    async def _arrive(self) -> None:
        if self._free:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._line, (_place.get(), next(self._arrivals), turn))
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it came, and nobody is here to have it
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        while self._line:
            _, _, turn = heapq.heappop(self._line)
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
