"""`trim kde dynamics`."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from cyclopts import Parameter
from cyclopts.validators import Number

from kde.dynamics import Dynamics, HazardMethod, estimate_dynamics
from kde.errors import InputError
from kde.filter import SCORES_ALONE
from kde.model import ObservationModel
from kde.quality import Estimate, as_document
from kde.records import read_records
from kde.samples import Array
from kde.sequences import ScoreSequences, answered_sequences
from kde.step_accuracy import THRESHOLD, baum_welch, labelled_accuracy, threshold_accuracy
from kde.step_counts import estimate_generators, read_step_counts, save_hazards
from kde.terminal import AsJson, print_json, print_table
from kde.tokens import Trace
from kde.traces import AnsweredTrace, LabelledTrace

_TOKEN_BINS = 5
Generator = tuple[Sequence[Trace], Estimate]
"""Traces of one generator, and its step accuracy."""


def dynamics(
    *,
    weak: Annotated[Path | None, Parameter(help="JSONL of traces of M_w alone, with token counts")] = None,
    strong: Annotated[Path | None, Parameter(help="the same problems solved by M_s alone")] = None,
    step_counts: Annotated[
        Path | None, Parameter(help="JSON of {model: {correct_steps, incorrect_steps}}, instead of traces")
    ] = None,
    method: Annotated[
        Literal["labels", "threshold", "em"],
        Parameter(
            help="labels: labelled traces; threshold: the first score below --threshold; em: Baum-Welch on the scores"
        ),
    ] = "labels",
    threshold: Annotated[
        float | None, Parameter(validator=Number(gt=0, lt=1), help=f"of the method threshold; {THRESHOLD} unless given")
    ] = None,
    observation_model: Annotated[Path | None, Parameter(help="directory of the observation model, for em")] = None,
    hazard: Annotated[
        HazardMethod | None, Parameter(help="how the hazard is estimated; kaplan-meier unless given")
    ] = None,
    max_steps: Annotated[int, Parameter(validator=Number(gte=2), help="T, the step limit")] = 30,
    token_bins: Annotated[
        int | None, Parameter(validator=Number(gte=1), help="quantile bins of M_w's step lengths; 5 unless given")
    ] = None,
    seed: Annotated[int, Parameter(validator=Number(gte=0), help="of the bootstrap")] = 0,
    out: Annotated[
        Path | None, Parameter(help="JSON file of the dynamics; with --step-counts, of the hazards by model")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Estimate step accuracies, hazard and token model of the two generators.

    Labelled traces are in ProcessBench's format with `tokens`; the methods threshold and em take answered traces (problem_id,
    scores, tokens, and final_answer_correct where it is known).

    Examples: trim kde dynamics --weak weak.jsonl --strong strong.jsonl --out dynamics.json;
    trim kde dynamics --step-counts counts.json --method threshold
    """
    rng = np.random.default_rng(seed)
    inputs = {path.resolve() for path in (weak, strong, step_counts) if path is not None}
    if out is not None and out.resolve() in inputs:
        remedy = "it is one of the inputs: name another file"
        raise InputError("kde dynamics", field="--out", value=str(out), remedy=remedy)
    if step_counts is not None:
        _refuse("--step-counts", weak=weak, strong=strong, observation_model=observation_model)
        _refuse("--step-counts", threshold=threshold, hazard=hazard, token_bins=token_bins)
        if method != "threshold":
            remedy = "step counts are counts of first scores below a threshold: --method threshold"
            raise InputError("kde dynamics", field="--method", value=method, remedy=remedy)
        _from_step_counts(step_counts, max_steps, rng, out, as_json=as_json)
        return
    if weak is None or strong is None or out is None:
        raise InputError("kde dynamics", field="inputs", value=None, remedy="give --weak, --strong and --out")
    if method != "threshold":
        _refuse(f"--method {method}", threshold=threshold)
    if method != "em":
        _refuse(f"--method {method}", observation_model=observation_model)
    match method:
        case "labels":
            generators = [_labelled(path, rng) for path in (weak, strong)]
        case "threshold":
            by_threshold = partial(threshold_accuracy, rng=rng, threshold=threshold or THRESHOLD)
            generators = [_answered(path, by_threshold) for path in (weak, strong)]
        case "em":
            observed = _observation_function(observation_model)
            by_em = partial(baum_welch, observed, rng=rng)
            generators = [_answered(path, by_em) for path in (weak, strong)]
    (weak_traces, p_weak), (strong_traces, p_strong) = generators
    found = estimate_dynamics(
        weak_traces,
        strong_traces,
        p_weak=p_weak.value,
        p_strong=p_strong.value,
        hazard=hazard or HazardMethod.KAPLAN_MEIER,
        max_steps=max_steps,
        token_bins=token_bins or _TOKEN_BINS,
    )
    found.save(out)
    _show(out, found, {"p_weak": p_weak, "p_strong": p_strong}, as_json=as_json)


def _refuse(beside: str, **options: object) -> None:
    """Refuse options that mean nothing beside another."""
    for name, value in options.items():
        if value is not None:
            remedy = f"it has no meaning with {beside}: leave it out"
            raise InputError("kde dynamics", field=f"--{name.replace('_', '-')}", value=str(value), remedy=remedy)


def _labelled(path: Path, rng: np.random.Generator) -> Generator:
    traces = read_records(path, LabelledTrace)
    return traces, labelled_accuracy(traces, rng)


def _answered(path: Path, accuracy: Callable[[ScoreSequences], Estimate]) -> Generator:
    traces = read_records(path, AnsweredTrace)
    return traces, accuracy(answered_sequences(traces, source=str(path)))


def _observation_function(directory: Path | None) -> Array:
    if directory is None:
        remedy = "em needs one: give --observation-model"
        raise InputError("kde dynamics", field="--observation-model", value=None, remedy=remedy)
    return SCORES_ALONE.observation_cells(ObservationModel.load(directory).cells)


def _from_step_counts(path: Path, max_steps: int, rng: np.random.Generator, out: Path | None, *, as_json: bool) -> None:
    estimates = estimate_generators(read_step_counts(path), rng, max_steps=max_steps)
    if out is not None:
        save_hazards(out, estimates)
    if as_json:
        print_json({"models": as_document(estimates)})
        return
    rows = [
        (
            name,
            f"{one.accuracy.value:.4f}",
            f"{one.accuracy.low:.4f} to {one.accuracy.high:.4f}",
            one.traces,
            one.longer,
        )
        for name, one in estimates.items()
    ]
    print_table("Step accuracy", ("model", "accuracy", "95 % interval", "traces", f"beyond {max_steps}"), rows)
    for label, kind in (("smoothed, complete traces", "smoothed"), ("Kaplan-Meier", "kaplan_meier")):
        hazards = [getattr(one, kind) for one in estimates.values()]
        steps = [(step + 1, *(f"{hazard[step]:.4f}" for hazard in hazards)) for step in range(max_steps)]
        print_table(f"Hazard ({label})", ("step", *estimates), steps)


def _show(out: Path, found: Dynamics, accuracies: dict[str, Estimate], *, as_json: bool) -> None:
    intervals = {name: [estimate.low, estimate.high] for name, estimate in accuracies.items()}
    if as_json:
        print_json({"out": str(out), **found.model_dump(), "intervals": intervals})
        return
    tokens = found.tokens
    rows = [
        ("p_weak", f"{found.p_weak:.4f}  ({accuracies['p_weak'].low:.4f} to {accuracies['p_weak'].high:.4f})"),
        ("p_strong", f"{found.p_strong:.4f}  ({accuracies['p_strong'].low:.4f} to {accuracies['p_strong'].high:.4f})"),
        ("strong tokens", f"{tokens.strong_intercept:.2f} + {tokens.strong_slope:.2f} c"),
        ("token bins", "  ".join(f"{c:.0f}:{w:.2f}" for c, w in zip(tokens.counts, tokens.weights, strict=True))),
        ("hazard", "  ".join(f"{h:.2f}" for h in found.hazard)),
    ]
    print_table(f"Dynamics in {out}", ("quantity", "value"), rows)
