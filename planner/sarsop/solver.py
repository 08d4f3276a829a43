"""SARSOP as one of the solvers that tables are built with: one solve a lambda, several workers at once."""

import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from kde.errors import InputError
from planner.exact import Solution, check_lambdas
from planner.explicit import ExplicitPOMDP, Now
from planner.pomdp import RoutingPOMDP
from planner.sarsop.job import AlphaVectors, Limits
from planner.sarsop.log import Bounds
from planner.sarsop.process import REMEDY, WORKER, Launch
from planner.sarsop.surface import solution_of

Progress = Callable[[float, Bounds | None, float], None]
"""Hears of a solve now and then: lambda, the bounds so far, and the seconds since it began."""


@dataclass(frozen=True, slots=True)
class SarsopSolver:
    """POMDPs.jl's SARSOP.

    Attributes:
        limits: when a solve ends.
        launch: how its worker is run.
        workers: how many run at once.
        on_progress: hears of every running solve, from the threads that watch them.

    Raises:
        InputError: a limit is not positive, a worker would be killed before its time, or Julia's Python package is not installed.
    """

    limits: Limits = field(default_factory=Limits)
    launch: Launch = field(default_factory=Launch)
    workers: int = 1
    on_progress: Progress = lambda _lam, _bounds, _seconds: None
    name: ClassVar[str] = "sarsop"

    def __post_init__(self) -> None:
        positive = {name: getattr(self.limits, name) for name in ("precision", "max_steps", "max_time")}
        positive |= {"workers": self.workers, "timeout": self.launch.timeout, "attempts": self.launch.attempts}
        for name, value in positive.items():
            if not value > 0:
                raise InputError("--solver sarsop", field=name, value=value, remedy="a positive number")
        if not self.launch.timeout > self.limits.max_time:
            remedy = f"more than max_time, {self.limits.max_time:g} s: a worker that is still solving does not hang"
            raise InputError("--solver sarsop", field="timeout", value=self.launch.timeout, remedy=remedy)
        if self.launch.command == WORKER and find_spec("juliacall") is None:
            raise InputError("--solver sarsop", field="Julia", value="missing", remedy=REMEDY)

    @property
    def parameters(self) -> dict[str, Any]:
        """What its results depend on."""
        return asdict(self.limits) | {"program": self.limits.program.value}

    def solve(self, pomdp: RoutingPOMDP, lambdas: Sequence[float]) -> Iterator[Solution]:
        """Solve for every lambda, each in a process of its own; solutions come as they are done.

        Raises:
            InputError: a lambda is not a positive number, or there is no Julia.
            SolverError: a worker hung, or crashed at every attempt; the others are ended.
        """
        check_lambdas(lambdas)
        stop = threading.Event()
        with ThreadPoolExecutor(self.workers) as pool:
            try:
                running = [pool.submit(self._solve_one, pomdp, lam, None, stop) for lam in lambdas]
                for done in as_completed(running):
                    model, policy = done.result()
                    yield solution_of(pomdp, model, policy)
            finally:
                stop.set()
                pool.shutdown(cancel_futures=True)

    def solve_now(self, pomdp: RoutingPOMDP, lam: float, now: Now) -> tuple[ExplicitPOMDP, AlphaVectors]:
        """Solve from a decision in the middle of an episode, its belief as the initial one.

        Raises:
            InputError: lambda or the decision is out of range, or there is no Julia.
            SolverError: the worker hung, or crashed at every attempt.
        """
        return self._solve_one(pomdp, lam, now, threading.Event())

    def _solve_one(
        self, pomdp: RoutingPOMDP, lam: float, now: Now | None, stop: threading.Event
    ) -> tuple[ExplicitPOMDP, AlphaVectors]:
        model = ExplicitPOMDP.of(pomdp, lam, now=now)
        folder = Path(tempfile.mkdtemp(prefix="trim-sarsop-"))
        policy = self.launch.solve(
            model,
            self.limits,
            folder,
            watch=lambda bounds, seconds: self.on_progress(lam, bounds, seconds),
            cancelled=stop.is_set,
        )
        shutil.rmtree(folder)  # what failed is left to be looked at
        return model, policy
