"""A study on the lab: its planner is fitted first, and its exact checker tells the oracle the truth."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.progress import Progress

from inference.cells import CellRunner
from inference.evaluate.query_level import score_file
from inference.evaluate.study import Study
from inference.lab.planning import LabPlanning
from inference.lab.shipped import lab_prm_name
from inference.planner_process import planner_process
from inference.problems import Problem
from inference.scoring import score_traces, solution_job
from inference.solutions import solutions_of
from kde.artefact import read_artefact
from kde.errors import ArtefactError
from planner.budget import solve_budget
from planner.client import PlannerClient
from planner.decision import Carry, Decision, Planner, Proposal
from planner.learn.settings import Learner, Preset, TrainingSettings
from planner.local import LocalPlanner
from planner.policies.learned import LEARNED
from planner.policies.offer import Offer
from planner.table import PolicyTable

_JUDGED, _JUDGE_SEED = 50_000, 2**31
_BUDGET_TOKENS = 100.0
"""The largest budget that the budget table answers for."""


@dataclass(frozen=True, slots=True)
class StudyPlanner:
    """Asks the service, except for what no wire carries: the oracle is asked here.

    Attributes:
        service: for every other policy.
        local: for the oracle.
    """

    service: Planner
    local: Planner

    async def decide(self, policy: str, proposal: Proposal, carry: Carry | None) -> Decision:
        """Decide under the named policy."""
        planner = self.local if policy.startswith("oracle:") else self.service
        return await planner.decide(policy, proposal, carry)


@asynccontextmanager
async def lab_planner(
    out: Path, runner: CellRunner, *, calibration: int, lambdas: Sequence[float], learned: Sequence[float]
) -> AsyncIterator[Planner]:
    """Fit what the policies decide from, and serve it for as long as it is needed.

    Args:
        out: directory of it all.
        runner: runs the calibration.
        calibration: problems that the two models solve for it.
        lambdas: prices of the table.
        learned: prices for which TRIM-Agg is trained, in simulation on the table's POMDP.
    """
    await LabPlanning(out, calibration, lambdas).prepare(runner)
    table = PolicyTable.load(out / "table")
    solve_budget(table.pomdp, _BUDGET_TOKENS).save(out / "budget")
    for lam in learned:
        await asyncio.to_thread(_train_agg, table, lam, out / f"agg-{lam!r}", runner.progress)
    async with (
        planner_process(out, log=out / "planner.log") as address,
        PlannerClient(address) as client,
    ):
        yield StudyPlanner(client, LocalPlanner(Offer.load(out).catalogue))


def _train_agg(table: PolicyTable, lam: float, out: Path, progress: Progress) -> None:
    """Train TRIM-Agg unless it has been; a training that was stopped goes on."""
    from planner.learn.judge import Bench  # noqa: PLC0415
    from planner.learn.result import finish  # noqa: PLC0415
    from planner.learn.training import Training  # noqa: PLC0415  torch takes seconds

    settings = TrainingSettings.of(Preset.DEFAULT, Learner.AGG, {})
    training = Training(table.pomdp, lam, Learner.AGG, settings, seed=0)
    task = progress.add_task(f"learning agg:{lam!r}", total=settings.iterations, note="")
    if _is_trained(out, table, training.parameters()):
        progress.update(task, completed=settings.iterations)
        return
    trained = training.run(out, on_progress=lambda done: progress.update(task, completed=done.iteration))
    inputs = {"table": {"content_hash": table.content_hash}}
    finish(training, trained, Bench.of(table.pomdp, lam, episodes=_JUDGED, seed=_JUDGE_SEED), inputs=inputs, out=out)
    training.forget(out)


def _is_trained(out: Path, table: PolicyTable, parameters: dict[str, Any]) -> bool:
    try:
        found = read_artefact(out, LEARNED).body["provenance"]
    except ArtefactError:
        return False
    same_table = found["inputs"]["table"]["content_hash"] == table.content_hash
    return same_table and bool(found["parameters"] == json.loads(json.dumps(parameters)))


async def score_weak_traces(study: Study, problems: Sequence[Problem], runner: CellRunner) -> None:
    """Score M_w's own traces, for the routers that read them."""
    for cell in study.cells(problems):
        if cell.policy != "weak":
            continue
        solutions = solutions_of(cell.directory, problems)
        task = runner.progress.add_task("PRM scores", total=len(solutions), note="")
        out = score_file(study, cell.seed)
        out.parent.mkdir(parents=True, exist_ok=True)
        job = solution_job(solutions, prm=lab_prm_name())
        await score_traces(runner.fleet.scorer, job, out, on_trace=partial(runner.progress.advance, task))
