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

CELL = 0.01
"""Side of the cells of scores. A study sweeps to where 95 % of the gap is recovered: what tells steps apart there are scores of 0.95 and
more, which the paper's cells of 0.05 hold to be all the same."""
BUDGET_BLOCK = 5
"""Cells along the side of those that budgets are planned with: their state is larger, and 25 times as many cells take 30 times as long."""
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
    await LabPlanning(out, fit.calibration, fit.lambdas, CELL, fit.mix).prepare(runner)
    table = PolicyTable.load(out / "table")
    solve_budget(table.pomdp.coarser(BUDGET_BLOCK), BUDGET_TOKENS).save(out / "budget")
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
