"""`trim kde`: from labelled traces to an observation model and the dynamics."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from cyclopts.validators import Number

from kde.artefact import provenance
from kde.dynamics import estimate_dynamics
from kde.errors import InputError
from kde.jsonl import read_jsonl
from kde.model import fit_observation_model
from kde.samples import ClassSamples
from kde.terminal import AsJson, print_json, print_table
from kde.traces import LabelledTrace, ScoredTrace, class_samples

app = App(name="kde", help="Fit observation models and dynamics from labelled traces.")


@app.command
def fit(
    samples: Annotated[Path | None, Parameter(help="npz file with class samples S0, S1, S2 of [m, r]")] = None,
    *,
    labels: Annotated[Path | None, Parameter(help="JSONL of labelled traces in ProcessBench's format")] = None,
    scores: Annotated[Path | None, Parameter(help="JSONL of PRM scores: id, prm, scores")] = None,
    cell: Annotated[float, Parameter(help="side of the cells that the solvers use")] = 0.05,
    out: Annotated[Path, Parameter(help="directory of the observation model")],
    as_json: AsJson = False,
) -> None:
    """Fit an observation model P(m, r | class): from class samples, or from labelled traces and their PRM scores."""
    if samples is not None and labels is None and scores is None:
        inputs, found = {"samples": samples}, ClassSamples.load(samples)
    elif samples is None and labels is not None and scores is not None:
        inputs = {"labels": labels, "scores": scores}
        found = class_samples(read_jsonl(labels, LabelledTrace), read_jsonl(scores, ScoredTrace), source=str(scores))
    else:
        raise InputError(
            "kde fit", field="inputs", value=None, remedy="give SAMPLES.npz, or both --labels and --scores"
        )
    model = fit_observation_model(found, cell=cell, provenance=provenance(inputs, {"bandwidth": "scott", "cell": cell}))
    content_hash = model.save(out)
    if as_json:
        print_json(
            {"out": str(out), "samples": found.counts, "cells": list(model.cells.shape), "content_hash": content_hash}
        )
    else:
        print_table(f"Observation model in {out}", ("class", "samples"), found.counts.items())


@app.command
def dynamics(
    *,
    weak: Annotated[Path, Parameter(help="JSONL of labelled traces of M_w alone, with token counts")],
    strong: Annotated[Path, Parameter(help="the same problems solved by M_s alone")],
    max_steps: Annotated[int, Parameter(validator=Number(gte=1), help="T, the step limit")] = 30,
    token_bins: Annotated[int, Parameter(validator=Number(gte=1), help="quantile bins of M_w's step lengths")] = 5,
    out: Annotated[Path, Parameter(help="JSON file of the dynamics")],
    as_json: AsJson = False,
) -> None:
    """Estimate step accuracies, hazard and token model from labelled traces of the two generators."""
    if out.resolve() in {weak.resolve(), strong.resolve()}:
        raise InputError(
            "kde dynamics", field="--out", value=str(out), remedy="it is one of the inputs: name another file"
        )
    found = estimate_dynamics(
        read_jsonl(weak, LabelledTrace), read_jsonl(strong, LabelledTrace), max_steps=max_steps, token_bins=token_bins
    )
    found.save(out)
    if as_json:
        print_json({"out": str(out), **found.model_dump()})
        return
    tokens = found.tokens
    rows = [
        ("p_weak", found.p_weak),
        ("p_strong", found.p_strong),
        ("strong tokens", f"{tokens.strong_intercept:.2f} + {tokens.strong_slope:.2f} c"),
        ("token bins", "  ".join(f"{c:.0f}:{w:.2f}" for c, w in zip(tokens.counts, tokens.weights, strict=True))),
        ("hazard", "  ".join(f"{h:.2f}" for h in found.hazard)),
    ]
    print_table(f"Dynamics in {out}", ("quantity", "value"), rows)
