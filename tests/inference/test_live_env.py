"""The routing problem over the lab's models, by other people's checkers and by our own runs."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as check_as_stable_baselines

from inference.ending import Limits
from inference.episode import EpisodeSettings, Trio, routed_episode
from inference.fleet import EngineKind, engines_at, open_fleet
from inference.lab.planner import PROBLEM_DIRECTORY
from inference.lab.shipped import lab_places, lab_problems
from inference.live_env import LiveRoutingEnv
from inference.problems import Problem
from inference.records import Episode
from kde.errors import InputError
from planner.local import LocalPlanner
from planner.problem import read_problem

pytestmark = pytest.mark.models
LAM = 0.002
PROBLEMS = lab_problems(4, seed=11)
ENGINES = engines_at(lab_places(), EngineKind.TRANSFORMERS, {"max_step_tokens": 64})


@pytest.fixture(scope="module")
def environment() -> Iterator[LiveRoutingEnv]:
    found = LiveRoutingEnv(ENGINES, PROBLEMS, read_problem(PROBLEM_DIRECTORY)[0], LAM)
    yield found
    found.close()


@pytest.mark.filterwarnings("ignore:.*test alternative render modes.*", "ignore:.*spec.*")
def test_gymnasium_accepts_it(environment: LiveRoutingEnv) -> None:
    check_env(environment, skip_render_check=True, skip_close_check=True)


def test_stable_baselines_accepts_it(environment: LiveRoutingEnv) -> None:
    check_as_stable_baselines(environment)


@pytest.mark.parametrize(("policy", "action"), [("weak", 0), ("strong", 1)])
def test_its_episodes_are_those_of_a_run(environment: LiveRoutingEnv, policy: str, action: int, tmp_path: Path) -> None:
    _, told = environment.reset(seed=3)
    rewards, ended = [], False
    while not ended:
        shown, reward, ended, truncated, info = environment.step(np.int64(action))
        assert not truncated
        assert environment.observation_space.contains(shown)
        rewards.append(reward)
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(3)))
    problem = PROBLEMS[int(rng.integers(len(PROBLEMS)))]
    assert told == {"problem": problem.id}
    settings = EpisodeSettings(policy, int(rng.integers(2**31)), Limits())
    episode = asyncio.run(_run(problem, settings, tmp_path))
    assert len(rewards) == len(episode.steps)
    assert info == {"correct": episode.correct, "strong_tokens": episode.strong_tokens}
    paid = [-LAM * step.tokens * action for step in episode.steps]
    paid[-1] += bool(episode.correct)
    assert rewards == pytest.approx(paid)
    with pytest.raises(InputError, match="call reset"):
        environment.step(np.int64(0))


async def _run(problem: Problem, settings: EpisodeSettings, logs: Path) -> Episode:
    async with open_fleet(ENGINES, logs) as fleet:
        models = Trio(fleet.weak, fleet.strong, fleet.scorer)
        return await routed_episode(problem, models, LocalPlanner(None), settings)


def test_an_episode_can_be_left_in_the_middle(environment: LiveRoutingEnv) -> None:
    first, _ = environment.reset(seed=5)
    environment.step(np.int64(1))
    again, _ = environment.reset(seed=5)
    assert (first == again).all()


def test_problems_without_answers_are_refused() -> None:
    pomdp = read_problem(PROBLEM_DIRECTORY)[0]
    for problems in ([], [Problem(id="open", problem="1 + 1")]):
        with pytest.raises(InputError, match="right answers"):
            LiveRoutingEnv(ENGINES, problems, pomdp, LAM)
