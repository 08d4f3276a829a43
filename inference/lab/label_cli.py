"""`trim lab label`: labelled traces from a run on lab problems."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from inference.lab.labelling import label_episodes, write_labels
from inference.problems import Problem
from inference.records import read_episodes
from kde.errors import InputError
from kde.records import read_records
from kde.terminal import AsJson, print_json, print_table


def label(
    run: Annotated[Path, Parameter(help="directory of a finished `trim route`")],
    *,
    problems: Annotated[Path, Parameter(help="JSONL of the lab problems that it solved")],
    generator: Annotated[
        str | None, Parameter(help="what the labels call the model; the run's policy by default")
    ] = None,
    out: Annotated[Path, Parameter(help="JSONL of labelled traces")],
    as_json: AsJson = False,
) -> None:
    """Label every step of a run on lab problems by the exact checker: ProcessBench's format, with token counts."""
    episodes = read_episodes(run / "episodes")
    if episodes.is_empty():
        raise InputError(run, field="episodes", value=0, remedy="name a directory that `trim route` finished")
    if out.resolve() == problems.resolve():
        raise InputError("lab label", field="--out", value=str(out), remedy="it is the input: name another file")
    traces = label_episodes(episodes, read_records(problems, Problem), generator=generator or episodes["policy"][0])
    write_labels(out, traces)
    right = sum(trace.label == -1 for trace in traces)
    empty = len(episodes) - len(traces)
    if as_json:
        print_json({"out": str(out), "traces": len(traces), "without_error": right, "without_steps": empty})
    else:
        columns = ("traces", "without an error", "left out, without steps")
        print_table(f"Labelled traces in {out}", columns, [(len(traces), right, empty)])
