"""The embedded engine: proposals decoded together against one at a time."""

import asyncio
from pathlib import Path

from benchmarks.measure import Result, seconds_side_by_side
from inference.concurrency import for_each
from inference.conversation import asked
from inference.engines.settings import EnginesFile
from inference.fleet import EngineKind, engines_at, open_fleet
from inference.lab.shipped import lab_places, lab_problems
from inference.problems import Problem

_PROBLEMS = lab_problems(48, seed=31)


def run() -> dict[str, Result]:
    settings = engines_at(lab_places(), EngineKind.TRANSFORMERS, {"max_step_tokens": 64})
    alone, together = seconds_side_by_side(lambda: _propose(settings, 1), lambda: _propose(settings, 48), rounds=3)
    return {
        "proposals, 48 at once against one at a time": Result(alone / together, "x", 4),
    }


def _propose(settings: EnginesFile, concurrency: int) -> None:
    asyncio.run(_propose_all(settings, concurrency))


async def _propose_all(settings: EnginesFile, concurrency: int) -> None:
    async with open_fleet(settings, Path("unused")) as fleet:

        async def work(problem: Problem) -> None:
            await fleet.strong.propose(asked(problem.problem), (), seed=0)

        await for_each(_PROBLEMS * 4, work, concurrency=concurrency)
