"""The planner's server: decisions against an empty handler of the same messages, batches against single decisions, two workers
against one, and how soon it is ready. The load comes from h2load, so that the processor's time is the server's.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.load import has_h2load, unary_load
from benchmarks.measure import Result
from benchmarks.planner_server import EMPTY
from benchmarks.solving import reference_pomdp
from kde.errors import TrimError
from planner.exact import solve_exact
from planner.table import tabulate
from planner.v1 import planner_pb2 as pb

_DECIDE, _DECIDE_BATCH = "/planner.v1.PlannerService/Decide", "/planner.v1.PlannerService/DecideBatch"
_ROUNDS = 9
_ROWS = 1024
_REQUEST = pb.DecideRequest(
    policy_id="pomdp:0.0025",
    step=3,
    features=pb.Features(earlier=0.7, newest=0.4),
    token_count=40,
    final=False,
    belief=pb.Belief(correct=0.5, derailed=0.2, recoverable=0.3),
    last_action=pb.ACTION_CONTINUE,
)


def run() -> dict[str, Result]:
    pomdp = reference_pomdp(30)
    with tempfile.TemporaryDirectory() as directory:
        one, many = Path(directory) / "one", Path(directory) / "many"
        tabulate(pomdp, solve_exact(pomdp, [0.0025])).save(one)
        for lam in np.linspace(0.001, 0.0072, 32).round(6).tolist():
            tabulate(pomdp, solve_exact(pomdp, [lam], gap=1e-2)).save(many / f"{lam}")
        results = _start_up(many)
        if not has_h2load():
            print(
                "h2load is not installed (Debian: apt-get install nghttp2-client): the planner's load is not measured"
            )
            return results
        return results | _against_an_empty_handler(one) | _batches(one) | _workers(one)


def _against_an_empty_handler(tables: Path) -> dict[str, Result]:
    results = {}
    with _benchmark_server(tables) as server:
        for concurrency in (1, 16, 64):
            calls = 1500 if concurrency == 1 else 4000
            throughput, median = [], []
            for _ in range(_ROUNDS):
                ours = unary_load(server.address, _DECIDE, _REQUEST, calls=calls, concurrency=concurrency)
                empty = unary_load(server.address, EMPTY, _REQUEST, calls=calls, concurrency=concurrency)
                throughput.append(ours.per_second / empty.per_second)
                median.append(ours.median_seconds / empty.median_seconds)
            name = f"Decide against an empty handler, {concurrency} at once"
            results[f"{name}: throughput"] = Result(statistics.median(throughput), "x", 0.85)
            results[f"{name}: p50"] = Result(statistics.median(median), "x", 1.2, at_least=False)
    return results


def _batches(tables: Path) -> dict[str, Result]:
    """Side by side: single decisions, as fast as they come, and batches; and batches by the server's own processor time."""
    ratios, one_core = [], []
    with _benchmark_server(tables) as server:
        for _ in range(_ROUNDS):
            single = unary_load(server.address, _DECIDE, _REQUEST, calls=3000, concurrency=64)
            before = server.process.cpu_times()
            batch = unary_load(server.address, _DECIDE_BATCH, _batch(), calls=400, concurrency=4)
            after = server.process.cpu_times()
            ratios.append(batch.per_second * _ROWS / single.per_second)
            one_core.append(400 * _ROWS / (after.user + after.system - before.user - before.system))
    name = f"DecideBatch of {_ROWS}"
    return {
        f"{name}: decisions a second against Decide": Result(statistics.median(ratios), "x", 200),
        f"{name}: decisions a second on one core": Result(statistics.median(one_core), "/s", 500_000),
    }


def _workers(tables: Path) -> dict[str, Result]:
    """In turns, under 128 callers with a connection and a call each, as generation workers have them.

    The kernel deals connections to workers by a hash: so many are dealt evenly. A worker alone keeps more than one core busy (gRPC's
    own threads beside Python's), so that on two cores 1.6 is about all there is to win.
    """
    ratios, shares = [], []
    with _server(tables, workers=1) as one, _server(tables, workers=2) as two:
        for _ in range(_ROUNDS):
            single, double = (
                unary_load(address, _DECIDE, _REQUEST, calls=6400, concurrency=1, connections=128)
                for address in (one, two)
            )
            ratios.append(double.per_second / single.per_second)
            shares.append(double.generator_share)
    cores = f"{os.cpu_count()} cores"
    return {
        f"two workers against one, throughput on {cores}": Result(statistics.median(ratios), "x", 1.4),
        "two workers: the load generator's share of a core": Result(
            statistics.median(shares), "of 1", 1, at_least=False
        ),
    }


def _start_up(tables: Path) -> dict[str, Result]:
    """From imported to ready, and the client's import."""
    ready = []
    for _ in range(5):
        with _benchmark_server(tables) as server:
            ready.append(server.ready_seconds)
    code = "import time; began = time.perf_counter(); import planner.client; print(time.perf_counter() - began)"
    imports = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        for _ in range(5)
    ]
    return {
        "start to ready with 32 tables, after import": Result(statistics.median(ready), "s", 1, at_least=False),
        "import planner.client": Result(statistics.median(imports), "s", 0.3, at_least=False),
    }


def _batch() -> pb.DecideBatchRequest:
    rng = np.random.default_rng(0)
    return pb.DecideBatchRequest(
        policy_ids=["pomdp:0.0025"],
        steps=rng.integers(2, 20, _ROWS).tolist(),
        earlier=rng.random(_ROWS).tolist(),
        newest=rng.random(_ROWS).tolist(),
        token_counts=rng.integers(1, 300, _ROWS).tolist(),
        finals=(rng.random(_ROWS) < 0.1).tolist(),
        last_actions=rng.integers(1, 3, _ROWS).tolist(),
        beliefs=rng.dirichlet([1, 1, 1], _ROWS).ravel().tolist(),
    )


@dataclass(frozen=True, slots=True)
class _Running:
    """A server process: where it listens, itself, and what it took to be ready after its imports."""

    address: str
    process: psutil.Process
    ready_seconds: float


@contextmanager
def _benchmark_server(tables: Path) -> Iterator[_Running]:
    """The planner with an empty handler beside it."""
    with _child("-m", "benchmarks.planner_server", str(tables)) as (process, told):
        yield _Running(told["listening"], psutil.Process(process.pid), told["ready_seconds"])


@contextmanager
def _server(tables: Path, *, workers: int) -> Iterator[str]:
    options = ["--tables", str(tables), "--listen", "127.0.0.1:0", "--json", "--workers", str(workers)]
    with _child("-m", "inference", "serve", *options) as (_, told):
        yield told["listening"]


@contextmanager
def _child(*arguments: str) -> Iterator[tuple["subprocess.Popen[str]", dict[str, Any]]]:
    command = [sys.executable, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        line = process.stdout.readline() if process.stdout is not None else ""
        if not line:
            raise TrimError(f"the server did not start: {' '.join(command)}")
        yield process, json.loads(line)
    finally:
        process.terminate()
        process.communicate()
