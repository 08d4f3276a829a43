"""`trim kde fit`."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from cyclopts import Parameter
from cyclopts.validators import Number

from kde.artefact import provenance
from kde.bandwidth import parse_bandwidth
from kde.cli.sources import NO_LABELS, LabelledData, LabelOptions, read_labelled
from kde.errors import InputError
from kde.evaluate import choose_filter
from kde.filter import describe_filter
from kde.hub import data_set_digests
from kde.model import ObservationModel, fit_observation_model
from kde.prefixes import class_samples, every_prefix, partition
from kde.quality import as_document
from kde.records import read_records
from kde.reference import read_reference_cells, total_variation
from kde.samples import ClassSamples, StepClass, load_class
from kde.sequences import answered_sequences
from kde.terminal import AsJson, print_json, print_lines, print_table
from kde.traces import AnsweredTrace


def fit(
    samples: Annotated[Path | None, Parameter(help="npz file with class samples S0, S1, S2 of [m, r]")] = None,
    *,
    data: LabelOptions = NO_LABELS,
    class_samples_from: Annotated[
        list[str] | None,
        Parameter(
            name="--class-samples", consume_multiple=True, negative="", help="take a class from a file: S1=FILE.npz"
        ),
    ] = None,
    prefixes: Annotated[
        Literal["every", "partition"] | None,
        Parameter(
            help="prefixes of labelled traces: every one (the default), sharing one unit of weight by class, or the authors' partition"
        ),
    ] = None,
    bandwidth: Annotated[
        str, Parameter(help="scott, silverman, cv (held-out likelihood), or a factor such as 0.3")
    ] = "scott",
    cell: Annotated[float, Parameter(help="side of the cells that the solvers use")] = 0.05,
    traces: Annotated[
        Path | None,
        Parameter(help="JSONL of answered traces (problem_id, scores, final_answer_correct) to choose the filter on"),
    ] = None,
    compare_cells: Annotated[
        Path | None, Parameter(help="npz of reference cells: print the total variation from them")
    ] = None,
    seed: Annotated[
        int,
        Parameter(validator=Number(gte=0), help="of the random steps of --prefixes partition, and of the bootstrap"),
    ] = 0,
    out: Annotated[Path, Parameter(help="directory of the observation model")],
    as_json: AsJson = False,
) -> None:
    """Fit an observation model P(m, r | class): from class samples, or from labelled traces and their PRM scores.

    Examples: trim kde fit samples.npz --out model;
    trim kde fit --labels math.json --scores scores.jsonl --exclude math500.jsonl --class-samples S1=omni.npz --out model
    """
    rng = np.random.default_rng(seed)
    reference = None if compare_cells is None else read_reference_cells(compare_cells)
    if (samples is not None) == data.given:
        raise InputError(
            "kde fit", field="inputs", value=None, remedy="give SAMPLES.npz, or both --labels and --scores"
        )
    if samples is not None and prefixes is not None:
        raise InputError(
            "kde fit", field="--prefixes", value=prefixes, remedy="it goes with --labels: samples are prefixes already"
        )
    left_out: dict[str, int] = {}
    if samples is not None:
        inputs, found = {"samples": samples}, ClassSamples.load(samples)
    else:
        labelled = read_labelled(data)
        left_out = {"traces": len(labelled.matched), **labelled.left_out}
        inputs, found = labelled.inputs, _samples_of(labelled, prefixes or "every", rng)
    replaced = _parse_assignments(class_samples_from or [])
    for step_class, file in replaced.items():
        inputs[step_class.key] = file
        found = found.with_class(step_class, load_class(file, step_class))
    model = fit_observation_model(found, cell=cell, bandwidth=parse_bandwidth(bandwidth))
    report: dict[str, Any] = {"out": str(out), **left_out, "taken_from_files": [c.key for c in replaced]}
    if reference is not None:
        report["total_variation"] = total_variation(model.cells, reference)
    if traces is not None:
        inputs["traces"] = traces
        sequences = answered_sequences(read_records(traces, AnsweredTrace), source=str(traces))
        model, evaluation = choose_filter(model, sequences, rng)
        model = replace(model, metrics={"evaluation": as_document(evaluation)})
    parameters = {"bandwidth": bandwidth, "cell": cell, "prefixes": prefixes, "prm": data.prm, "seed": seed}
    origin = provenance(inputs, {**parameters, **data_set_digests(data.labels or [])})
    model = replace(model, provenance=origin, settings={**model.settings, **left_out})
    report |= {"content_hash": model.save(out), "samples": found.counts, "cells": list(model.cells.shape)}
    report |= {"factors": model.settings["factors"], "filter": model.filter.model_dump(mode="json")}
    _show(report, model, as_json=as_json)


def _samples_of(labelled: LabelledData, prefixes: str, rng: np.random.Generator) -> ClassSamples:
    return class_samples(labelled.matched, every_prefix if prefixes == "every" else partition(rng))


def _parse_assignments(assignments: list[str]) -> dict[StepClass, Path]:
    classes = {step_class.key: step_class for step_class in StepClass}
    found: dict[StepClass, Path] = {}
    for text in assignments:
        key, _, file = text.partition("=")
        if key not in classes or not file or classes[key] in found:
            raise InputError(
                "--class-samples", field="assignment", value=text, remedy="write S1=FILE.npz, each class once"
            )
        found[classes[key]] = Path(file)
    return found


def _show(report: dict[str, Any], model: ObservationModel, *, as_json: bool) -> None:
    if as_json:
        print_json(report)
        return
    variation = report.get("total_variation", {})
    columns = ("class", "samples", "bandwidth factor", *(("total variation",) if variation else ()))
    rows = [
        (key, count, model.settings["factors"][key], *((f"{variation[key]:.1e}",) if variation else ()))
        for key, count in report["samples"].items()
    ]
    print_table(f"Observation model in {report['out']}", columns, rows)
    lines = [f"{report[name]} labelled traces were {name}" for name in ("unscored", "excluded") if report.get(name)]
    lines += [f"{key} was taken from a file" for key in report["taken_from_files"]]
    print_lines([*lines, f"filter: {describe_filter(model.filter)}"])
