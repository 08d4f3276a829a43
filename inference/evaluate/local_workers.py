"""Worker processes on this machine; one that dies is replaced."""

import asyncio
import os
import signal
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from pathlib import Path

from rich.progress import Progress

from inference.cells import Cell
from inference.evaluate.worker import MOST_LOSSES, Workplace, lost_again, open_worker
from inference.with_parent import end_with_parent
from kde.errors import TrimError

_LEAVE_SECONDS = 20.0


class _LocalWorker:
    """A process that is given cells, one at a time, and answers each with what went wrong, or with None."""

    def __init__(self, place: Workplace) -> None:
        context = get_context("spawn")  # models and gRPC do not survive a fork
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(os.getpid(), place, theirs))
        self._process.start()
        theirs.close()  # so that its death ends the connection

    def begin(self, cell: Cell) -> None:
        """Give it a cell; whether it is still there shows when its answer is read."""
        with suppress(OSError):
            self.connection.send(cell)

    def leave(self) -> None:
        """Let it release what it holds, now that it waits for a cell."""
        self.connection.close()
        self._process.join(_LEAVE_SECONDS)
        self.stop()

    def stop(self) -> None:
        """End it where it stands: what it has finished is on disk."""
        self._process.terminate()
        self._process.join(_LEAVE_SECONDS)
        self._process.kill()
        self._process.join()
        self.connection.close()


def finish_in_processes(place: Workplace, cells: Sequence[Cell], progress: Progress, *, workers: int) -> None:
    """Finish cells in `workers` processes, each with models and a planner of its own.

    Raises:
        TrimError: a model or the planner does not answer, or refuses; or a cell has lost one worker after another.
    """
    task = progress.add_task("cells", total=len(cells), note="")
    waiting, losses = deque(cells), Counter[Path]()
    idle: list[_LocalWorker] = []
    busy: dict[_LocalWorker, Cell] = {}
    try:
        while waiting or busy:
            while waiting and len(busy) < workers:
                worker, cell = idle.pop() if idle else _LocalWorker(place), waiting.popleft()
                busy[worker] = cell
                worker.begin(cell)
            for worker in _answering(busy):
                cell = busy[worker]
                try:
                    complaint = worker.connection.recv()
                except (EOFError, OSError):
                    del busy[worker]
                    worker.stop()
                    waiting.appendleft(cell)
                    losses[cell.directory] += 1
                    if losses[cell.directory] == MOST_LOSSES:
                        raise lost_again(cell) from None
                    continue
                if complaint is not None:
                    raise TrimError(complaint)
                del busy[worker]
                idle.append(worker)
                progress.update(task, advance=1, note=f"{cell.policy}, seed {cell.seed}")
    finally:
        for worker in busy:
            worker.stop()
        for worker in idle:
            worker.leave()


def _answering(workers: Iterable[_LocalWorker]) -> list[_LocalWorker]:
    """Wait until at least one has answered, or is lost; those."""
    by_connection = {worker.connection: worker for worker in workers}
    answered = set(wait(list(by_connection)))
    return [worker for connection, worker in by_connection.items() if connection in answered]


def _work(parent: int, place: Workplace, cells: Connection) -> None:
    """The life of a worker process. It ends with its parent, and an interruption is the parent's affair."""
    end_with_parent(parent, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(_finish_one_by_one(place, cells))


async def _finish_one_by_one(place: Workplace, cells: Connection) -> None:
    try:
        async with open_worker(place, Progress(disable=True)) as worker:
            while True:
                try:
                    cell = await asyncio.to_thread(cells.recv)
                except EOFError:
                    return
                cells.send(await worker.attempt(cell))
    except TrimError as error:  # it cannot be opened: that is the answer to its first cell
        with suppress(OSError):
            cells.send(str(error))
