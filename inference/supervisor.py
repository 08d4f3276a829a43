"""Keeps servers running: what dies is started again, what keeps dying ends them all."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from inference.engines.base import EngineError
from inference.vllm_server import ServerProcess

Report = Callable[[ServerProcess, str], None]
"""Told of a server and what has become of it: `starting`, `ready`, or a sentence about its death."""


@dataclass(frozen=True, slots=True)
class RestartRules:
    """When to start a server again.

    Attributes:
        quick_seconds: a life shorter than this, readiness included, was quick.
        most_quick: quick deaths in a row that end everything.
        pause_seconds: before a restart; doubles with every quick death.
        ready_seconds: what a server gets to start.
    """

    quick_seconds: float = 60.0
    most_quick: int = 3
    pause_seconds: float = 1.0
    ready_seconds: float = 1800.0


async def supervise(
    servers: Sequence[ServerProcess],
    rules: RestartRules,
    *,
    report: Report,
    on_ready: Callable[[], None],
    stop: asyncio.Event,
) -> None:
    """Start servers and keep them running until `stop` is set; then stop them and return.

    Args:
        servers: what runs.
        rules: when to start one again.
        report: told what happens.
        on_ready: called once, when all of them answer for the first time.
        stop: set it to end them.

    Raises:
        EngineError: one did not start the first time, or died too often; the others have been stopped.
    """
    ready = [asyncio.Event() for _ in servers]
    turns: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
    keeping = [
        asyncio.create_task(_keep(server, rules, report, answers, turns))
        for server, answers in zip(servers, ready, strict=True)
    ]
    told = asyncio.create_task(_tell(ready, on_ready))
    stopped = asyncio.create_task(stop.wait())
    try:
        await _first([stopped, *keeping])
    finally:
        for task in (*keeping, told, stopped):
            task.cancel()
        await asyncio.gather(*keeping, told, stopped, return_exceptions=True)


async def _keep(
    server: ServerProcess,
    rules: RestartRules,
    report: Report,
    answers: asyncio.Event,
    turns: Mapping[int, asyncio.Lock],
) -> None:
    """One server, started again and again. Never returns."""
    quick = 0
    while True:
        try:
            async with AsyncExitStack() as alone:
                for gpu in sorted(
                    server.model.gpus
                ):  # each measures what is free, which others must not change meanwhile
                    await alone.enter_async_context(turns[gpu])
                report(server, "starting")
                began = time.monotonic()
                await server.start()
                await server.until_ready(rules.ready_seconds)
            report(server, "ready")
            answers.set()
            await server.wait()
        except EngineError:
            if not answers.is_set():  # it never worked: that is no accident
                raise
        finally:
            await server.stop()
        lived = time.monotonic() - began
        quick = quick + 1 if lived < rules.quick_seconds else 0
        if quick >= rules.most_quick:
            times = f"{quick} times within {rules.quick_seconds:.0f} s of a start"
            raise EngineError(f"vLLM server {server.model.name} died {times}; {server.tail()}")
        report(server, f"died after {lived:.0f} s; {server.tail()}")
        await asyncio.sleep(rules.pause_seconds * 2**quick)


async def _tell(ready: Sequence[asyncio.Event], on_ready: Callable[[], None]) -> None:
    for event in ready:
        await event.wait()
    on_ready()


async def _first(tasks: Sequence["asyncio.Task[object]"]) -> None:
    """Return or raise as the first of the tasks to end does."""
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()
