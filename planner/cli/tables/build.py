"""`trim tables build`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn

from kde.terminal import AsJson
from planner.build import Build, Solver
from planner.cli.tables.describe import ModelOptions
from planner.cli.tables.report import report
from planner.diagnostics import examine
from planner.exact import ExactSolver
from planner.table import RESOLUTION


class SolverName(StrEnum):
    """Which solver."""

    EXACT = "exact"
    """Backward induction with certified bounds."""


def build(
    *,
    model: ModelOptions | None = None,
    lambdas: Annotated[
        list[float], Parameter(name="--lambda", consume_multiple=True, negative="", help="reward per strong token")
    ],
    solver: Annotated[SolverName, Parameter(help="how to solve")] = SolverName.EXACT,
    gap: Annotated[float, Parameter(help="exact: largest difference of the bounds on V_0")] = 1e-4,
    resolution: Annotated[
        int, Parameter(validator=Number(gte=1, lte=400), help="lattice steps along an edge of the belief triangle")
    ] = RESOLUTION,
    out: Annotated[Path, Parameter(help="directory of the table")],
    as_json: AsJson = False,
) -> None:
    """Solve the routing POMDP for every lambda and write its policy table, bounds included.

    A build that is killed goes on where it was when the same command is given again; the table is the same, byte by byte.
    """
    described = model or ModelOptions()
    planned = Build(described.pomdp(), lambdas, _solver(solver, gap=gap), resolution, described.inputs())
    columns = (*Progress.get_default_columns(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("solving", total=len(set(lambdas)))
        table = planned.run(out, on_solved=lambda _: progress.advance(task))
    report(out, table, examine(table), as_json=as_json)


def _solver(name: SolverName, *, gap: float) -> Solver:
    match name:
        case SolverName.EXACT:
            return ExactSolver(gap)
