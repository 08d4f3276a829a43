"""`trim route` for tests: in this process, where nothing has to be killed, and as a process of its own, where it has."""

import contextlib
import io
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl

from inference.records import read_episodes
from inference.route_cli import app

TRIM = [sys.executable, "-m", "inference"]


def options(out: Path, *more: str, policy: str = "thr:0.5", problems: str = "12") -> list[str]:
    return ["--lab", "--problems", problems, "--policy", policy, "--out", str(out), "--json", *more]


def routed(arguments: list[str]) -> dict[str, Any]:
    """Run here and read the summary; errors are raised as they are."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    summary: dict[str, Any] = json.loads(said.getvalue())
    return summary


def started(arguments: list[str]) -> "subprocess.Popen[str]":
    return subprocess.Popen([*TRIM, "route", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def started_behind(arguments: list[str]) -> "subprocess.Popen[str]":
    """As `nohup trim ... &` does: without Ctrl-C and hang-ups."""
    command = ["bash", "-c", 'trap "" INT HUP; exec "$@"', "bash", *TRIM, "route", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ids(out: Path) -> list[str]:
    found: list[str] = read_episodes(out / "episodes")["problem_id"].to_list()
    return found


def wait_for(out: Path, least: int, alive: Callable[[], bool] = lambda: True, seconds: float = 120) -> None:
    """Wait until so many episodes are finished."""
    deadline = time.monotonic() + seconds
    while len(ids(out)) < least:
        assert alive(), "it ended before"
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextlib.contextmanager
def once_finished(out: Path, least: int, act: Callable[[], object]) -> Iterator[None]:
    """While the block runs, `act` as soon as so many episodes are finished; the block must not end before."""
    acted = []

    def watch() -> None:
        wait_for(out, least)
        act()
        acted.append(True)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        thread.join()
        assert acted


def without_times(episodes: pl.DataFrame) -> pl.DataFrame:
    """What the same seed must give again, in the order of the problems."""
    steps = pl.col("steps").list.eval(
        pl.element().struct.with_fields(
            pl.lit(0.0).alias(f"{what}_seconds") for what in ("propose", "score", "decide", "regenerate")
        )
    )
    scores = pl.col("steps").list.eval(pl.element().struct.field("scores").list.eval(pl.element().round(4)))
    frame = episodes.with_columns(steps, scores.alias("scores")).sort("problem_id")
    rounded = pl.col("steps").list.eval(pl.element().struct.with_fields(pl.lit(None).alias("scores")))
    return frame.with_columns(rounded).drop("seconds", "score_seconds", "planner_seconds")
