"""A study's own planner on the lab, fitted before anything is compared."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from rich.progress import Progress

from inference.cells import CellRunner
from inference.evaluate.plan import Fit
from inference.lab.planning import LabPlanning
from planner.budget import solve_budget
from planner.learn.settings import Learner
from planner.table import PolicyTable

BUDGET_TOKENS = 100.0
"""The largest budget that the budget table answers for."""


async def fit_lab_planner(out: Path, runner: CellRunner, fit: Fit, policies: Sequence[str]) -> None:
    """Fit what the policies decide from: a policy table, a budget table, TRIM-Agg and TRIM-Seq.

    Args:
        out: directory of it all.
        runner: runs the calibration.
        fit: how.
        policies: ids; those of a learner are trained for, in simulation on the table's POMDP.
    """
    await LabPlanning(out, fit.calibration, fit.lambdas, fit.mix).prepare(runner)
    table = PolicyTable.load(out / "table")
    solve_budget(table.pomdp, BUDGET_TOKENS).save(out / "budget")
    for policy in policies:
        family, _, price = policy.partition(":")
        if family in set(Learner):
            lam = float(price)
            await asyncio.to_thread(_train, table, Learner(family), lam, out / f"{family}-{lam!r}", runner.progress)


def _train(table: PolicyTable, learner: Learner, lam: float, out: Path, progress: Progress) -> None:
    """Train a learner unless it has been; a training that was stopped goes on."""
    from planner.learn.for_table import train_for_table  # noqa: PLC0415  torch takes seconds

    task = progress.add_task(f"learning {learner.value}:{lam!r}", total=None, note="")
    train_for_table(
        table,
        lam,
        learner,
        out,
        on_progress=lambda done: progress.update(task, completed=done.iteration, total=done.iterations),
    )
