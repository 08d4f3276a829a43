"""`trim score`: score finished traces with a PRM."""

import asyncio
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from cyclopts.validators import Number

from inference.engines.settings import EnginesFile
from inference.fleet import EngineKind, engines_at, open_fleet
from inference.lab.shipped import lab_places, lab_prm_name
from inference.problems import Problem
from inference.scoring import ScoringJob, labelled_job, score_traces, solution_job
from inference.solutions import solutions_of
from kde.errors import InputError
from kde.hub import read_labels
from kde.records import read_records
from kde.terminal import AsJson, live_progress, print_json, print_table

app = App(
    name="score",
    help_epilogue="""\
One line of scores for every trace; the same command again goes on with a run that was stopped. Of labelled traces it writes scores by id,
for `trim kde fit`; of a run of one model alone it writes answered traces, for `trim kde tune`, `evaluate` and `dynamics --method em`.

Examples: trim score --lab --labels weak.jsonl --out scores.jsonl;
trim score --lab --run runs/weak --problems problems.jsonl --out answered.jsonl""",
)


@app.default
def run(
    *,
    labels: Annotated[
        str | None, Parameter(help="labelled traces in ProcessBench's format: JSON, JSONL, or hf:NAME:SPLIT")
    ] = None,
    finished: Annotated[
        Path | None,
        Parameter(name="--run", help="directory of a finished `trim route` of one model alone, instead of labels"),
    ] = None,
    problems: Annotated[Path | None, Parameter(help="JSONL of the problems that the run solved")] = None,
    lab: Annotated[bool, Parameter(negative="", help="use the lab's shipped PRM")] = False,
    prm: Annotated[str | None, Parameter(help="PRM directory, or URL of a vLLM pooling server")] = None,
    name: Annotated[str | None, Parameter(help="what the scores call the PRM; its directory or URL by default")] = None,
    concurrency: Annotated[int, Parameter(validator=Number(gte=1), help="traces in flight")] = 64,
    out: Annotated[Path, Parameter(help="JSONL of scores; what it holds already is not scored again")],
    as_json: AsJson = False,
) -> None:
    """Write the PRM scores of every trace."""
    if lab == (prm is not None):
        raise InputError("score", field="--prm", value=prm, remedy="give one of --prm and --lab")
    place = lab_places()["prm"] if prm is None else prm
    named = name or (lab_prm_name() if lab else place)
    if labels is not None and (finished, problems) == (None, None):
        job = labelled_job(read_labels(labels), prm=named)
    elif labels is None and finished is not None and problems is not None:
        job = solution_job(solutions_of(finished, read_records(problems, Problem)), prm=named)
    else:
        raise InputError("score", field="traces", value=None, remedy="give --labels, or --run with --problems")
    engines = engines_at({"prm": place}, EngineKind.TRANSFORMERS, {})
    asyncio.run(_score(engines, job, out, concurrency))
    if as_json:
        print_json({"out": str(out), "traces": len(job.tasks), "without_steps": job.without_steps, "prm": named})
    else:
        columns = ("traces", "left out, without steps", "PRM")
        print_table(f"PRM scores in {out}", columns, [(len(job.tasks), job.without_steps, named)])


async def _score(engines: EnginesFile, job: ScoringJob, out: Path, concurrency: int) -> None:
    async with open_fleet(engines, out.with_name("logs")) as fleet:
        scorer = fleet.scorer
        with live_progress() as progress:
            task = progress.add_task("PRM scores", total=len(job.tasks), note="")
            await score_traces(scorer, job, out, concurrency=concurrency, on_trace=lambda: progress.advance(task))
