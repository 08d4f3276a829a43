"""The planner as a process of its own, for as long as a run needs it."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from kde.errors import TrimError

_READY_SECONDS = 30.0


@asynccontextmanager
async def planner_process(tables: Path) -> AsyncIterator[str]:
    """Start `trim serve` on a free loopback port and yield its address; it ends with this block, or with this process.

    Raises:
        TrimError: it did not start; the message is its own.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "inference", "serve", "--tables", str(tables)),
        *("--listen", "127.0.0.1:0", "--until-stdin-closes", "--json"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    if process.stdin is None or process.stdout is None or process.stderr is None:
        raise AssertionError("the pipes were asked for")
    try:
        line = await asyncio.wait_for(process.stdout.readline(), _READY_SECONDS)
        if not line:
            raise TrimError(f"the planner did not start: {(await process.stderr.read()).decode().strip()}")
        yield str(json.loads(line)["listening"])
    finally:
        process.stdin.close()
        await process.wait()
