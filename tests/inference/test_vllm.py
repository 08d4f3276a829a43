"""Three real vLLM servers on the CPU with the lab's models."""

import asyncio
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from inference.concurrency import for_each
from inference.conversation import asked
from inference.engines.base import ContextFullError, Engine, EngineError
from inference.engines.bounded import BoundedEngine
from inference.engines.server import ServerEngine
from inference.engines.settings import EngineSettings, PrmSettings, Sampling
from inference.episode import EpisodeSettings, Trio, routed_episode
from inference.fleet import EngineKind, Fleet, open_fleet
from inference.lab import CHECKPOINTS
from inference.lab.shipped import lab_problems
from inference.problems import Problem
from inference.records import Episode
from inference.scorers.server import ServerScorer
from inference.step import Stop
from inference.vllm_server import LocalServers, ServedModel
from planner.local import LocalPlanner
from tests.inference.conftest import lab_fleet

pytestmark = [pytest.mark.vllm, pytest.mark.models, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(600)]
PROBLEMS = lab_problems(40, seed=21)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fleet]:
    async with open_fleet(lab_fleet(EngineKind.VLLM_SERVER, 0.0), tmp_path_factory.mktemp("logs")) as fleet:
        yield fleet


def url_of(engine: Engine) -> str:
    assert isinstance(engine, BoundedEngine)
    assert isinstance(engine._engine, ServerEngine)
    return engine._engine._endpoint.where


async def route_all(fleet: Fleet, problems: list[Problem], *, prefill: bool = True) -> dict[str, Episode]:
    episodes: dict[str, Episode] = {}
    models, settings = Trio(fleet.weak, fleet.strong, fleet.scorer), EpisodeSettings("thr:0.5", 0, prefill=prefill)

    async def work(problem: Problem) -> None:
        episodes[problem.id] = await routed_episode(problem, models, LocalPlanner(None), settings)

    await for_each(problems, work, concurrency=16)
    return episodes


async def test_greedy_episodes_are_transformers_token_for_token(served: Fleet, tmp_path: Path) -> None:
    async with open_fleet(lab_fleet(EngineKind.TRANSFORMERS, 0.0), tmp_path) as embedded:
        expected = await route_all(embedded, PROBLEMS)
    found = await route_all(served, PROBLEMS)
    assert found.keys() == expected.keys()
    for name, episode in found.items():
        twin = expected[name]
        assert episode.solution == twin.solution
        assert (episode.weak_tokens, episode.strong_tokens) == (twin.weak_tokens, twin.strong_tokens)
        for step, other in zip(episode.steps, twin.steps, strict=True):
            assert step.scores == pytest.approx(other.scores, abs=1e-5)


async def test_tokens_are_what_the_servers_count(served: Fleet) -> None:
    async def generated() -> tuple[float, float]:
        counts = []
        for engine in (served.weak, served.strong):
            async with httpx.AsyncClient() as client:
                text = (await client.get(f"{url_of(engine)}/metrics")).text
            counts.append(
                sum(map(float, re.findall(r"^vllm:generation_tokens_total\{.*\} (\S+)$", text, re.MULTILINE)))
            )
        return counts[0], counts[1]

    before = await generated()
    episodes = (await route_all(served, PROBLEMS[:10], prefill=False)).values()
    after = await generated()
    assert after[0] - before[0] == sum(episode.weak_tokens for episode in episodes)
    assert after[1] - before[1] == sum(episode.strong_tokens for episode in episodes)


async def test_both_engines_share_the_vocabulary_of_the_embedded_one(served: Fleet, tmp_path: Path) -> None:
    step = await served.weak.propose(asked(PROBLEMS[0].problem), (), seed=0)
    async with open_fleet(lab_fleet(EngineKind.TRANSFORMERS, 0.0), tmp_path) as embedded:
        assert await embedded.weak.propose(asked(PROBLEMS[0].problem), (), seed=0) == step


async def test_the_token_limit_cuts_a_step(served: Fleet) -> None:
    engine = ServerEngine(
        EngineSettings(
            backend="server",
            urls=(url_of(served.weak),),
            sampling=Sampling(temperature=0, max_step_tokens=2),
        )
    )
    step = await engine.propose(asked(PROBLEMS[0].problem), (), seed=0)
    assert (len(step.token_ids), step.stop) == (2, Stop.LENGTH)
    await engine.close()


async def test_a_refused_request_says_what_the_server_said(served: Fleet) -> None:
    with pytest.raises(ContextFullError, match="context of 512"):
        await served.weak.propose(asked("7+7\n" * 5000), (), seed=0)
    wrong_kind = ServerScorer(
        PrmSettings(backend="server", urls=(url_of(served.weak),))
    )  # a generation server does not score
    with pytest.raises(EngineError, match="/pooling"):
        await wrong_kind.score(asked(PROBLEMS[0].problem), ["S:=1"])
    await wrong_kind.close()


async def test_a_server_that_cannot_start_shows_the_end_of_its_log(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(EngineError, match="ended while starting"):
        async with LocalServers([ServedModel("broken", tmp_path)], tmp_path / "logs"):
            pass


async def test_servers_end_with_their_block(tmp_path: Path) -> None:
    servers = LocalServers([ServedModel("weak", CHECKPOINTS / "weak")], tmp_path)
    async with servers as urls:
        assert urls["weak"].startswith("http://127.0.0.1:")
        pids = [process.pid or 0 for process in servers.processes]
        for pid in pids:
            assert pid
            os.kill(pid, 0)
    await asyncio.sleep(0)
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
