"""The planner as a process of its own, for as long as a run needs it."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from kde.errors import TrimError

_READY_SECONDS = 30.0
_LEAVE_SECONDS = 10.0


@asynccontextmanager
async def planner_process(tables: Path, *, log: Path) -> AsyncIterator[str]:
    """Start `trim serve` on a free loopback port and yield its address; it ends with this block, or with this process.

    Raises:
        TrimError: it did not start; `log` holds what it said.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as told:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "inference", "serve", "--tables", str(tables)),
            *("--listen", "127.0.0.1:0", "--until-stdin-closes", "--json"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=told,
        )
    if process.stdin is None or process.stdout is None:
        raise AssertionError("the pipes were asked for")
    try:
        yield await _address(process.stdout, log)
    finally:
        process.stdin.close()
        try:
            async with asyncio.timeout(_LEAVE_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def _address(said: asyncio.StreamReader, log: Path) -> str:
    try:
        async with asyncio.timeout(_READY_SECONDS):
            line = await said.readline()
    except TimeoutError as error:
        raise TrimError(f"the planner was not ready within {_READY_SECONDS:.0f} s; see {log}") from error
    if not line:
        raise TrimError(f"the planner did not start: {_last_line(log)}")
    return str(json.loads(line)["listening"])


def _last_line(log: Path) -> str:
    return (log.read_text(errors="replace").strip().splitlines() or ["it said nothing"])[-1]
