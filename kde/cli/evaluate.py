"""`trim kde evaluate` and `trim kde tune`."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
from cyclopts import Parameter
from cyclopts.validators import Number

from kde.artefact import provenance
from kde.cli.sources import NO_LABELS, LabelOptions, read_sequences
from kde.evaluate import Evaluation, FilterReport, choose_filter, evaluate_filters
from kde.filter import FilterKind, describe_filter
from kde.model import ObservationModel
from kde.quality import as_document
from kde.terminal import AsJson, live_progress, print_json, print_lines, print_table

PWeak = Annotated[
    float | None,
    Parameter(
        validator=Number(gt=0, lt=1), help="p_w of the generator where it is known; fitted with the filter otherwise"
    ),
]
Traces = Annotated[
    Path | None, Parameter(help="JSONL of answered traces: problem_id, scores, final_answer_correct (may be .gz)")
]
Seed = Annotated[int, Parameter(help="of the bootstrap")]


def evaluate(
    model: Annotated[Path, Parameter(help="directory written by `trim kde fit`")],
    *,
    traces: Traces = None,
    data: LabelOptions = NO_LABELS,
    p_weak: PWeak = None,
    folds: Annotated[int, Parameter(validator=Number(gte=2), help="parts that the problems are dealt into")] = 5,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Judge the belief filters on traces: each is tuned on some of the problems and judged on the others.

    With --traces the belief at the last step predicts the final answer; with --labels and --scores the beliefs predict the class at
    every labelled step.

    Example: trim kde evaluate model --traces traces.jsonl.gz
    """
    loaded = ObservationModel.load(model)
    sequences = read_sequences(traces, data, what="kde evaluate").sequences
    with live_progress() as progress:
        task = progress.add_task("judging the filters", total=len(FilterKind), note="")
        rng = np.random.default_rng(seed)
        found = evaluate_filters(
            loaded, sequences, rng, p_weak=p_weak, folds=folds, on_filter=lambda _: progress.advance(task)
        )
    _show(str(model), found, as_json=as_json)


def tune(
    model: Annotated[Path, Parameter(help="directory written by `trim kde fit`")],
    *,
    traces: Traces = None,
    data: LabelOptions = NO_LABELS,
    p_weak: PWeak = None,
    seed: Seed = 0,
    out: Annotated[Path, Parameter(help="directory of the tuned observation model")],
    as_json: AsJson = False,
) -> None:
    """Choose the belief filter that wins on held-out traces, and write the model with it.

    Example: trim kde tune model --traces traces.jsonl.gz --out tuned
    """
    loaded = ObservationModel.load(model)
    found = read_sequences(traces, data, what="kde tune")
    with live_progress() as progress:
        task = progress.add_task("judging the filters", total=len(FilterKind), note="")
        rng = np.random.default_rng(seed)
        tuned, evaluation = choose_filter(
            loaded, found.sequences, rng, p_weak=p_weak, on_filter=lambda _: progress.advance(task)
        )
    origin = provenance({**found.inputs, "model": model / "model.json"}, {"p_weak": p_weak, "seed": seed})
    metrics = {**loaded.metrics, "evaluation": as_document(evaluation)}
    replace(tuned, provenance={**loaded.provenance, "filter": origin}, metrics=metrics).save(out)
    _show(str(out), evaluation, as_json=as_json)


def _show(where: str, found: Evaluation, *, as_json: bool) -> None:
    if as_json:
        print_json({"model": where, "default": found.default, "remarks": found.remarks, **as_document(found)})
        return
    title = f"Belief filters of {where}, held out: {found.traces} traces of {found.problems} problems"
    columns = ("filter", "event", "log loss", "Brier", "AUC", "cal. error")
    print_table(title, columns, (row for name, report in found.filters.items() for row in _rows(name, report)))
    tuned = {name: report.tuned for name, report in found.filters.items() if name != FilterKind.MEMORYLESS}
    print_lines(
        f"{name}, tuned on all: {describe_filter(one.filter)}, p_w {one.p_weak:.3f}" for name, one in tuned.items()
    )
    print_lines([*found.remarks, f"least held-out log loss: {found.default}"])


def _rows(name: str, report: FilterReport) -> Iterator[tuple[object, ...]]:
    if report.answer is not None:
        forecasts = {"right answer": report.answer}
    else:
        forecasts = dict(report.steps.by_class) if report.steps is not None else {}
    for event, quality in forecasts.items():
        auc = quality.auc.value if quality.auc is not None else ""
        yield (name, event, quality.log_loss.value, quality.brier.value, auc, quality.calibration_error.value)
