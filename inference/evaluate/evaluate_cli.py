"""`trim evaluate`: every policy on the same problems."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter
from cyclopts.validators import Number
from rich.progress import Progress

from inference.baselines.encoder import WordLlamaEncoder
from inference.cells import Cell, CellRunner
from inference.ending import Limits
from inference.engines.settings import EnginesFile
from inference.evaluate.comparison import Comparison
from inference.evaluate.executors import Executor, finish_cells
from inference.evaluate.families import Needs, Offered, all_policies, left_out
from inference.evaluate.lab_study import BUDGET_TOKENS, fit_lab_planner
from inference.evaluate.plan import Fit, StudyPlan
from inference.evaluate.planner_folder import read_offer
from inference.evaluate.query_level import measure_query_level
from inference.evaluate.results import Results
from inference.evaluate.study import Study
from inference.evaluate.summary import summarise
from inference.evaluate.verifier import measure_verifier
from inference.evaluate.worker import Workplace
from inference.fleet import open_fleet
from inference.lab.checker import true_class
from inference.lab.language import Mix
from inference.problems import Problem
from inference.route_cli import Asked, Models
from kde.artefact import replace_file
from kde.errors import InputError
from kde.terminal import AsJson, live_progress, print_json, print_lines, print_table
from planner.policies.catalogue import Catalogue
from planner.pomdp import check_lambda

app = App(
    name="evaluate",
    help_epilogue="""\
Every policy solves the same problems with every seed; M_w's drafts are shared wherever prefixes agree. What is on disk is not made again:
the same command goes on, and more policies or seeds may be asked for later.

Examples:
  trim evaluate --lab --policies all --problems 300 --seeds 3 --out runs/study
  trim evaluate --lab --mix hard --planner runs/study/planner --problems 300 --out runs/elsewhere
  trim evaluate --engines engines.toml --planner tables --problems math500 --out runs/math500""",
)

_LAMBDAS = (0.0001, 0.0005, 0.002, 0.008)
_CALIBRATION = 1000
_LAB_STEP_TOKENS = 64
_SHOWN = 8
_PROBLEM_SEED = 3
"""Stream of the lab problems that studies use; no planner is fitted on them."""
_LEFT_OUT = {
    "Smoothie": "needs three generators or more: with two, nothing tells who is right",
    "AutoMix": "M_w has not verified its answers (`trim routers verify`; the lab's has no room for the worked examples)",
}


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Planning:
    """Where the planner comes from."""

    planner: Annotated[
        Path | None, Parameter(help="folder of tables, learned policies and a budget table [fitted on the lab]")
    ] = None
    calibration: Annotated[
        int | None, Parameter(validator=Number(gte=10), help=f"lab problems that it is fitted on [{_CALIBRATION}]")
    ] = None
    lambdas: Annotated[
        tuple[float, ...],
        Parameter(
            name="--lambda",
            consume_multiple=True,
            negative="",
            help=f"prices of a strong token that it is fitted for {list(_LAMBDAS)}",
        ),
    ] = ()

    def fit(self, *, lab: bool, mix: Mix | None) -> Fit | None:
        """How the study fits its own planner; None if it does not.

        Raises:
            InputError: a price is none, or there is nothing to fit, and an option says how.
        """
        for lam in self.lambdas:
            check_lambda(lam, source="evaluate", field="--lambda")
        if lab and self.planner is None:
            return Fit(
                calibration=self.calibration or _CALIBRATION,
                lambdas=tuple(sorted(set(self.lambdas or _LAMBDAS))),
                mix=mix or Mix.STANDARD,
            )
        for option, value in (("--calibration", self.calibration), ("--lambda", self.lambdas)):
            if value:
                remedy = "a planner is fitted with --lab and without --planner only: leave it out"
                raise InputError("evaluate", field=option, value=value, remedy=remedy)
        return None


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Workforce:
    """Who runs the policies."""

    executor: Annotated[Executor, Parameter(help="where the workers are: on this machine, or on Ray")] = Executor.LOCAL
    workers: Annotated[
        int | None,
        Parameter(
            validator=Number(gte=1), help="how many, each with models of its own [local: 1, this process; ray: 2]"
        ),
    ] = None
    address: Annotated[str | None, Parameter(help="of a Ray cluster that exists [one is started here]")] = None

    def finish(self, place: Workplace, cells: Sequence[Cell], progress: Progress) -> None:
        """Finish what is not on disk yet.

        Raises:
            TrimError: as `finish_cells`.
        """
        workers = self.workers or (1 if self.executor is Executor.LOCAL else 2)
        finish_cells(place, cells, progress, executor=self.executor, workers=workers, address=self.address)


@app.default
def evaluate(
    *,
    asked: Asked,
    out: Annotated[Path, Parameter(help="directory of the study")],
    models: Models | None = None,
    planning: Planning | None = None,
    policies: Annotated[
        tuple[str, ...], Parameter(consume_multiple=True, negative="", help="`all`, or policy ids such as thr:0.5")
    ] = ("all",),
    seeds: Annotated[int, Parameter(validator=Number(gte=1), help="how many samples of every policy")] = 1,
    prm_noise: Annotated[
        float,
        Parameter(validator=Number(gte=0), help="standard deviation of Gaussian noise on the logit of every score"),
    ] = 0.0,
    concurrency: Annotated[int, Parameter(validator=Number(gte=1), help="problems in flight of a worker")] = 128,
    workforce: Workforce | None = None,
    as_json: AsJson = False,
) -> None:
    """Compare policies: accuracy, strong tokens, c, PGR, CPT, delta-IBC and budgeted accuracy, with intervals."""
    models, planning = models or Models(), planning or Planning()
    problems = _graded(asked.read(_PROBLEM_SEED, lab=models.lab))
    engines = _noisy(_within_reason(models).settings(), prm_noise)
    fit = planning.fit(lab=models.lab, mix=asked.mix)
    offered = _offered(planning.planner, fit, truth=models.lab)
    wanted = all_policies(offered) if policies == ("all",) else policies
    plan = StudyPlan.asking(
        benchmark=asked.name(lab=models.lab),
        problems=problems,
        models=engines.describe(),
        fit=fit,
        policies=wanted,
        seeds=range(seeds),
    )
    study = Study.of(out, plan)
    place = Workplace(
        engines=engines,
        planner=out / "planner" if fit else planning.planner,
        logs=out / "logs",
        concurrency=concurrency,
        truth=true_class if models.lab else None,
    )
    study = _finish(study, problems, place, workforce or Workforce())
    summary = _summarise(study, _LEFT_OUT | left_out(study.plan.policies, offered))
    replace_file(out / "summary.json", (json.dumps(summary, indent=2) + "\n").encode())
    if as_json:
        print_json(summary)
    else:
        _show(summary, out)


def _graded(problems: Sequence[Problem]) -> Sequence[Problem]:
    """Problems whose answers are known: nothing else can be compared."""
    for problem in problems:
        if problem.answer is None:
            remedy = "a study is graded: give every problem its answer"
            raise InputError("evaluate", field=f"answer of {problem.id}", value=None, remedy=remedy)
    if len(problems) < 2:
        remedy = "intervals are over problems: give two or more"
        raise InputError("evaluate", field="--problems", value=len(problems), remedy=remedy)
    return problems


def _within_reason(models: Models) -> Models:
    """Steps of the lab are short: one that goes on and on is cut early."""
    return replace(models, max_step_tokens=_LAB_STEP_TOKENS) if models.lab and not models.max_step_tokens else models


def _noisy(engines: EnginesFile, sigma: float) -> EnginesFile:
    """All three models, the scorer made worse if that is asked for."""
    for name, model in (("weak", engines.weak), ("strong", engines.strong), ("prm", engines.scorer)):
        if model is None:
            remedy = "a study needs all three models: give --lab, --engines, or --weak, --strong and --prm"
            raise InputError("evaluate", field=f"--{name}", value=None, remedy=remedy)
    if not sigma or engines.scorer is None:
        return engines
    noise = engines.scorer.noise.model_copy(update={"logit_sigma": sigma})
    return engines.model_copy(update={"scorer": engines.scorer.model_copy(update={"noise": noise})})


def _offered(planner: Path | None, fit: Fit | None, *, truth: bool) -> Offered:
    """What the planner of the study will answer."""
    if fit is not None:
        middle = fit.lambdas[len(fit.lambdas) // 2]
        return Offered(fit.lambdas, fit.lambdas, BUDGET_TOKENS, truth, sequences=(middle,))
    return Offered(truth=truth) if planner is None else Offered.by(read_offer(planner).catalogue, truth=truth)


def _finish(study: Study, problems: Sequence[Problem], place: Workplace, workforce: Workforce) -> Study:
    """Run what is not on disk yet; the study as it is on record then."""
    with live_progress() as progress:
        if study.plan.fit is not None and place.planner is not None:

            async def prepare(folder: Path, fit: Fit) -> None:
                async with open_fleet(place.engines, place.logs) as fleet:
                    runner = CellRunner(place.engines, fleet, Limits(), place.concurrency, progress)
                    await fit_lab_planner(folder, runner, fit, study.plan.policies)

            asyncio.run(prepare(place.planner, study.plan.fit))
        planner = Catalogue(None) if place.planner is None else read_offer(place.planner).catalogue
        study = study.decided_by(_hashes(planner))
        _check_answers(planner, study.plan.policies, truth=place.truth is not None)
        study.begin()
        workforce.finish(place, list(study.cells(problems)), progress)
        task = progress.add_task("grading open answers", note="", visible=False)

        def show(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total, visible=True)

        study.grade(problems, on_graded=show)
    return study


def _check_answers(planner: Catalogue, policies: Sequence[str], *, truth: bool) -> None:
    """Find out before the first run whether every policy will be answered."""
    for policy in policies:
        if policy.startswith("oracle:") and not truth:
            raise InputError("evaluate", field="--policies", value=policy, remedy=f"it {Needs.TRUTH.value}: give --lab")
        planner.get(policy)


def _hashes(planner: Catalogue) -> dict[str, str]:
    """Content hash of what answers, by policy or kind of policy."""
    found = {f"pomdp:{lam!r}": table.content_hash for lam, table in planner.tables.items()}
    found |= {f"agg:{lam!r}": policy.table_hash for lam, policy in planner.learned.items()}
    found |= {name: policy.table_hash for name, policy in planner.own.items() if policy.table_hash}
    return found if planner.budget is None else {**found, "budget": planner.budget.content_hash}


def _summarise(study: Study, missing: Mapping[str, str]) -> dict[str, Any]:
    episodes = study.all_episodes()
    comparison = Comparison(Results.of(episodes), seed=0)
    query_level = measure_query_level(study, episodes, comparison, WordLlamaEncoder())
    verifier = measure_verifier(episodes, {seed: study.score_file(seed) for seed in study.plan.seeds})
    missing = {name: reason for name, reason in missing.items() if name not in query_level.families}
    return summarise(
        study.plan,
        episodes,
        comparison,
        query_level,
        verifier=verifier,
        ungradable=_ungradable(study),
        left_out=missing,
    )


def _ungradable(study: Study) -> dict[str, Any]:
    """How many answers could not be graded, by policy, and of which problems."""
    found = study.ungradable()
    by_policy = {policy: frame.height for (policy,), frame in found.group_by("policy", maintain_order=True)}
    return {"answers": found.height, "by_policy": by_policy, "problems": sorted(set(found["problem_id"]))}


def _show(summary: dict[str, Any], out: Path) -> None:
    print_table(
        f"{summary['problems']} problems, seeds {len(summary['seeds'])}",
        ("policy", "right %", "strong tokens", "c %", "PGR %"),
        [
            (
                row["policy"],
                *(
                    _percent(row[name], unit)
                    for name, unit in (("accuracy", 100), ("strong_tokens", 1), ("c", 100), ("pgr", 100))
                ),
            )
            for row in summary["policies"]
        ],
    )
    families = [*summary["families"], *summary["query_level"]["families"]]
    print_table(
        "Least c % for a share of the gap, with 95 % intervals over problems",
        ("family", *families[0]["cpt"], "delta-IBC"),
        [
            (row["family"], *(_percent(value, 100) for value in row["cpt"].values()), _percent(row["delta_ibc"], 1))
            for row in families
        ],
    )
    print_lines(f"{name}: no row. {reason}" for name, reason in summary["left_out"].items())
    open_answers = summary["ungradable"]
    if open_answers["answers"]:
        shown = ", ".join(open_answers["problems"][:_SHOWN]) + (
            ", ..." if len(open_answers["problems"]) > _SHOWN else ""
        )
        print_lines(
            [f"{open_answers['answers']} answers could not be graded and count as wrong; their problems: {shown}"]
        )
    print_lines([f"Written: {out / 'summary.json'}"])


def _percent(value: dict[str, float | None], unit: float) -> str:
    def shown(number: float | None) -> str:
        return "-" if number is None else f"{number * unit:.1f}"

    return f"{shown(value['value'])} [{shown(value['low'])}, {shown(value['high'])}]"
