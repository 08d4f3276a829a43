"""`trim kde compare`: it lives here because pricing a change of the observation model takes the planner."""

from pathlib import Path
from typing import Annotated

import numpy as np
from cyclopts import Parameter
from cyclopts.validators import Number

from kde.compare import Comparison, ValueShift, compare_models
from kde.dynamics import Dynamics
from kde.errors import InputError
from kde.model import ObservationModel
from kde.quality import as_document
from kde.terminal import AsJson, print_json, print_lines, print_table
from planner.revaluation import value_shifts


def compare(
    old: Annotated[Path, Parameter(help="observation model in use: a directory written by `trim kde fit`")],
    new: Annotated[Path, Parameter(help="observation model of today's traces")],
    *,
    dynamics: Annotated[
        Path | None, Parameter(help="JSON file written by `trim kde dynamics`: price the difference")
    ] = None,
    lambdas: Annotated[
        list[float] | None,
        Parameter(name="--lambda", consume_multiple=True, negative="", help="reward per strong token, with --dynamics"),
    ] = None,
    seed: Annotated[int, Parameter(validator=Number(gte=0), help="of the permutations and the simulation")] = 0,
    as_json: AsJson = False,
) -> None:
    """Say whether a new PRM, domain or week of traces differs enough to matter: keep, refit or investigate.

    Example: trim kde compare model new-model --dynamics dynamics.json --lambda 0.004
    """
    if (dynamics is None) != (lambdas is None):
        raise InputError("kde compare", field="--lambda", value=lambdas, remedy="--dynamics and --lambda go together")
    before, after = ObservationModel.load(old), ObservationModel.load(new)
    values: tuple[ValueShift, ...] = ()
    if dynamics is not None and lambdas is not None:
        values = value_shifts(before, after, Dynamics.load(dynamics), lambdas, seed=seed)
    found = compare_models(before, after, np.random.default_rng(seed), values=values)
    if as_json:
        print_json({"old": str(old), "new": str(new), **as_document(found)})
    else:
        _show(found)


def _show(found: Comparison) -> None:
    print_table(
        "Observation models",
        ("class", "old samples", "new samples", "total variation", "p", "refit gains (nats)"),
        (
            (key, *one.samples, one.total_variation, one.p_value, one.refit_gain.value)
            for key, one in found.classes.items()
        ),
    )
    if found.values:
        print_table(
            "Value of the policy before the first step",
            ("lambda", "old", "new", "old policy, new world", "loss of keeping it"),
            ((f"{one.lam!r}", one.old, one.new, one.kept, one.regret) for one in found.values),
        )
    print_lines([f"AUC of the newest score: {found.auc[0].value:.3f} before, {found.auc[1].value:.3f} now"])
    print_lines([f"verdict: {found.verdict.value}", *(f"  {reason}" for reason in found.reasons)])
