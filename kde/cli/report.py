"""`trim kde report`."""

from pathlib import Path
from typing import Annotated

import numpy as np
from cyclopts import Parameter
from cyclopts.validators import Number

from kde.cli.sources import NO_LABELS, LabelOptions, read_sequences
from kde.evaluate import Evaluation, evaluate_filters, read_evaluation
from kde.model import ObservationModel
from kde.report.page import write_report
from kde.terminal import AsJson, live_progress, print_json, print_lines


def report(
    model: Annotated[Path, Parameter(help="directory written by `trim kde fit`")],
    *,
    traces: Annotated[Path | None, Parameter(help="JSONL of answered traces to judge the filters on")] = None,
    data: LabelOptions = NO_LABELS,
    seed: Annotated[int, Parameter(validator=Number(gte=0), help="of the bootstrap")] = 0,
    out: Annotated[Path, Parameter(help="directory of index.html and its pictures")],
    as_json: AsJson = False,
) -> None:
    """Write one self-contained page about a model: densities, ROC of the PRM, reliability of the filters, provenance.

    Example: trim kde report model --traces traces.jsonl.gz --out report
    """
    loaded = ObservationModel.load(model)
    asked: dict[str, tuple[Path | None, LabelOptions]] = {}
    if traces is not None:
        asked[traces.name] = (traces, NO_LABELS)
    if data.given:
        asked["labelled steps"] = (None, data)
    evaluations: dict[str, Evaluation] = {}
    if "evaluation" in loaded.metrics:
        evaluations["the traces that its filter was chosen on"] = read_evaluation(loaded.metrics["evaluation"])
    with live_progress() as progress:
        task = progress.add_task("judging the filters", total=len(asked), note="", visible=bool(asked))
        for name, (file, labelled) in asked.items():
            sequences = read_sequences(file, labelled, what="kde report").sequences
            evaluations[name] = evaluate_filters(loaded, sequences, np.random.default_rng(seed))
            progress.advance(task)
    written = write_report(loaded, evaluations, out)
    if as_json:
        print_json({"out": str(out), "files": [path.name for path in written]})
    else:
        print_lines([f"{out / 'index.html'}: {len(written) - 1} pictures"])
        if not evaluations:
            print_lines(
                ["its filter was never judged: add --traces, or run `trim kde tune`, for the reliability diagrams"]
            )
