"""`trim train`: policies by reinforcement learning."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter
from cyclopts.validators import Number
from pydantic import BaseModel, Field, create_model

from kde.artefact import provenance
from kde.errors import InputError
from kde.terminal import AsJson, live_progress, print_json, print_lines, print_table
from planner.cli.tables.describe import ModelOptions
from planner.exact import check_lambdas
from planner.learn.settings import Learner, Preset, TrainingSettings
from planner.learn.shipped import math_train
from planner.pomdp import RoutingPOMDP
from planner.table import PolicyTable

if TYPE_CHECKING:
    from collections.abc import Callable

    from planner.learn.result import Result
    from planner.learn.training import Progress, Training

app = App(
    name="train",
    help="Learn policies by proximal policy optimisation.",
    help_epilogue="""\
Plays episodes of a routing POMDP: the one of --table, the one that the options of `trim tables build` describe, or, without either, the
paper's on MATH, which is shipped. A run that is killed goes on when the same command is given again, to the same weights.

Example: trim train agg --simulated --lambda 0.0025 --seed 0""",
)


def _options() -> type[BaseModel]:
    """Every setting as an option that may be absent, so that a preset can speak for it."""
    fields: dict[str, Any] = {
        name: (setting.annotation | None if setting.annotation else Any, Field(None, description=setting.description))
        for name, setting in TrainingSettings.model_fields.items()
    }
    return create_model("Options", **fields)


Options: Any = _options()

Simulated = Annotated[bool, Parameter(negative="", help="play episodes drawn from a POMDP")]
Lambda = Annotated[float, Parameter(name="--lambda", help="the price of a strong token, in reward")]
Seed = Annotated[int, Parameter(validator=Number(gte=0), help="of weights, episodes and actions")]
Table = Annotated[Path | None, Parameter(help="policy table whose POMDP is played")]
Chosen = Annotated[Preset, Parameter(help="settings to start from: default, or the paper's")]
Judge = Annotated[int, Parameter(validator=Number(gte=2), help="episodes that the result is judged on")]
Out = Annotated[Path | None, Parameter(help="directory of the result: LEARNER-LAMBDA unless given")]


@app.command
def agg(
    *,
    simulated: Simulated = False,
    lam: Lambda,
    seed: Seed = 0,
    table: Table = None,
    model: ModelOptions | None = None,
    preset: Chosen = Preset.DEFAULT,
    changes: Annotated[Options, Parameter(name="*", negative="")] = None,
    judge_episodes: Judge = 200_000,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Train TRIM-Agg: a perceptron on features of the newest proposal. The result is served as agg:LAMBDA."""
    _check_simulated(simulated=simulated)
    settings = _settings(Learner.AGG, preset, changes)
    _train(
        Learner.AGG,
        settings,
        lam,
        seed,
        problem=_problem(table, model),
        judged=judge_episodes,
        out=out,
        as_json=as_json,
    )


@app.command
def seq(
    *,
    simulated: Simulated = False,
    lam: Lambda,
    seed: Seed = 0,
    table: Table = None,
    model: ModelOptions | None = None,
    preset: Chosen = Preset.DEFAULT,
    changes: Annotated[Options, Parameter(name="*", negative="")] = None,
    judge_episodes: Judge = 40_000,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Train TRIM-Seq: a causal transformer on the sequence of scores and token counts. It runs where the whole sequence is known."""
    _check_simulated(simulated=simulated)
    settings = _settings(Learner.SEQ, preset, changes)
    _train(
        Learner.SEQ,
        settings,
        lam,
        seed,
        problem=_problem(table, model),
        judged=judge_episodes,
        out=out,
        as_json=as_json,
    )


def _check_simulated(*, simulated: bool) -> None:
    if not simulated:
        remedy = "say --simulated: episodes are drawn from a POMDP, there are no others"
        raise InputError("train", field="--simulated", value=False, remedy=remedy)


def _problem(table: Path | None, model: ModelOptions | None) -> tuple[RoutingPOMDP, dict[str, Any]]:
    """What is played, and where it comes from."""
    if table is not None and model is not None:
        remedy = "it has a POMDP already: give no option that describes another"
        raise InputError("train", field="--table", value=str(table), remedy=remedy)
    if table is not None:
        return PolicyTable.load(table).pomdp, dict(provenance({"table": table / "table.json"}, {})["inputs"])
    if model is not None:
        return model.pomdp(), model.inputs()
    pomdp, content_hash = math_train()
    return pomdp, {"problem": {"shipped": "math_train", "content_hash": content_hash}}


def _settings(learner: Learner, preset: Preset, changes: Any) -> TrainingSettings:
    return TrainingSettings.of(preset, learner, {} if changes is None else changes.model_dump(exclude_unset=True))


def _train(
    learner: Learner,
    settings: TrainingSettings,
    lam: float,
    seed: int,
    *,
    problem: tuple[RoutingPOMDP, dict[str, Any]],
    judged: int,
    out: Path | None,
    as_json: bool,
) -> None:
    check_lambdas([lam])
    from planner.learn.for_table import JUDGE_SEED  # noqa: PLC0415
    from planner.learn.judge import Bench  # noqa: PLC0415
    from planner.learn.result import finish  # noqa: PLC0415
    from planner.learn.training import Training  # noqa: PLC0415  torch takes seconds

    pomdp, inputs = problem
    training = Training(pomdp, lam, learner, settings, seed)
    place = Path(f"{learner.value}-{lam!r}") if out is None else out
    with _display(settings.iterations) as show:
        trained = training.run(place, on_progress=show)
    bench = Bench.of(pomdp, lam, episodes=judged, seed=JUDGE_SEED)
    result = finish(training, trained, bench, inputs=inputs, out=place)
    training.forget(place)
    _report(training, place, result, as_json=as_json)


@contextmanager
def _display(iterations: int) -> "Iterator[Callable[[Progress], None]]":
    with live_progress() as progress:
        task = progress.add_task("learning", total=iterations, note="")

        def show(done: "Progress") -> None:
            note = "  ".join(f"{name} {done.row[name]:.4g}" for name in ("return", "strong tokens", "entropy"))
            progress.update(task, completed=done.iteration, note=note)

        yield show


def _report(training: "Training", place: Path, result: "Result", *, as_json: bool) -> None:
    judged = result.judged
    if as_json:
        document = {"out": str(place), "content_hash": result.content_hash, **training.parameters()}
        print_json(document | {"judged": judged.document()})
        return
    rows = [
        (f"{training.learner.value}:{training.lam!r}, learned", judged.learned.value, judged.learned.standard_error),
        ("exact optimum", judged.optimum.value, judged.optimum.standard_error),
        (f"best threshold, thr:{judged.best_threshold!r}", judged.threshold.value, judged.threshold.standard_error),
        ("regret of the learned policy", judged.regret.value, judged.regret.standard_error),
    ]
    print_table(f"Return at lambda {training.lam!r}, in {place}", ("policy", "return", "standard error"), rows)
    print_lines([judged.in_short()])
