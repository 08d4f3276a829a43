"""`trim tables build`."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TaskID, TimeElapsedColumn

from kde.errors import InputError
from kde.terminal import AsJson
from planner.build import Build, Solver
from planner.cli.tables.describe import ModelOptions
from planner.cli.tables.report import report
from planner.diagnostics import examine
from planner.exact import ExactSolver
from planner.sarsop.job import Limits, Program
from planner.sarsop.log import Bounds
from planner.sarsop.process import Launch
from planner.sarsop.solver import SarsopSolver
from planner.table import RESOLUTION


class SolverName(StrEnum):
    """Which solver."""

    EXACT = "exact"
    """Backward induction with certified bounds."""
    SARSOP = "sarsop"
    """POMDPs.jl's SARSOP; needs Julia."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SarsopOptions:
    """Options of --solver sarsop."""

    program: Annotated[Program, Parameter(help="NativeSARSOP, or the APPL program through SARSOP.jl")] = Program.NATIVE
    precision: Annotated[float, Parameter(help="absolute difference of its bounds at which a solve ends")] = 1e-3
    max_steps: Annotated[int, Parameter(help="iterations after which it ends")] = 100_000
    max_time: Annotated[float, Parameter(help="seconds after which it ends with the policy it has")] = 600.0
    timeout: Annotated[float, Parameter(help="seconds after which a worker is taken to hang and is killed")] = 3600.0
    attempts: Annotated[int, Parameter(help="how often a worker that crashes is tried")] = 3
    workers: Annotated[int, Parameter(help="how many lambdas are solved at once")] = 1


def build(
    *,
    model: ModelOptions | None = None,
    lambdas: Annotated[
        list[float], Parameter(name="--lambda", consume_multiple=True, negative="", help="reward per strong token")
    ],
    solver: Annotated[SolverName, Parameter(help="how to solve")] = SolverName.EXACT,
    sarsop: SarsopOptions | None = None,
    gap: Annotated[
        float | None, Parameter(help="exact: largest difference of the bounds on V_0, 1e-4 unless given")
    ] = None,
    resolution: Annotated[
        int, Parameter(validator=Number(gte=1, lte=400), help="lattice steps along an edge of the belief triangle")
    ] = RESOLUTION,
    out: Annotated[Path, Parameter(help="directory of the table")],
    as_json: AsJson = False,
) -> None:
    """Solve the routing POMDP for every lambda and write its policy table, bounds included.

    A build that is killed goes on where it was when the same command is given again; the table is the same, byte by byte.
    """
    columns = (*Progress.get_default_columns(), MofNCompleteColumn(), TimeElapsedColumn())
    described = model or ModelOptions()
    pomdp = described.pomdp()
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("solving", total=len(set(lambdas)))
        match solver:
            case SolverName.EXACT:
                _refuse_other("--sarsop", sarsop, solver)
                chosen: Solver = ExactSolver() if gap is None else ExactSolver(gap)
            case SolverName.SARSOP:
                _refuse_other("--gap", gap, solver)
                chosen = _sarsop(sarsop or SarsopOptions(), progress, task)
        planned = Build(pomdp, lambdas, chosen, resolution, described.inputs())
        table = planned.run(out, on_solved=lambda _: progress.advance(task))
    report(out, table, examine(table), as_json=as_json)


def _refuse_other(option: str, value: object, solver: SolverName) -> None:
    if value is not None:
        raise InputError("tables build", field=option, value=value, remedy=f"--solver {solver.value} does not take it")


def _sarsop(options: SarsopOptions, progress: Progress, task: TaskID) -> SarsopSolver:
    def show(lam: float, bounds: Bounds | None, seconds: float) -> None:
        so_far = "starting" if bounds is None else f"{bounds.lower:.4f} to {bounds.upper:.4f}"
        progress.update(task, description=f"solving, lambda {lam:g}: {so_far}, {seconds:.0f} s")

    return SarsopSolver(
        Limits(options.program, options.precision, options.max_steps, options.max_time),
        Launch(timeout=options.timeout, attempts=options.attempts),
        options.workers,
        show,
    )
