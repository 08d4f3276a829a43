"""Unary decisions against an almost empty call of the same server (its health check), from one client."""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from benchmarks.measure import Result
from benchmarks.solving import reference_pomdp
from inference.concurrency import for_each
from inference.planner_process import planner_process
from planner.exact import solve_exact
from planner.table import tabulate
from planner.v1 import planner_pb2 as pb
from planner.v1 import planner_pb2_grpc as pb_grpc

_CALLS = 3000
_REQUEST = pb.DecideRequest(
    policy_id="pomdp:0.0025", step=1, features=pb.Features(earlier=1, newest=0.4), token_count=40, final=False
)


def run() -> dict[str, Result]:
    pomdp = reference_pomdp(30)
    with tempfile.TemporaryDirectory() as directory:
        tabulate(pomdp, solve_exact(pomdp, [0.0025])).save(Path(directory))
        return asyncio.run(_measure(Path(directory)))


async def _measure(tables: Path) -> dict[str, Result]:
    results = {}
    async with planner_process(tables, log=tables / "planner.log") as address, aio.insecure_channel(address) as channel:
        decide = pb_grpc.PlannerServiceStub(channel).Decide
        health: Any = health_pb2_grpc.HealthStub(channel)  # its stubs do not know grpc.aio
        empty = health_pb2.HealthCheckRequest(service="")
        for concurrency in (1, 16, 64):
            rates: tuple[list[float], list[float]] = ([], [])
            for _ in range(5):
                rates[0].append(await _rate(lambda: decide(_REQUEST), concurrency))
                rates[1].append(await _rate(lambda: health.Check(empty), concurrency))
            ratio = statistics.median(rates[0]) / statistics.median(rates[1])
            results[f"Decide throughput against a health check, {concurrency} at once"] = Result(ratio, "x", 0.7)
    return results


async def _rate(call: Callable[[], Awaitable[object]], concurrency: int) -> float:
    async def work(_: int) -> None:
        await call()

    started = time.perf_counter()
    await for_each(range(_CALLS), work, concurrency=concurrency)
    return _CALLS / (time.perf_counter() - started)
