"""`trim calibrate`: the setting that meets a target."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import polars as pl
from cyclopts import App, Parameter
from cyclopts.validators import Number

from inference.evaluate.calibrated_policy import CalibratedPolicy, Span
from inference.evaluate.calibration import Chosen, choose, halves, judge, measure, swept_settings
from inference.evaluate.families import family_of, parameter_of
from inference.evaluate.results import Results
from inference.evaluate.study import Study
from kde.errors import InputError
from kde.terminal import AsJson, print_json, print_lines, print_table
from kde.traces import normalised_text
from planner.cli.targets import NO_TARGET, TargetOptions

app = App(
    name="calibrate",
    help_epilogue="""\
The setting is chosen on one half of a study's problems and measured on the other half, or on another study's problems. Thresholds,
probabilities and budgets may lie between two that were run: what such a one comes to is interpolated, and the file says so. A lambda is
one of those that were run.

Examples: trim calibrate runs/study --family thr --target-cost 0.2 --out policy.json
trim route ... --policy @policy.json --out runs/calibrated""",
)


@dataclass(frozen=True, slots=True)
class _Sides:
    """Problems to choose on and problems that are held out, with the names of their studies."""

    fitted: Results
    held_out: Results
    fitted_name: str
    held_out_name: str


@app.default
def calibrate(
    study: Annotated[Path, Parameter(help="directory that `trim evaluate` wrote")],
    *,
    family: Annotated[str, Parameter(help="whose setting: thr, one-step-thr, pomdp, agg, budget, random, ...")],
    target: TargetOptions = NO_TARGET,
    check: Annotated[
        Path | None, Parameter(help="study of other problems to measure on; the whole first one is then chosen on")
    ] = None,
    seed: Annotated[int, Parameter(validator=Number(gte=0), help="of the halves and of the resampling")] = 0,
    out: Annotated[Path, Parameter(help="JSON file of the calibrated policy")],
    as_json: AsJson = False,
) -> None:
    """Find the setting of a family that meets a cost or a gain, and say what it is worth on held-out problems."""
    goal, wanted = target.wanted("calibrate")
    found = Study.load(study)
    swept = swept_settings(family, found.plan.policies)
    wanted_policies = ["weak", "strong", *(one.policy for one in swept)]
    episodes = {policy: found.episodes(policy) for policy in wanted_policies}
    if check is None:
        sides = _halved(Results.of(episodes), study, seed)
        chosen = choose(family, goal, wanted, swept, sides.fitted, seed=seed)
    else:
        fitted = Results.of(episodes)
        chosen = choose(family, goal, wanted, swept, fitted, seed=seed)
        sides = _Sides(fitted, _other(Study.load(check), chosen, episodes["weak"]), study.name, check.name)
    held_out = measure(chosen, sides.held_out, sides.held_out_name, seed=seed)
    low, high = chosen.interval
    calibrated = CalibratedPolicy(
        policy=chosen.policy,
        target=goal,
        wanted=wanted,
        family=family_of(chosen.policy),
        parameter=parameter_of(chosen.policy),
        setting=Span(value=chosen.number, low=low, high=high),
        between=None if chosen.first == chosen.second else (chosen.first, chosen.second),
        table_hashes=_tables(episodes, chosen),
        fitted=measure(chosen, sides.fitted, sides.fitted_name, seed=seed),
        held_out=held_out,
        verdict=judge(goal, wanted, held_out),
    )
    calibrated.save(out)
    if as_json:
        print_json(calibrated.model_dump(mode="json"))
    else:
        _show(calibrated, out)


def _halved(results: Results, study: Path, seed: int) -> _Sides:
    chosen_on = halves(results.problems, seed=seed)
    return _Sides(results.take(chosen_on), results.take(~chosen_on), study.name, study.name)


def _other(study: Study, chosen: Chosen, seen: pl.DataFrame) -> Results:
    """Results of a study whose problems had no say in the choice."""
    needed = dict.fromkeys(("weak", "strong", chosen.first, chosen.second))
    for policy in needed:
        if policy not in study.plan.policies:
            remedy = f"evaluate {policy} there too: {chosen.policy} is measured by it"
            raise InputError(study.out, field="policies", value=list(study.plan.policies), remedy=remedy)
    episodes = {policy: study.episodes(policy) for policy in needed}
    shared = _texts(episodes["weak"]) & _texts(seen)
    if shared:
        remedy = f"{len(shared)} problems are in both studies: what is chosen on a problem cannot be checked on it"
        raise InputError("calibrate", field="--check", value=str(study.out), remedy=remedy)
    return Results.of(episodes)


def _texts(episodes: pl.DataFrame) -> set[str]:
    return {normalised_text(problem) for problem in episodes["problem"].unique()}


def _tables(episodes: Mapping[str, pl.DataFrame], chosen: Chosen) -> tuple[str, ...]:
    """Content hashes of what decided."""
    found = {
        table
        for policy in (chosen.first, chosen.second)
        for table in episodes[policy]["steps"].explode().struct.field("table_hash").unique()
    }
    return tuple(sorted(found - {"", None}))


def _show(calibrated: CalibratedPolicy, out: Path) -> None:
    sides = (calibrated.fitted, calibrated.held_out)
    rows = [("problems", *(f"{side.problems} of {side.problems_of}" for side in sides))]
    rows += [
        (name, *(_span(getattr(side, name), unit) for side in sides))
        for name, unit in (("c", 100), ("pgr", 100), ("accuracy", 100), ("strong_tokens", 1))
    ]
    title = f"{calibrated.policy}, for {calibrated.target.value} = {calibrated.wanted:g}"
    columns = ("%, tokens", "chosen on", "held out")
    print_table(title, columns, rows)
    remarks = [f"{calibrated.parameter} {_span(calibrated.setting, 1, digits=4)} on resampled problems."]
    if calibrated.between is not None:
        first, second = calibrated.between
        remarks.append(f"Interpolated between {first} and {second}: evaluate {calibrated.policy} to know.")
    print_lines([*remarks, f"Target on held-out problems: {calibrated.verdict.value}.", f"Written: {out}"])


def _span(span: Span, unit: float, *, digits: int = 1) -> str:
    low, high = ("beyond" if end is None else f"{end * unit:.{digits}f}" for end in (span.low, span.high))
    return f"{span.value * unit:.{digits}f} [{low}, {high}]"
