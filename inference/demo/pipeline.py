"""The demo's stages, in the order in which data walks through the house.

lab problems -> traces of M_w and M_s -> labels and PRM scores -> observation model and dynamics -> policy table -> planner process ->
routed episodes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from rich.progress import Progress

from inference.cells import Cell, CellRunner
from inference.ending import Limits
from inference.engines.settings import EnginesFile
from inference.fleet import open_fleet
from inference.lab.planning import LabPlanning
from inference.lab.shipped import lab_problems
from inference.planner_process import planner_process
from inference.problems import Problem
from kde.model import ObservationModel
from planner.client import PlannerClient
from planner.table import PolicyTable

EVALUATION_SEED = 2
"""Stream of the lab problems that policies are compared on; no planner is fitted on them."""
CELL = 0.05
"""Side of the cells of scores, as the paper has it."""


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
    out, problems = settings.out, lab_problems(settings.evaluation, seed=EVALUATION_SEED)
    async with open_fleet(settings.fleet, out / "logs") as fleet:
        runner = CellRunner(settings.fleet, fleet, Limits(settings.max_steps), settings.concurrency, progress)
        model, table = await LabPlanning(out, settings.calibration, settings.lambdas, CELL).prepare(runner)
        async with (
            planner_process(out / "table", log=out / "logs" / "planner.log") as address,
            PlannerClient(address) as planner,
        ):
            episodes = {
                policy: await runner.episodes(_cell(out, policy, problems), planner) for policy in settings.policies
            }
    return DemoResult(model, table, episodes)


def _cell(out: Path, policy: str, problems: Sequence[Problem]) -> Cell:
    return Cell(out / "evaluation" / policy.replace(":", "-"), policy, EVALUATION_SEED, problems)
