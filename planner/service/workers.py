"""Several server processes on one port: forked before any server exists, watched, restarted, and stopped together.

The parent never makes a gRPC object: forking is safe for as long as none exists. It holds the port, so that workers can come and go,
and one end of a pipe, so that they leave when it does, however it ends.
"""

import asyncio
import contextlib
import logging
import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from typing import Self

from kde.errors import TrimError
from planner.service.addresses import host_and_port
from planner.service.assembly import Place
from planner.service.logs import log_as_json
from planner.service.server import serve
from planner.service.settings import ServeSettings
from planner.service.tables import TableStore

log = logging.getLogger(__name__)

_FORK = multiprocessing.get_context("fork")
_RESTART_SECONDS = 1.0
_LEAVE_SECONDS = 5.0


def supervise(
    settings: ServeSettings, store: TableStore, *, on_ready: Callable[[str], None], until_stdin_closes: bool
) -> None:
    """Run `settings.workers` servers until SIGTERM or SIGINT; one that dies is followed by another. SIGHUP goes to all.

    Raises:
        TrimError: the port is taken, or a worker could not start.
    """
    with _reserved(settings.listen) as address, _Signals() as signals:
        fleet = _Fleet(settings, store, address)
        try:
            fleet.start_all()
            on_ready(address)
            _watch(fleet, signals, until_stdin_closes=until_stdin_closes)
        finally:
            fleet.stop_all()


def _watch(fleet: "_Fleet", signals: "_Signals", *, until_stdin_closes: bool) -> None:
    while True:
        stdin = [0] if until_stdin_closes else []
        ready = wait([*fleet.sentinels, signals.wakeup, *stdin], timeout=fleet.settings.watch_seconds)
        if 0 in ready and not os.read(0, 4096):
            return
        if signals.stop:
            return
        if signals.take_hang_up():
            fleet.reload()
        elif fleet.store.settled():  # workers follow on their own; this is for those that start later
            fleet.store.reload_here()
        fleet.replace_dead()


@dataclass
class _Worker:
    process: ForkProcess
    ready: Connection
    started: float


@dataclass
class _Fleet:
    settings: ServeSettings
    store: TableStore
    address: str
    workers: dict[int, _Worker] = field(default_factory=dict)
    lifeline: tuple[int, int] = field(default_factory=os.pipe)

    @property
    def sentinels(self) -> list[int]:
        return [worker.process.sentinel for worker in self.workers.values()]

    def start_all(self) -> None:
        """Start every worker and wait until all are ready."""
        for number in range(self.settings.workers):
            self._start(number)
        for number, worker in self.workers.items():
            try:
                complaint = worker.ready.recv()
            except EOFError:
                complaint = "it ended without a word"
            if complaint:
                raise TrimError(complaint if complaint.startswith("--") else f"worker {number}: {complaint}")

    def replace_dead(self) -> None:
        """Start a successor of every worker that is gone; of one that has hardly lived, after a while."""
        for number, worker in list(self.workers.items()):
            if worker.process.is_alive():
                continue
            code, lived = worker.process.exitcode, time.monotonic() - worker.started
            if lived < _RESTART_SECONDS:
                time.sleep(_RESTART_SECONDS - lived)
            log.error("worker died, another starts", extra={"dead_worker": number, "exit_code": code})
            worker.ready.close()
            worker.process.close()
            self._start(number)

    def reload(self) -> None:
        self.store.reload_here()
        for worker in self.workers.values():
            if worker.process.pid is not None and worker.process.is_alive():
                os.kill(worker.process.pid, signal.SIGHUP)

    def stop_all(self) -> None:
        """Let go of the lifeline: every worker drains and leaves; those that do not are killed."""
        os.close(self.lifeline[1])
        deadline = time.monotonic() + self.settings.notice_seconds + self.settings.drain_seconds + _LEAVE_SECONDS
        for number, worker in self.workers.items():
            worker.process.join(max(0.0, deadline - time.monotonic()))
            if worker.process.is_alive():
                log.error("worker killed, it did not leave in time", extra={"dead_worker": number})
                worker.process.kill()
                worker.process.join()
        os.close(self.lifeline[0])

    def _start(self, number: int) -> None:
        receiver, sender = _FORK.Pipe(duplex=False)
        place = Place(self.address, number, shared=True)
        process = _FORK.Process(target=self._work, args=(place, sender), name=f"worker {number}")
        process.start()
        sender.close()
        self.workers[number] = _Worker(process, receiver, time.monotonic())

    def _work(self, place: Place, ready: Connection) -> None:
        """What a worker does; in the child."""
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        os.close(self.lifeline[1])
        log_as_json(self.settings.log_level, worker=place.worker)
        try:
            asyncio.run(self._serve(place, ready))
        except TrimError as error:
            log.critical("worker cannot serve", extra={"error": str(error)})
            with contextlib.suppress(OSError):
                ready.send(str(error))
            raise SystemExit(2) from error

    async def _serve(self, place: Place, ready: Connection) -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()

        def parent_left() -> None:
            loop.remove_reader(self.lifeline[0])
            stop.set()

        loop.add_reader(self.lifeline[0], parent_left)
        await serve(self.settings, self.store, place, on_ready=lambda _: ready.send(""), stop=stop)


class _Signals:
    """Signals of the parent, noted down; `wakeup` becomes readable with each."""

    def __init__(self) -> None:
        self.stop = self._hang_up = False
        self.wakeup, self._wake = os.pipe()
        for end in (self.wakeup, self._wake):
            os.set_blocking(end, False)

    def __enter__(self) -> Self:
        self._before = {
            number: signal.signal(number, self._note) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        }
        signal.set_wakeup_fd(self._wake)
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(-1)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self.wakeup)
        os.close(self._wake)

    def take_hang_up(self) -> bool:
        """Whether SIGHUP has come since the last call."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.wakeup, 4096)
        came, self._hang_up = self._hang_up, False
        return came

    def _note(self, number: int, _: object) -> None:
        if number == signal.SIGHUP:
            self._hang_up = True
        else:
            self.stop = True


@contextlib.contextmanager
def _reserved(listen: str) -> Iterator[str]:
    """The address with its port chosen, held for the workers to share, if nobody else has it."""
    host, port = host_and_port("--listen", listen)
    try:
        family, kind, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        with socket.socket(family, kind) as alone:  # without SO_REUSEPORT: fails where anybody listens
            alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            alone.bind(place)
        holder = socket.socket(family, kind)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(place)
    except OSError as error:
        raise TrimError(f"--listen: cannot bind {listen}; choose another address, or stop what holds it") from error
    with holder:
        yield f"{listen.rpartition(':')[0]}:{holder.getsockname()[1]}"
