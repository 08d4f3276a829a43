"""`trim score`: score labelled traces with a PRM."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from cyclopts.validators import Number

from inference.fleet import open_scorer
from inference.lab.shipped import lab_places
from inference.scoring import score_traces
from kde.errors import InputError
from kde.records import read_records
from kde.terminal import AsJson, live_progress, print_json, print_table
from kde.traces import LabelledTrace

app = App(
    name="score",
    help_epilogue="""\
One line of scores for every labelled trace; the same command again goes on with a run that was stopped.

Example: trim score --lab --labels weak.jsonl --out scores.jsonl""",
)


@app.default
def run(
    *,
    labels: Annotated[Path, Parameter(help="JSONL of labelled traces in ProcessBench's format")],
    lab: Annotated[bool, Parameter(negative="", help="use the lab's shipped PRM")] = False,
    prm: Annotated[str | None, Parameter(help="PRM directory, or URL of a vLLM pooling server")] = None,
    name: Annotated[str | None, Parameter(help="what the scores call the PRM; its directory or URL by default")] = None,
    concurrency: Annotated[int, Parameter(validator=Number(gte=1), help="traces in flight")] = 64,
    out: Annotated[Path, Parameter(help="JSONL of scores; what it holds already is not scored again")],
    as_json: AsJson = False,
) -> None:
    """Write the PRM scores of every labelled trace."""
    if lab == (prm is not None):
        raise InputError("score", field="--prm", value=prm, remedy="give one of --prm and --lab")
    place = lab_places()["prm"] if prm is None else prm
    traces = read_records(labels, LabelledTrace)
    asyncio.run(_score(place, name or ("lab" if lab else place), traces, out, concurrency))
    if as_json:
        print_json({"out": str(out), "traces": len(traces)})
    else:
        print_table(f"PRM scores in {out}", ("traces",), [(len(traces),)])


async def _score(place: str, name: str, traces: list[LabelledTrace], out: Path, concurrency: int) -> None:
    async with AsyncExitStack() as stack:
        scorer = open_scorer(place)
        stack.push_async_callback(scorer.close)
        with live_progress() as progress:
            task = progress.add_task("PRM scores", total=len(traces), note="")
            await score_traces(
                scorer, traces, out, prm=name, concurrency=concurrency, on_trace=lambda: progress.advance(task)
            )
