"""Episodes that advance on their own against a batch that advances step by step, and the planner's share of an episode's time.

Engines are elsewhere, as they are in production: every step is heard once from the lab's models, and from then on takes the time of its
tokens at a fixed speed, and none of this machine's processors. Episodes, runner, client and planner process are the real thing. (With
three models on the processors that the planner and the worker need too, one measures the scheduler; that share is reported as well.)
"""

import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from benchmarks.measure import Result
from benchmarks.solving import reference_pomdp
from inference.concurrency import for_each
from inference.conversation import Conversation, asked
from inference.ending import ending_of
from inference.engines.base import Engine
from inference.episode import EpisodeSettings, Trio, routed_episode, step_seed
from inference.fleet import EngineKind, engines_at, open_fleet
from inference.lab.shipped import lab_places, lab_problems
from inference.planner_process import planner_process
from inference.problems import Problem
from inference.records import Episode
from inference.scorers.base import Scorer, Scores
from inference.step import Author, Step, solution_text
from kde.errors import TrimError
from planner.client import PlannerClient
from planner.decision import Action, Carry, Decision, Planner, Proposal
from planner.exact import solve_exact
from planner.local import LocalPlanner
from planner.table import tabulate

_CONCURRENCY = 32
_PROBLEMS = lab_problems(2 * _CONCURRENCY, seed=41)
_WEAK, _STRONG, _SCORER = 0.010, 0.025, 0.050
"""Seconds a token of M_w and of M_s, and a call of the PRM: small and middling models on a GPU each, with 32 requests at once."""


def run() -> dict[str, Result]:
    """On lab problems of mixed lengths."""
    results = asyncio.run(_run())
    if find_spec("vllm") is not None:
        results |= asyncio.run(_on_vllm())
    return results


async def _run() -> dict[str, Result]:
    engines = engines_at(lab_places(), EngineKind.TRANSFORMERS, {"max_step_tokens": 64})
    pomdp = reference_pomdp(30)
    with tempfile.TemporaryDirectory() as directory:
        tables = Path(directory) / "table"
        tabulate(pomdp, solve_exact(pomdp, [0.0025])).save(tables)
        async with (
            open_fleet(engines, Path(directory) / "logs") as fleet,
            planner_process(tables, log=Path(directory) / "planner.log") as address,
            PlannerClient(address) as planner,
        ):
            here = Trio(fleet.weak, fleet.strong, fleet.scorer)
            return await _against_lockstep(here) | await _planner_share(here, planner)


async def _against_lockstep(here: Trio) -> dict[str, Result]:
    settings, planner = EpisodeSettings("thr:0.5", 0, prefill=False), LocalPlanner(None)
    models = _elsewhere(here)
    solved = await _each_on_its_own(
        _PROBLEMS, models, planner, settings
    )  # hears every step once, so that the rounds only replay
    ratios = []
    for _ in range(3):
        began = time.perf_counter()
        again = await _each_on_its_own(_PROBLEMS, models, planner, settings)
        between = time.perf_counter()
        twin = await _in_lockstep(_PROBLEMS, models, planner, settings)
        ratios.append((time.perf_counter() - between) / (between - began))
        if not _solutions(solved) == _solutions(again) == twin:
            raise TrimError("the two do not solve the problems in the same way")
    return {
        "episodes on their own against a barrier after each phase, 32 at once: problems a second": Result(
            statistics.median(ratios), "x", 1.3
        )
    }


async def _on_vllm() -> dict[str, Result]:
    """The three models on vLLM in this process; problems as benchmarks have them, mostly short with a tail of long ones."""
    by_length = sorted(lab_problems(600, seed=41), key=lambda problem: len(problem.problem))
    problems = [*by_length[:144], *by_length[-48:]]
    random.Random(0).shuffle(problems)  # noqa: S311  no secret
    settings, planner = EpisodeSettings("thr:0.5", 0, prefill=False), LocalPlanner(None)
    engines = engines_at(lab_places(), EngineKind.VLLM, {"max_step_tokens": 64, "temperature": 0.0})
    ratios = []
    with tempfile.TemporaryDirectory() as logs:
        async with open_fleet(engines, Path(logs)) as fleet:
            models = Trio(fleet.weak, fleet.strong, fleet.scorer)
            await _each_on_its_own(problems, models, planner, settings)
            for _ in range(3):
                began = time.perf_counter()
                await _each_on_its_own(problems, models, planner, settings)
                between = time.perf_counter()
                await _in_lockstep(problems, models, planner, settings)
                ratios.append((time.perf_counter() - between) / (between - began))
    name = (
        "episodes on their own against a barrier after each phase, 32 at once, vLLM in this process: problems a second"
    )
    return {name: Result(statistics.median(ratios), "x", 1.3)}


async def _planner_share(here: Trio, planner: Planner) -> dict[str, Result]:
    settings = EpisodeSettings("pomdp:0.0025", 0, prefill=False)
    models = _elsewhere(here)
    shares = [_share(await _each_on_its_own(_PROBLEMS, models, planner, settings)) for _ in range(4)]
    name = "a remote planner's share of an episode's time"
    return {
        f"{name}, models elsewhere": Result(statistics.median(shares[1:]), "of 1", 0.02, at_least=False),
        f"{name}, models in the same process": Result(shares[0], "of 1", 0.1, at_least=False),
    }


def _share(episodes: Sequence[Episode]) -> float:
    return sum(episode.planner_seconds for episode in episodes) / sum(episode.seconds for episode in episodes)


def _solutions(episodes: Sequence[Episode]) -> dict[str, str]:
    return {episode.problem_id: episode.solution for episode in episodes}


async def _each_on_its_own(
    problems: Sequence[Problem], models: Trio, planner: Planner, settings: EpisodeSettings
) -> list[Episode]:
    episodes: list[Episode] = []

    async def work(problem: Problem) -> None:
        episodes.append(await routed_episode(problem, models, planner, settings))

    await for_each(problems, work, concurrency=_CONCURRENCY)
    return episodes


@dataclass(slots=True)
class _Trace:
    problem: Problem
    written: list[Step]
    carry: Carry | None = None


async def _in_lockstep(
    problems: Sequence[Problem], models: Trio, planner: Planner, settings: EpisodeSettings
) -> dict[str, str]:
    """The authors' loop: everybody proposes, everybody is scored, everybody is decided, whoever must be is rewritten; again."""
    solved: dict[str, str] = {}
    for first in range(0, len(problems), _CONCURRENCY):
        batch = [_Trace(problem, []) for problem in problems[first : first + _CONCURRENCY]]
        while batch:
            await _one_step(batch, models, planner, settings)
            over = [trace for trace in batch if ending_of(trace.written, settings.limits) is not None]
            solved |= {trace.problem.id: solution_text(trace.written) for trace in over}
            batch = [trace for trace in batch if trace not in over]
    return solved


async def _one_step(batch: Sequence[_Trace], models: Trio, planner: Planner, settings: EpisodeSettings) -> None:
    async def propose(trace: _Trace, engine: Engine, author: Author) -> Step:
        seed = step_seed(trace.problem, settings, len(trace.written) + 1, author)
        return await engine.propose(asked(trace.problem.problem), trace.written, seed=seed)

    async def score(trace: _Trace, draft: Step) -> Scores:
        return await models.scorer.score(asked(trace.problem.problem), [step.text for step in [*trace.written, draft]])

    async def decide(trace: _Trace, draft: Step, scores: Scores) -> Decision:
        final = ending_of([*trace.written, draft], settings.limits) is not None
        seen = Proposal.from_scores(scores.values, tokens=len(draft.token_ids), final=final)
        return await planner.decide(settings.policy, seen, trace.carry)

    async def write(trace: _Trace, draft: Step, decision: Decision) -> None:
        again = decision.action is Action.REGENERATE
        trace.written.append(await propose(trace, models.strong, Author.STRONG) if again else draft)
        trace.carry = decision.carry

    drafts = await asyncio.gather(*(propose(trace, models.weak, Author.WEAK) for trace in batch))
    scores = await asyncio.gather(*map(score, batch, drafts))
    decisions = await asyncio.gather(*map(decide, batch, drafts, scores))
    await asyncio.gather(*map(write, batch, drafts, decisions))


def _elsewhere(here: Trio) -> Trio:
    return Trio(_Elsewhere(here.weak, _WEAK), _Elsewhere(here.strong, _STRONG), _ScorerElsewhere(here.scorer))


class _Elsewhere:
    """An engine that was heard once, and from then on takes the time of its tokens and no processor."""

    def __init__(self, here: Engine, seconds_per_token: float) -> None:
        self._here, self._seconds = here, seconds_per_token
        self._heard: dict[tuple[Conversation, tuple[Step, ...], int], Step] = {}

    async def propose(self, question: Conversation, steps: Sequence[Step], *, seed: int) -> Step:
        key = (question, tuple(steps), seed)
        if key in self._heard:
            await asyncio.sleep(self._seconds * len(self._heard[key].token_ids))
        else:
            self._heard[key] = await self._here.propose(question, steps, seed=seed)
        return self._heard[key]

    async def prefill(self, question: Conversation, steps: Sequence[Step]) -> None:
        await self._here.prefill(question, steps)

    async def close(self) -> None:
        await self._here.close()


class _ScorerElsewhere:
    """A scorer likewise."""

    def __init__(self, here: Scorer) -> None:
        self._here = here
        self._heard: dict[tuple[Conversation, tuple[str, ...]], Scores] = {}

    async def score(self, question: Conversation, steps: Sequence[str]) -> Scores:
        key = (question, tuple(steps))
        if key in self._heard:
            await asyncio.sleep(_SCORER)
        else:
            self._heard[key] = await self._here.score(question, steps)
        return self._heard[key]

    async def close(self) -> None:
        await self._here.close()
