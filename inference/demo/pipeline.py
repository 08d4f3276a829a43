"""The demo's stages, in the order in which data walks through the house.

lab problems -> traces of M_w and M_s -> labels and PRM scores -> observation model and dynamics -> policy table -> planner process ->
routed episodes. Runs and scores resume; what is computed from them is computed again, which takes seconds.
"""

from dataclasses import dataclass
from pathlib import Path

import polars as pl
from rich.progress import Progress

from inference.ending import Limits
from inference.engines.settings import EnginesFile
from inference.episode import EpisodeSettings
from inference.fleet import Fleet, open_fleet
from inference.lab.labelling import label_episodes, write_labels
from inference.lab.shipped import lab_prm_name, lab_problems
from inference.planner_process import planner_process
from inference.problems import Problem
from inference.progress import EpisodeTally
from inference.records import read_episodes
from inference.route import describe_run, fingerprint_of, route
from inference.runner import Run
from inference.scoring import labelled_job, score_traces
from kde.artefact import provenance
from kde.dynamics import labelled_dynamics
from kde.model import ObservationModel, fit_observation_model
from kde.prefixes import class_samples, match_scores
from kde.records import read_records
from kde.traces import LabelledTrace, ScoredTrace
from planner.client import PlannerClient
from planner.decision import Planner
from planner.exact import solve_exact
from planner.local import LocalPlanner
from planner.pomdp import RoutingPOMDP
from planner.table import PolicyTable, tabulate

CALIBRATION_SEED, EVALUATION_SEED = 1, 2
"""Streams of lab problems; no problem is in both."""


@dataclass(frozen=True, slots=True)
class DemoSettings:
    """What the demo runs.

    Attributes:
        out: directory of everything it writes.
        fleet: the three models.
        calibration, evaluation: problems that the models of the planner are fitted on, and problems that every policy solves.
        thresholds: of TRIM-Thr.
        lambdas: of TRIM-POMDP, reward per strong token.
        max_steps: T.
        concurrency: problems in flight.
    """

    out: Path
    fleet: EnginesFile
    calibration: int
    evaluation: int
    thresholds: tuple[float, ...]
    lambdas: tuple[float, ...]
    max_steps: int = 30
    concurrency: int = 128

    @property
    def policies(self) -> tuple[str, ...]:
        """All policies, in the order in which they are run and shown."""
        return (
            "weak",
            "strong",
            *(f"thr:{threshold!r}" for threshold in self.thresholds),
            *(f"pomdp:{lam!r}" for lam in self.lambdas),
        )


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What the demo leaves: the fitted model, the table, and the episodes of every policy."""

    model: ObservationModel
    table: PolicyTable
    episodes: dict[str, pl.DataFrame]


async def run_demo(settings: DemoSettings, progress: Progress) -> DemoResult:
    """Run every stage; episodes and scores that are on disk are not made again."""
    evaluation = _Problems("evaluation", EVALUATION_SEED, lab_problems(settings.evaluation, seed=EVALUATION_SEED))
    async with open_fleet(settings.fleet, settings.out / "logs") as fleet:
        stages = _Stages(settings, fleet, progress)
        model, table = await stages.prepare()
        async with (
            planner_process(settings.out / "table", log=settings.out / "logs" / "planner.log") as address,
            PlannerClient(address) as planner,
        ):
            episodes = {policy: await stages.episodes(planner, policy, evaluation) for policy in settings.policies}
    return DemoResult(model, table, episodes)


@dataclass(frozen=True, slots=True)
class _Problems:
    purpose: str
    seed: int
    problems: list[Problem]


@dataclass(frozen=True, slots=True)
class _Stages:
    settings: DemoSettings
    fleet: Fleet
    progress: Progress

    async def prepare(self) -> tuple[ObservationModel, PolicyTable]:
        """From the two generators alone to the planner's table."""
        out = self.settings.out / "calibration"
        problems = lab_problems(self.settings.calibration, seed=CALIBRATION_SEED)
        traces = {}
        for name in ("weak", "strong"):
            episodes = await self.episodes(
                LocalPlanner(None), name, _Problems("calibration", CALIBRATION_SEED, problems)
            )
            traces[name] = label_episodes(episodes, problems, generator=name)
            write_labels(out / f"{name}.jsonl", traces[name])
        model = await self._fit(traces["weak"], out)
        dynamics = labelled_dynamics(traces["weak"], traces["strong"], max_steps=self.settings.max_steps)
        dynamics.save(self.settings.out / "dynamics.json")
        return model, self._solve(RoutingPOMDP.assemble(model.cells, dynamics, belief_filter=model.filter))

    async def _fit(self, traces: list[LabelledTrace], out: Path) -> ObservationModel:
        labels, scores = out / "weak.jsonl", out / "scores.jsonl"
        task = self.progress.add_task("PRM scores", total=len(traces), note="")
        job = labelled_job(traces, prm=lab_prm_name())
        await score_traces(self.fleet.scorer, job, scores, on_trace=lambda: self.progress.advance(task))
        self.progress.update(task, completed=len(traces))
        samples = class_samples(match_scores(traces, read_records(scores, ScoredTrace), source=str(scores)))
        origin = provenance({"labels": labels, "scores": scores}, {"bandwidth": "scott", "cell": 0.05})
        model = fit_observation_model(samples, provenance=origin)
        model.save(self.settings.out / "model")
        return model

    def _solve(self, pomdp: RoutingPOMDP) -> PolicyTable:
        out, lambdas = self.settings.out, self.settings.lambdas
        task = self.progress.add_task("solving the POMDP", total=len(lambdas), note="")
        solutions = solve_exact(pomdp, lambdas, on_solved=lambda _: self.progress.advance(task))
        inputs = {"observation_model": out / "model" / "model.json", "dynamics": out / "dynamics.json"}
        table = tabulate(pomdp, solutions, provenance=provenance(inputs, {"solver": "exact"}))
        table.save(out / "table")
        return table

    async def episodes(self, planner: Planner, policy: str, asked: _Problems) -> pl.DataFrame:
        """The episodes of one policy on every problem; those that are not on disk yet are made."""
        settings = self.settings
        models = settings.fleet.describe()
        episode = EpisodeSettings(policy, asked.seed, Limits(settings.max_steps), fingerprint_of(models))
        described = await describe_run(planner, episode, models)
        run = Run(settings.out / asked.purpose / policy.replace(":", "-"), described, asked.problems)
        done = len(asked.problems) - len(run.remaining())
        tally = EpisodeTally(self.progress, f"{asked.purpose} {policy}", total=len(asked.problems), done=done)
        await route(run, self.fleet, planner, episode, concurrency=settings.concurrency, on_episode=tally.add)
        return read_episodes(run.episodes)
