"""`trim kde evaluate` and `trim kde tune`."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
from cyclopts import Parameter
from cyclopts.validators import Number

from kde.artefact import provenance
from kde.cli.sources import NO_LABELS, LabelOptions, SequenceData, read_sequences
from kde.evaluate import Evaluation, FilterReport, choose_filter, evaluate_filters
from kde.filter import DENSITY_FLOOR, FilterKind, describe_filter
from kde.model import ObservationModel
from kde.quality import BINS, CLIP, Quality, as_document
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
Seed = Annotated[int, Parameter(validator=Number(gte=0), help="of the bootstrap")]


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
    asked = read_sequences(traces, data, what="kde evaluate")
    with live_progress() as progress:
        task = progress.add_task("judging the filters", total=None, note="")
        rng = np.random.default_rng(seed)
        found = evaluate_filters(
            loaded, asked.sequences, rng, p_weak=p_weak, folds=folds, on_filter=lambda _: progress.advance(task)
        )
    _show(str(model), found, asked, asked.seen_by(loaded), as_json=as_json)


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
    asked = read_sequences(traces, data, what="kde tune")
    with live_progress() as progress:
        task = progress.add_task("judging the filters", total=None, note="")
        rng = np.random.default_rng(seed)
        tuned, evaluation = choose_filter(
            loaded, asked.sequences, rng, p_weak=p_weak, on_filter=lambda _: progress.advance(task)
        )
    origin = provenance({**asked.inputs, "model": model / "model.json"}, {"p_weak": p_weak, "seed": seed})
    metrics = {**loaded.metrics, "evaluation": as_document(evaluation)}
    replace(tuned, provenance={**loaded.provenance, "filter": origin}, metrics=metrics).save(out)
    _show(str(out), evaluation, asked, asked.seen_by(loaded), as_json=as_json)


def _show(where: str, found: Evaluation, asked: SequenceData, seen: list[str], *, as_json: bool) -> None:
    remarks = [*seen, *found.remarks]
    if as_json:
        measured = {"clip": CLIP, "likelihood_floor": DENSITY_FLOOR, "calibration_bins": BINS}
        document = {"model": where, "default": found.default, "remarks": remarks, "measured_with": measured}
        print_json({**document, **asked.left_out, **as_document(found)})
        return
    title = f"Belief filters of {where}, tuned on other problems: {found.traces} traces of {found.problems} problems"
    columns = ("filter", "event", "log loss", "95 % interval", "Brier", "AUC", "cal. error")
    print_table(title, columns, (row for name, report in found.filters.items() for row in _rows(name, report)))
    tuned = {name: report.tuned for name, report in found.filters.items() if name != FilterKind.MEMORYLESS}
    print_lines(
        f"{name}, tuned on all: {describe_filter(one.filter)}, p_w {one.p_weak:.3f}" for name, one in tuned.items()
    )
    print_lines(f"{count} labelled traces were {name}" for name, count in asked.left_out.items() if count)
    print_lines([*remarks, f"least log loss: {found.default}"])


def _rows(name: str, report: FilterReport) -> Iterator[tuple[object, ...]]:
    if report.answer is not None:
        yield (name, "right answer", *_scores(report.answer))
    if report.steps is not None:
        loss = report.steps.log_loss
        yield (name, "class", loss.value, f"{loss.low:.3f} to {loss.high:.3f}", report.steps.brier.value, "", "")
        for event, quality in report.steps.by_class.items():
            yield (name, event, *_scores(quality))


def _scores(quality: Quality) -> tuple[object, ...]:
    loss = quality.log_loss
    auc = quality.auc.value if quality.auc is not None else ""
    interval = f"{loss.low:.3f} to {loss.high:.3f}"
    return (loss.value, interval, quality.brier.value, auc, quality.calibration_error.value)
