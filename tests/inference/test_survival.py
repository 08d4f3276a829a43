"""A vLLM server that dies in the middle of a run."""

import asyncio
import os
import signal
from pathlib import Path

import psutil
import pytest

from inference.ending import Limits
from inference.engines.base import EngineError
from inference.episode import EpisodeSettings
from inference.fleet import EngineKind, engines_at, open_fleet
from inference.lab.shipped import lab_places, lab_problems
from inference.records import Episode, read_episodes
from inference.route import route
from inference.runner import Run
from inference.vllm_server import ServedModel, ServerProcess, free_port
from planner.local import LocalPlanner

pytestmark = [pytest.mark.vllm, pytest.mark.models, pytest.mark.slow]
PROBLEMS = lab_problems(24, seed=3)
SETTINGS = EpisodeSettings("thr:0.5", 0, Limits(max_steps=4))


async def route_all(out: Path, places: dict[str, str], finished: asyncio.Semaphore) -> None:
    def count(_: Episode) -> None:
        finished.release()

    greedy = {"temperature": 0.0, "max_step_tokens": 64}
    async with open_fleet(engines_at(places, EngineKind.TRANSFORMERS, greedy), out / "logs") as fleet:
        run = Run(out, {}, PROBLEMS)
        await route(run, fleet, LocalPlanner(None), SETTINGS, concurrency=4, on_episode=count)


async def test_a_killed_engine_costs_no_episode_and_no_step(tmp_path: Path) -> None:
    places = lab_places()
    await route_all(tmp_path / "undisturbed", places, asyncio.Semaphore(0))
    server = ServerProcess(ServedModel("weak", places["weak"]), "127.0.0.1", free_port(), tmp_path / "weak.log")
    await server.start()
    try:
        await server.until_ready()
        finished = asyncio.Semaphore(0)
        going = asyncio.create_task(route_all(tmp_path / "R", places | {"weak": server.url}, finished))
        for _ in range(3):
            await finished.acquire()
        engine_core = psutil.Process(server.pid).children(recursive=True)
        for process in engine_core or [psutil.Process(server.pid)]:
            os.kill(process.pid, signal.SIGKILL)
        await server.wait()
        await server.start()
        (error,) = await asyncio.gather(going, return_exceptions=True)
        if error is not None:  # the retries of a call have ended before the server was back
            assert isinstance(error, EngineError)
            assert "\n" not in str(error)
            assert 3 <= read_episodes(tmp_path / "R" / "episodes").height < len(PROBLEMS)
            await server.until_ready()
            await route_all(tmp_path / "R", places | {"weak": server.url}, asyncio.Semaphore(0))
    finally:
        await server.stop()
    found, expected = (read_episodes(tmp_path / name / "episodes").sort("problem_id") for name in ("R", "undisturbed"))
    assert found["problem_id"].to_list() == sorted(problem.id for problem in PROBLEMS)
    for column in ("solution", "ending", "weak_tokens", "strong_tokens", "discarded_tokens"):
        assert found[column].to_list() == expected[column].to_list()
