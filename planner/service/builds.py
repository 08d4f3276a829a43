"""Builds as child processes: started, followed line by line, and killed when nobody waits any more."""

import asyncio
import json
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from planner.service.status import FailedPreconditionError


@dataclass(frozen=True, slots=True)
class BuildOrder:
    """What to build.

    Attributes:
        table: directory of the table whose POMDP is solved.
        lam: lambda.
        gap: largest difference of the bounds on V_0.
    """

    table: Path
    lam: float
    gap: float


class BuildFailedError(FailedPreconditionError):
    """The child process could not build the table."""


@dataclass(frozen=True, slots=True)
class Build:
    """A running build; its directory holds the table once `done` has been told."""

    process: asyncio.subprocess.Process
    directory: Path

    async def next_stage(self) -> dict[str, Any]:
        """What the process says next.

        Raises:
            BuildFailedError: it failed or died.
        """
        if self.process.stdout is None:
            raise AssertionError("the pipe was asked for")
        line = await self.process.stdout.readline()
        told: dict[str, Any] = json.loads(line) if line else {"error": "the process that built the table died"}
        if "error" in told:
            raise BuildFailedError(str(told["error"]))
        return told


@asynccontextmanager
async def running_build(order: BuildOrder, folder: Path) -> AsyncIterator[Build]:
    """Start a build below `folder`; when the block is left, by whatever way, the process and its files are gone."""
    scratch = Path(tempfile.mkdtemp(prefix=".building-", dir=folder))
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "planner.service.build_worker"),
            *(str(order.table), repr(order.lam), repr(order.gap), str(scratch / "table")),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            yield Build(process, scratch / "table")
        finally:
            if process.returncode is None:
                process.kill()
            await asyncio.shield(process.wait())
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
