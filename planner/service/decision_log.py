"""The decision log: sampled decisions as JSON lines, rotated, written by a thread that no decision ever waits for.

Each worker writes `decisions-WORKER-NUMBER.jsonl` into the log's directory. A full disk or a slow one loses log lines, counted, and
nothing else.
"""

import contextlib
import json
import logging
import os
import queue
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from planner.decision import Carry, Decision, Proposal

log = logging.getLogger(__name__)

LoggedDecision = tuple[str, Proposal, Carry | None, Decision]
"""Policy id, what was shown, what was carried, what was decided."""

_WAITING = 10_000
_WAITING_LINES = 100_000
"""Batches wait as columns, some hundred bytes a line: calls and lines in the queue both have an end."""
_RETRY_SECONDS = 1.0
_LEAVE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class LogSettings:
    """Where and how much.

    Attributes:
        directory: of the files; created if absent.
        rate: share of the decisions that are logged, in (0, 1].
        file_bytes: a file that reaches this size is followed by the next.
        files: how many files a worker keeps.
    """

    directory: Path
    rate: float
    file_bytes: int
    files: int


class DecisionLog:
    """Writes sampled decisions in the background.

    Attributes:
        written, dropped: how many lines reached the disk, and how many were lost (queue full, disk full).
    """

    def __init__(self, settings: LogSettings, worker: int) -> None:
        self._settings, self._worker = settings, worker
        self._queue: queue.Queue[tuple[float, Callable[[], Iterable[LoggedDecision]], int] | None] = queue.Queue(
            _WAITING
        )
        self._handed_over = self._taken = 0  # lines, each counted by one thread only
        self._stream: IO[bytes] | None = None
        self._failing_until = 0.0
        self.written = self.dropped = 0
        self._thread = threading.Thread(target=self._run, name="decision log", daemon=True)
        self._thread.start()

    def sampled(self) -> bool:
        """Whether to log the next decision."""
        return self._settings.rate >= 1 or random.random() < self._settings.rate  # noqa: S311

    def put(self, policy: str, proposal: Proposal, carry: Carry | None, decision: Decision) -> None:
        """Hand over one sampled decision; never waits."""
        self.put_many(lambda: ((policy, proposal, carry, decision),), 1)

    def put_many(self, rows: Callable[[], Iterable[LoggedDecision]], count: int) -> None:
        """Hand over sampled decisions that the writer puts in words itself; never waits."""
        if self._handed_over - self._taken >= _WAITING_LINES:
            self.dropped += count
            return
        try:
            self._queue.put_nowait((time.time(), rows, count))
            self._handed_over += count
        except queue.Full:
            self.dropped += count

    def close(self) -> None:
        """Write what is waiting and stop."""
        with contextlib.suppress(queue.Full):  # a disk that hangs does not keep the server from leaving
            self._queue.put(None, timeout=_LEAVE_SECONDS)
        self._thread.join(_LEAVE_SECONDS)

    def _run(self) -> None:
        while (waiting := self._queue.get()) is not None:
            at, rows, count = waiting
            lines = [json.dumps(record(at, *row)) + "\n" for row in rows()]
            self._taken += count
            self._write("".join(lines).encode(), len(lines))
        if self._stream is not None:
            self._stream.close()

    def _write(self, content: bytes, lines: int) -> None:
        if time.monotonic() < self._failing_until:
            self.dropped += lines
            return
        try:
            if self._stream is None:
                self._stream = self._open()
            _write_all(self._stream, content)
            self.written += lines
            if self._stream.tell() >= self._settings.file_bytes:
                self._stream.close()
                self._stream = None
        except OSError as error:
            self.dropped += lines
            self._failing_until = time.monotonic() + _RETRY_SECONDS
            log.error("decisions are not logged", extra={"error": error.strerror})  # noqa: TRY400  no fault of the code
            if self._stream is not None:
                self._stream.close()
                self._stream = None

    def _open(self) -> IO[bytes]:
        """The newest file if it has room, else the next; the oldest beyond the number to keep go."""
        self._settings.directory.mkdir(parents=True, exist_ok=True)
        mine = sorted(self._settings.directory.glob(f"decisions-{self._worker}-{'[0-9]' * 8}.jsonl"))
        if mine and mine[-1].stat().st_size < self._settings.file_bytes:
            newest = mine[-1]
        else:
            number = int(mine[-1].stem.rpartition("-")[2]) + 1 if mine else 1
            newest = self._settings.directory / f"decisions-{self._worker}-{number:08d}.jsonl"
            for old in mine[: max(0, len(mine) + 1 - self._settings.files)]:
                old.unlink()
        stream = newest.open("ab", buffering=0)
        if stream.seekable() and stream.tell() and not _ends_line(newest):
            stream.write(b"\n")  # a full disk may have cut the last line short
        return stream


def record(at: float, policy: str, proposal: Proposal, carry: Carry | None, decision: Decision) -> Mapping[str, Any]:
    """One line of the log."""
    return {
        "time": round(at, 6),
        "policy": policy,
        "step": proposal.step,
        "m": proposal.earlier,
        "r": proposal.newest,
        "tokens": proposal.tokens,
        "final": proposal.final,
        "last_action": None if carry is None else carry.action.value,
        "last_belief": None if carry is None else carry.belief,
        "last_spent_tokens": None if carry is None else carry.spent,
        "action": decision.action.value,
        "belief": decision.belief,
        "break_even_tokens": decision.break_even_tokens,
        "expected_strong_tokens": decision.expected_strong_tokens,
        "advantage": decision.advantage,
        "table_hash": decision.table_hash,
        "spent_tokens": decision.spent,
    }


def _write_all(stream: IO[bytes], content: bytes) -> None:
    """An unbuffered file may take a part only: the rest, or the disk's complaint, comes with the next write."""
    left = memoryview(content)
    while left:
        left = left[stream.write(left) :]


def _ends_line(path: Path) -> bool:
    with path.open("rb") as stream:
        stream.seek(-1, os.SEEK_END)
        return stream.read(1) == b"\n"
