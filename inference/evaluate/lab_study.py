"""A study on the lab: its planner is fitted first, and its exact checker tells the oracle the truth."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from inference.cells import CellRunner
from inference.evaluate.query_level import score_file
from inference.evaluate.study import Study
from inference.lab.planning import LabPlanning
from inference.lab.shipped import lab_prm_name
from inference.planner_process import planner_process
from inference.problems import Problem
from inference.scoring import score_traces, solution_job
from inference.solutions import solutions_of
from planner.budget import solve_budget
from planner.client import PlannerClient
from planner.decision import Carry, Decision, Planner, Proposal
from planner.local import LocalPlanner
from planner.policies.offer import Offer

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
    out: Path, runner: CellRunner, *, calibration: int, lambdas: Sequence[float]
) -> AsyncIterator[Planner]:
    """Fit what the policies decide from, and serve it for as long as it is needed."""
    _, table = await LabPlanning(out, calibration, lambdas).prepare(runner)
    solve_budget(table.pomdp, _BUDGET_TOKENS).save(out / "budget")
    async with (
        planner_process(out, log=out / "planner.log") as address,
        PlannerClient(address) as client,
    ):
        yield StudyPlanner(client, LocalPlanner(Offer.load(out).catalogue))


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
