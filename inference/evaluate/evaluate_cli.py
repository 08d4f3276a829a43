"""`trim evaluate`: every policy on the same problems."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter
from cyclopts.validators import Number

from inference.baselines.encoder import WordLlamaEncoder
from inference.cells import CellRunner
from inference.ending import Limits
from inference.engines.settings import EnginesFile
from inference.evaluate.comparison import Comparison
from inference.evaluate.families import all_policies
from inference.evaluate.lab_study import lab_planner, score_weak_traces
from inference.evaluate.query_level import measure_query_level, score_file
from inference.evaluate.results import Results
from inference.evaluate.study import Study
from inference.evaluate.summary import summarise
from inference.evaluate.verifier import measure_verifier
from inference.fleet import EngineKind, engines_at, open_fleet
from inference.lab.checker import true_class
from inference.lab.shipped import lab_places, lab_problems
from inference.problems import Problem
from kde.artefact import replace_file
from kde.errors import InputError
from kde.terminal import AsJson, live_progress, print_json, print_lines, print_table

app = App(
    name="evaluate",
    help_epilogue="""\
Every policy solves the same problems with every seed; M_w's drafts are shared wherever prefixes agree. What is on disk is not made again:
the same command goes on, and more policies or seeds may be asked for later.

Example: trim evaluate --lab --policies all --problems 300 --seeds 3 --out runs/study""",
)

_LAMBDAS = (0.0005, 0.002, 0.008)
_PROBLEM_SEED = 3
"""Stream of the lab problems that studies use; no planner is fitted on them."""
_LEFT_OUT = {
    "Smoothie": "needs three generators or more: with two, nothing tells who is right",
    "AutoMix": "needs a model that can judge an answer: the lab's models only write arithmetic (AutoMix-PRM stands for it)",
    "SpecReason": "needs a base model that grades steps from 0 to 9: the lab's cannot",
}


@app.default
def evaluate(
    *,
    lab: Annotated[bool, Parameter(negative="", help="use the lab's models and fresh problems")],
    out: Annotated[Path, Parameter(help="directory of the study")],
    policies: Annotated[
        tuple[str, ...], Parameter(consume_multiple=True, negative="", help="`all`, or policy ids such as thr:0.5")
    ] = ("all",),
    problems: Annotated[int, Parameter(validator=Number(gte=2), help="how many")] = 300,
    seeds: Annotated[int, Parameter(validator=Number(gte=1), help="how many samples of every policy")] = 1,
    calibration: Annotated[
        int, Parameter(validator=Number(gte=10), help="problems that the planner is fitted on")
    ] = 1000,
    lambdas: Annotated[
        tuple[float, ...],
        Parameter(name="--lambda", consume_multiple=True, negative="", help="prices of a strong token"),
    ] = _LAMBDAS,
    concurrency: Annotated[int, Parameter(validator=Number(gte=1), help="problems in flight")] = 128,
    as_json: AsJson = False,
) -> None:
    """Compare policies: accuracy, strong tokens, c, PGR, CPT, delta-IBC and budgeted accuracy, with intervals."""
    if not lab:
        raise InputError(
            "evaluate", field="--lab", value=False, remedy="studies of other models are not there yet: give --lab"
        )
    asked = lab_problems(problems, seed=_PROBLEM_SEED)
    wanted = all_policies(lambdas, without=_LEFT_OUT) if policies == ("all",) else policies
    study = Study.of(out, asked, wanted, range(seeds))
    asyncio.run(_finish(study, asked, calibration, lambdas, concurrency))
    summary = _summarise(study)
    replace_file(out / "summary.json", (json.dumps(summary, indent=2) + "\n").encode())
    if as_json:
        print_json(summary)
    else:
        _show(summary, out)


async def _finish(
    study: Study, problems: Sequence[Problem], calibration: int, lambdas: Sequence[float], concurrency: int
) -> None:
    engines: EnginesFile = engines_at(lab_places(), EngineKind.TRANSFORMERS, {"max_step_tokens": 64})
    with live_progress() as progress:
        async with open_fleet(engines, study.out / "logs") as fleet:
            runner = CellRunner(engines, fleet, Limits(), concurrency, progress, true_class)
            place = study.out / "planner"
            learned = [float(policy[4:]) for policy in study.plan.policies if policy.startswith("agg:")]
            async with lab_planner(place, runner, calibration=calibration, lambdas=lambdas, learned=learned) as planner:
                await study.finish(problems, runner, planner)
            await score_weak_traces(study, problems, runner)


def _summarise(study: Study) -> dict[str, Any]:
    episodes = study.all_episodes()
    comparison = Comparison(Results.of(episodes), seed=0)
    query_level = measure_query_level(study, episodes, comparison, WordLlamaEncoder())
    verifier = measure_verifier(episodes, {seed: score_file(study, seed) for seed in study.plan.seeds})
    return summarise(study.plan, episodes, comparison, query_level, verifier=verifier, left_out=_LEFT_OUT)


def _show(summary: dict[str, Any], out: Path) -> None:
    print_table(
        f"{summary['problems']} problems, seeds {len(summary['seeds'])}",
        ("policy", "right %", "strong tokens", "c %", "PGR %"),
        [
            (
                row["policy"],
                *(
                    _percent(row[name], unit)
                    for name, unit in (("accuracy", 100), ("strong_tokens", 1), ("c", 100), ("pgr", 100))
                ),
            )
            for row in summary["policies"]
        ],
    )
    families = [*summary["families"], *summary["query_level"]["families"]]
    print_table(
        "Least c % for a share of the gap, with 95 % intervals over problems",
        ("family", *families[0]["cpt"], "delta-IBC"),
        [
            (row["family"], *(_percent(value, 100) for value in row["cpt"].values()), _percent(row["delta_ibc"], 1))
            for row in families
        ],
    )
    print_lines(f"{name}: no row. {reason}" for name, reason in summary["left_out"].items())
    print_lines([f"Written: {out / 'summary.json'}"])


def _percent(value: dict[str, float | None], unit: float) -> str:
    def shown(number: float | None) -> str:
        return "-" if number is None else f"{number * unit:.1f}"

    return f"{shown(value['value'])} [{shown(value['low'])}, {shown(value['high'])}]"
