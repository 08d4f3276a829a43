"""`trim tables`: build and show policy tables."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from pydantic import ValidationError
from rich.console import Console
from rich.progress import Progress

from kde.artefact import provenance
from kde.dynamics import Dynamics
from kde.errors import InputError
from kde.hazard import load_hazard
from kde.model import ObservationModel
from kde.terminal import AsJson, print_json, print_table
from kde.tokens import TokenModel
from planner.exact import solve_exact
from planner.pomdp import RoutingPOMDP
from planner.table import PolicyTable, tabulate

app = App(name="tables", help="Build and show policy tables.")


@app.command
def build(
    *,
    observation_model: Annotated[Path, Parameter(help="directory written by `trim kde fit`")],
    dynamics: Annotated[Path | None, Parameter(help="JSON file written by `trim kde dynamics`")] = None,
    p_weak: Annotated[float | None, Parameter(help="p_w, instead of --dynamics")] = None,
    p_strong: Annotated[float | None, Parameter(help="p_s, instead of --dynamics")] = None,
    hazard: Annotated[str | None, Parameter(help="FILE.json:KEY, instead of --dynamics")] = None,
    tokens: Annotated[
        str | None, Parameter(help="60, or bins with weights 10:0.2,60:0.8; instead of --dynamics")
    ] = None,
    lambdas: Annotated[
        list[float], Parameter(name="--lambda", consume_multiple=True, negative="", help="reward per strong token")
    ],
    gap: Annotated[float, Parameter(help="largest difference of the bounds on V_0")] = 1e-4,
    out: Annotated[Path, Parameter(help="directory of the table")],
    as_json: AsJson = False,
) -> None:
    """Solve the routing POMDP for every lambda and write its policy table, bounds included."""
    model = ObservationModel.load(observation_model)
    inputs = {"observation_model": observation_model / "model.json"}
    if dynamics is not None and (p_weak, p_strong, hazard, tokens) == (None, None, None, None):
        inputs["dynamics"] = dynamics
        described = Dynamics.load(dynamics)
    elif dynamics is None and p_weak is not None and p_strong is not None and hazard is not None and tokens is not None:
        inputs["hazard"] = Path(hazard.rpartition(":")[0])
        described = _dynamics_from_options(p_weak, p_strong, hazard, tokens)
    else:
        remedy = "give --dynamics, or all of --p-weak --p-strong --hazard --tokens"
        raise InputError("tables build", field="dynamics", value=dynamics, remedy=remedy)
    pomdp = RoutingPOMDP.assemble(model.cells, described)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("solving", total=len(set(lambdas)))
        solutions = solve_exact(pomdp, sorted(set(lambdas)), gap=gap, on_solved=lambda _: progress.advance(task))
    parameters = {"solver": "exact", "gap": gap, "dynamics": described.model_dump(mode="json")}
    tabulate(pomdp, solutions, provenance=provenance(inputs, parameters)).save(out)
    _report(out, as_json=as_json)


@app.command
def show(table: Path, *, as_json: AsJson = False) -> None:
    """Show the policies of a table: lambda, the value before the first step, and the bounds on it."""
    _report(table, as_json=as_json)


def _dynamics_from_options(p_weak: float, p_strong: float, hazard: str, tokens: str) -> Dynamics:
    steps = tuple(load_hazard(hazard).tolist())
    try:
        return Dynamics(p_weak=p_weak, p_strong=p_strong, hazard=steps, tokens=_parse_tokens(tokens))
    except ValidationError as error:
        raise InputError.of_validation("tables build", error) from error


def _parse_tokens(text: str) -> TokenModel:
    pairs = [part.partition(":") for part in text.split(",")]
    try:
        bins = [(float(count), float(weight) if colon else 1.0) for count, colon, weight in pairs]
    except ValueError as error:
        raise InputError("--tokens", field="bins", value=text, remedy="write 60, or 10:0.2,60:0.8") from error
    try:
        return TokenModel(counts=tuple(count for count, _ in bins), weights=tuple(weight for _, weight in bins))
    except ValidationError as error:
        raise InputError.of_validation("--tokens", error) from error


def _report(directory: Path, *, as_json: bool) -> None:
    table = PolicyTable.load(directory)
    if as_json:
        policies = [
            {
                "lambda": e.lam,
                "policy": f"pomdp:{e.lam!r}",
                "value": e.value,
                "lower": e.lower,
                "upper": e.upper,
                "gap": e.gap,
            }
            for e in table.entries
        ]
        print_json({"table": str(directory), "content_hash": table.content_hash, "policies": policies})
        return
    rows = [(f"pomdp:{e.lam!r}", e.value, e.lower, e.upper, f"{e.gap:.1e}") for e in table.entries]
    print_table(f"Policy table in {directory}", ("policy", "value", "lower", "upper", "gap"), rows)
