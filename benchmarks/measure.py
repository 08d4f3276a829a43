"""How two things are timed side by side."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Result:
    """One measured ratio; `at_least` says in which direction the goal lies."""

    value: float
    unit: str
    bound: float
    at_least: bool = True

    @property
    def holds(self) -> bool:
        return self.value >= self.bound if self.at_least else self.value <= self.bound

    @property
    def goal(self) -> str:
        return f"{'>=' if self.at_least else '<='} {self.bound:g}"

    def document(self) -> dict[str, Any]:
        return {"value": round(self.value, 4), "unit": self.unit, "goal": self.goal, "holds": self.holds}


def seconds_side_by_side(
    first: Callable[[], object], second: Callable[[], object], *, rounds: int
) -> tuple[float, float]:
    """Median seconds of each, taken in turns so that both see the same machine."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for run, kept in zip((first, second), times, strict=True):
            started = time.perf_counter()
            run()
            kept.append(time.perf_counter() - started)
    return statistics.median(times[0]), statistics.median(times[1])
