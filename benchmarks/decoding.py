"""The embedded engine: proposals decoded together against one at a time; and the planner's share of an episode."""

import asyncio
import tempfile
from pathlib import Path

from benchmarks.measure import Result, seconds_side_by_side
from benchmarks.solving import reference_pomdp
from inference.concurrency import for_each
from inference.conversation import asked
from inference.engines.settings import EnginesFile
from inference.episode import EpisodeSettings, Trio, routed_episode
from inference.fleet import EngineKind, Fleet, engines_at, open_fleet
from inference.lab.shipped import lab_places, lab_problems
from inference.planner_process import planner_process
from inference.problems import Problem
from inference.records import Episode
from planner.client import PlannerClient
from planner.exact import solve_exact
from planner.table import tabulate

_PROBLEMS = lab_problems(48, seed=31)


def run() -> dict[str, Result]:
    settings = engines_at(lab_places(), EngineKind.TRANSFORMERS, {"max_step_tokens": 64})
    alone, together = seconds_side_by_side(lambda: _propose(settings, 1), lambda: _propose(settings, 48), rounds=3)
    return {
        "proposals, 48 at once against one at a time": Result(alone / together, "x", 4),
        "planner's share of a routed episode's time": Result(
            asyncio.run(_planner_share(settings)), "of 1", 0.05, at_least=False
        ),
    }


def _propose(settings: EnginesFile, concurrency: int) -> None:
    asyncio.run(_propose_all(settings, concurrency))


async def _propose_all(settings: EnginesFile, concurrency: int) -> None:
    async with open_fleet(settings, Path("unused")) as fleet:

        async def work(problem: Problem) -> None:
            await fleet.strong.propose(asked(problem.problem), (), seed=0)

        await for_each(_PROBLEMS * 4, work, concurrency=concurrency)


async def _planner_share(settings: EnginesFile) -> float:
    episodes: list[Episode] = []
    pomdp = reference_pomdp(30)
    with tempfile.TemporaryDirectory() as directory:
        tabulate(pomdp, solve_exact(pomdp, [0.0025])).save(Path(directory))
        async with (
            open_fleet(settings, Path("unused")) as fleet,
            planner_process(Path(directory), log=Path(directory) / "planner.log") as address,
            PlannerClient(address) as planner,
        ):
            await _route(fleet, planner, episodes)
    return sum(episode.planner_seconds for episode in episodes) / sum(episode.seconds for episode in episodes)


async def _route(fleet: Fleet, planner: PlannerClient, episodes: list[Episode]) -> None:
    models = Trio(fleet.weak, fleet.strong, fleet.scorer)

    async def work(problem: Problem) -> None:
        episodes.append(await routed_episode(problem, models, planner, EpisodeSettings("pomdp:0.0025", 0)))

    await for_each(_PROBLEMS, work, concurrency=32)
