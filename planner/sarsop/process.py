"""Worker processes: started, watched, killed when they hang, started again when they crash."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kde.errors import ArtefactError, InputError, TrimError
from planner.explicit import ExplicitPOMDP
from planner.sarsop.job import LOG, NO_JULIA, AlphaVectors, Job, Limits, read_policy
from planner.sarsop.log import Bounds, last_bounds

WORKER = (sys.executable, "-m", "planner.sarsop.worker")
REMEDY = (
    "Julia is needed: `pip install 'trim-routing[julia]'` where it can be downloaded, or name an installed one in "
    "PYTHON_JULIACALL_EXE; --solver exact needs none"
)
_POLL_SECONDS = 0.2
_LOG_LINES = 5

Watch = Callable[[Bounds | None, float], None]
"""Hears of a solve now and then: the bounds so far, and the seconds since it began."""


class SolverError(TrimError):
    """A worker crashed, hung or answered nonsense, however often it was tried."""


@dataclass(frozen=True, slots=True)
class Launch:
    """How workers are run.

    Attributes:
        command: the worker, to which the folder is added.
        timeout: seconds after which a worker is taken to hang and is killed.
        attempts: how often a worker that crashes is tried.
    """

    command: Sequence[str] = WORKER
    timeout: float = 3600.0
    attempts: int = 3

    def solve(
        self, model: ExplicitPOMDP, limits: Limits, folder: Path, *, watch: Watch, cancelled: Callable[[], bool]
    ) -> AlphaVectors:
        """Solve one model in `folder`, which is this solve's own.

        Raises:
            InputError: there is no Julia.
            SolverError: the worker hung, or crashed at every attempt, or was cancelled.
        """
        failure = ""
        for attempt in range(1, self.attempts + 1):
            place = folder / f"attempt-{attempt}"
            model_hash = Job.write(place, model, limits)
            status = self._run(place, limits, watch, cancelled)
            if status == NO_JULIA:
                raise InputError("--solver sarsop", field="Julia", value=_tail(place / LOG, lines=1), remedy=REMEDY)
            if status == 0:
                try:
                    return read_policy(place, model_hash=model_hash, n_states=len(model.initial))
                except ArtefactError as error:
                    failure = str(error)
            else:
                failure = f"the worker ended with {_ending(status)}: {_tail(place / LOG)}"
        raise SolverError(f"SARSOP: {failure} (tried {self.attempts} times; see {folder})")

    def _run(self, place: Path, limits: Limits, watch: Watch, cancelled: Callable[[], bool]) -> int:
        log = place / LOG
        environment = {"PYTHON_JULIACALL_HANDLE_SIGNALS": "yes"} | os.environ
        started = time.monotonic()
        with log.open("wb") as stream:
            process = subprocess.Popen(  # noqa: S603  our own worker
                [*self.command, str(place)],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        try:
            while True:
                try:
                    return process.wait(_POLL_SECONDS)
                except subprocess.TimeoutExpired:
                    elapsed = time.monotonic() - started
                if cancelled():
                    raise SolverError("SARSOP: cancelled")
                if elapsed > self.timeout:
                    raise SolverError(f"SARSOP: killed after {self.timeout:g} s without an answer; see {log}")
                watch(last_bounds(log, limits.program), elapsed)
        finally:
            _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the worker and whatever it started; nothing to do where it has ended and left nobody."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _ending(status: int) -> str:
    return f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"


def _tail(log: Path, *, lines: int = _LOG_LINES) -> str:
    said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return " / ".join(said[-lines:]) or "it said nothing"
