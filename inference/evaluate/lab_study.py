"""A study's own planner on the lab, fitted before anything is compared."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.progress import Progress

from inference.cells import CellRunner
from inference.evaluate.plan import Fit
from inference.lab.planning import LabPlanning
from kde.artefact import read_artefact
from kde.errors import ArtefactError
from planner.budget import solve_budget
from planner.learn.settings import Learner, Preset, TrainingSettings
from planner.policies.learned import LEARNED
from planner.table import PolicyTable

BUDGET_TOKENS = 100.0
"""The largest budget that the budget table answers for."""
_JUDGED, _JUDGE_SEED = 50_000, 2**31


async def fit_lab_planner(out: Path, runner: CellRunner, fit: Fit, learned: Sequence[float]) -> None:
    """Fit what the policies decide from: a policy table, a budget table and TRIM-Agg.

    Args:
        out: directory of it all.
        runner: runs the calibration.
        fit: how.
        learned: prices for which TRIM-Agg is trained, in simulation on the table's POMDP.
    """
    await LabPlanning(out, fit.calibration, fit.lambdas, fit.mix).prepare(runner)
    table = PolicyTable.load(out / "table")
    solve_budget(table.pomdp, BUDGET_TOKENS).save(out / "budget")
    for lam in learned:
        await asyncio.to_thread(_train_agg, table, lam, out / f"agg-{lam!r}", runner.progress)


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
