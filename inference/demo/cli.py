"""`trim demo`."""

import asyncio
import json
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter
from cyclopts.validators import Number

from inference.demo.figure import draw_report
from inference.demo.pipeline import DemoSettings, run_demo
from inference.demo.summary import summarise
from inference.fleet import EngineKind, engines_at
from inference.lab.shipped import lab_places
from kde.artefact import replace_file
from kde.terminal import AsJson, live_progress, print_json, print_table

app = App(
    name="demo",
    help_epilogue="""\
Fits the lab's observation model, estimates the dynamics, solves the tables, starts the planner as its own process, routes
fresh problems under every policy, and leaves OUT/summary.json, OUT/report.png, the model, the table and all episodes.

Example: trim demo --problems 60 --lambda 0.002 0.016 --out runs/small""",
)

_THRESHOLDS = (0.3, 0.5, 0.7, 0.9, 0.97)
_LAMBDAS = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016)
_AtLeastOne = Parameter(validator=Number(gte=1))


@app.default
def run(
    *,
    out: Annotated[Path, Parameter(help="directory of the results; a demo that was stopped goes on")] = Path(
        "runs/demo"
    ),
    engine: Annotated[
        EngineKind,
        Parameter(help="what runs the lab's models: transformers or vllm here, or vllm-server, started for the run"),
    ] = EngineKind.TRANSFORMERS,
    problems: Annotated[int, _AtLeastOne, Parameter(help="problems that every policy solves")] = 300,
    calibration: Annotated[int, _AtLeastOne, Parameter(help="problems that the planner's models are fitted on")] = 1000,
    thresholds: Annotated[
        tuple[float, ...], Parameter(name="--threshold", consume_multiple=True, negative="", help="of TRIM-Thr")
    ] = _THRESHOLDS,
    lambdas: Annotated[
        tuple[float, ...], Parameter(name="--lambda", consume_multiple=True, negative="", help="of TRIM-POMDP")
    ] = _LAMBDAS,
    as_json: AsJson = False,
) -> None:
    """Run the whole pipeline on the lab's models and fresh problems."""
    fleet = engines_at(lab_places(), engine, {"max_step_tokens": 64})
    settings = DemoSettings(out, fleet, calibration, problems, thresholds, lambdas)
    with live_progress() as progress:
        result = asyncio.run(run_demo(settings, progress))
    summary = summarise(result.episodes, seed=0)
    replace_file(out / "summary.json", (json.dumps(summary, indent=2) + "\n").encode())
    draw_report(summary, result.model, out / "report.png")
    if as_json:
        print_json(summary)
        return
    rows = [_cells(row) for row in (summary["weak"], summary["strong"], *summary["policies"])]
    columns = ("policy", "right %", "strong tokens", "c %", "PGR %", "s")
    print_table(f"{summary['problems']} lab problems, with 95 % intervals over problems", columns, rows)
    print_table("Written", ("what", "where"), [("metrics", out / "summary.json"), ("picture", out / "report.png")])


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    def span(name: str, unit: float) -> str:
        low, high = row[f"{name}_interval"]
        return f"{row[name] / unit:.1f} ({low / unit:.0f}–{high / unit:.0f})"  # noqa: RUF001  a dash between numbers

    percent = 0.01
    cost = f"{row['c'] / percent:.1f}"
    return (
        row["policy"],
        span("accuracy", percent),
        span("strong_tokens", 1),
        cost,
        span("pgr", percent),
        f"{row['seconds']:.1f}",
    )
