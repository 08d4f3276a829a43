"""Routing a set of problems under one policy: what `trim route` and the demo do."""

import hashlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from inference.episode import EpisodeSettings, Trio, Truth, routed_episode, solo_episode
from inference.fleet import Fleet
from inference.meters import MeteredEngine, MeteredPlanner, MeteredScorer, Meters
from inference.records import Episode
from inference.runner import Run, Solve
from inference.scorers.base import Scorer
from inference.step import Author
from kde.errors import InputError
from kde.samples import StepClass
from planner.client import PlannerClient, PlannerUnavailableError
from planner.decision import Planner, Proposal
from planner.local import LocalPlanner
from planner.policies.offer import Offer


@asynccontextmanager
async def open_planner(
    server: str | None, tables: Path | None, *, fallback: str | None = None, otherwise: Planner
) -> AsyncIterator[Planner]:
    """A planner service, tables in this process, or, with neither, what there is `otherwise`.

    Args:
        server: HOST:PORT of the service.
        tables: directory of the table, or of a folder of them.
        fallback: what decides while the service does not answer, as `planner.client.fallback` declares it; None stops the run.
        otherwise: decides where neither is named.

    Raises:
        InputError: both are named, or a fallback without a service.
        ArtefactError: the table cannot be trusted.
    """
    if server is not None and tables is not None:
        raise InputError("planner", field="server", value=server, remedy="give one of --server and --tables")
    if server is None:
        if fallback is not None:
            remedy = "it is for a planner that may be away: name it by --server"
            raise InputError("planner", field="fallback", value=fallback, remedy=remedy)
        yield otherwise if tables is None else LocalPlanner(Offer.load(tables).catalogue)
        return
    async with PlannerClient(server, fallback=fallback) as client:
        yield client


async def route(
    run: Run,
    fleet: Fleet,
    planner: Planner,
    settings: EpisodeSettings,
    *,
    concurrency: int,
    meters: Meters | None = None,
    scorer: Scorer | None = None,
    truth: Truth | None = None,
    on_episode: Callable[[Episode], None] = lambda _: None,
) -> None:
    """Solve what remains of a run. `weak` and `strong` are the models alone: they need no PRM and no planner.

    Args:
        run: what is solved.
        fleet: the models.
        planner: decides.
        settings: of every episode.
        concurrency: problems in flight.
        meters: measure what is waited for.
        scorer: scores the steps; None for the fleet's.
        truth: for oracles.
        on_episode: hears of every episode.

    Raises:
        InputError: a model that the policy needs has no place.
    """
    meters = Meters() if meters is None else meters
    solve = _solver(fleet, planner, settings, meters, truth, scorer=scorer)
    meters.begin()
    await run.finish(solve, concurrency=concurrency, on_episode=on_episode)


def _solver(
    fleet: Fleet,
    planner: Planner,
    settings: EpisodeSettings,
    meters: Meters,
    truth: Truth | None,
    *,
    scorer: Scorer | None,
) -> Solve:
    match settings.policy:
        case "weak":
            weak = MeteredEngine(fleet.weak, meters.weak)
            return lambda problem: solo_episode(problem, weak, Author.WEAK, settings)
        case "strong":
            strong = MeteredEngine(fleet.strong, meters.strong)
            return lambda problem: solo_episode(problem, strong, Author.STRONG, settings)
        case _:
            models = Trio(
                MeteredEngine(fleet.weak, meters.weak),
                MeteredEngine(fleet.strong, meters.strong),
                MeteredScorer(fleet.scorer if scorer is None else scorer, meters.scorer),
                truth,
            )
            decider = MeteredPlanner(planner, meters.planner)
            return lambda problem: routed_episode(problem, models, decider, settings)


async def table_hash(planner: Planner, policy: str) -> str:
    """Content hash of the table behind a policy, empty where there is none; asks for one decision, so it also proves the policy.

    Raises:
        TrimError: the planner does not know the policy, or does not answer.
    """
    if policy in {"weak", "strong"}:
        return ""
    first = Proposal(1, earlier=1.0, newest=1.0, tokens=1, final=False, truth=StepClass.CORRECT)
    decision = await planner.decide(policy, first, None)
    if decision.fallback:
        raise PlannerUnavailableError("planner: no answer; it may leave later, but a run does not start without it")
    return decision.table_hash


def fingerprint_of(models: Mapping[str, Any]) -> str:
    """What the records of a run call its models: the start of the SHA-256 of their description in `run.json`."""
    return hashlib.sha256(json.dumps(models, sort_keys=True).encode()).hexdigest()[:12]


async def describe_run(planner: Planner, settings: EpisodeSettings, models: Mapping[str, Any]) -> dict[str, Any]:
    """What `run.json` says of a run, and what has to be the same to go on with it.

    Raises:
        TrimError: as `table_hash`.
    """
    asked = {"policy": settings.policy, "seed": settings.seed, **asdict(settings.limits)}
    return {**asked, **models, "table": await table_hash(planner, settings.policy)}
