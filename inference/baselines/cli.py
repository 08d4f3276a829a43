"""`trim routers`: train query-level routers, and say what they cost for what they gain."""

import asyncio
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from cyclopts import App, Parameter
from cyclopts.validators import Number

from inference.baselines.answer_table import read_table
from inference.baselines.catalogue import ROUTELLM, held_out_scores
from inference.baselines.encoder import WordLlamaEncoder
from inference.baselines.paired import PairedAnswers, read_answers
from inference.baselines.query_curve import QueryCurve, query_curve
from inference.baselines.router import save_router
from inference.baselines.self_verification import SelfVerifier, Verification
from inference.baselines.smoothie import smoothie
from inference.baselines.verifying import verify_solutions
from inference.engines.settings import EnginesFile
from inference.fleet import open_fleet
from inference.route_cli import Models
from inference.solutions import Solution, answers_of
from kde.artefact import provenance
from kde.errors import InputError
from kde.quality import Estimate, as_document
from kde.terminal import AsJson, live_progress, print_json, print_lines, print_table

app = App(
    name="routers",
    help="Train and judge query-level routers.",
    help_epilogue="""\
DATA is a table in the layout of RouteLLM's released answers: CSV with prompt and, for two models or more, MODEL (True or False) and
MODEL_response. The first model is the cheap one, unless --weak and --strong say otherwise.

Example: trim routers evaluate routellm_gsm8k_responses.csv""",
)

Data = Annotated[Path, Parameter(help="CSV of questions that both models answered")]
Weak = Annotated[str | None, Parameter(help="column of the cheap model")]
Strong = Annotated[str | None, Parameter(help="column of the expensive model")]
Seed = Annotated[int, Parameter(validator=Number(gte=0, lt=2**32))]
RouterName = Literal["similarity", "factorisation", "classifier"]


@app.command
def train(
    data: Data,
    *,
    router: Annotated[RouterName, Parameter(help="method")],
    out: Annotated[Path, Parameter(help="directory of the router")],
    weak: Weak = None,
    strong: Strong = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Train a router on all of DATA."""
    encoder = WordLlamaEncoder()
    answers = read_answers(data, encoder, weak=weak, strong=strong)
    trained = ROUTELLM[router].train(answers, encoder, seed)
    content_hash = save_router(trained, encoder, out, provenance({"answers": data}, {"router": router, "seed": seed}))
    told = {"out": str(out), "router": router, "questions": len(answers), "content_hash": content_hash}
    if as_json:
        print_json(told)
    else:
        print_table(f"Router in {out}", ("", "value"), list(told.items())[1:])


@app.command
def verify(
    run: Annotated[Path, Parameter(help="directory of a finished run of M_w alone, such as STUDY/runs/weak/0")],
    *,
    out: Annotated[Path, Parameter(help="JSONL; STUDY/scores/verified-0.jsonl gives the study an AutoMix row")],
    models: Models | None = None,
    samples: Annotated[int, Parameter(validator=Number(gte=1), help="of every answer")] = 8,
    seed: Seed = 0,
    concurrency: Annotated[int, Parameter(validator=Number(gte=1), help="answers in flight")] = 16,
    as_json: AsJson = False,
) -> None:
    """Have M_w verify its own answers, as AutoMix does; goes on where it was stopped."""
    engines = (models or Models()).settings()
    if engines.weak is None:
        raise InputError("routers", field="--weak", value=None, remedy="M_w verifies: name it, or --engines, or --lab")
    if engines.weak.sampling.temperature == 0:
        remedy = "samples of greedy decoding are all the same: set one above 0"
        raise InputError("routers", field="temperature", value=0, remedy=remedy)
    found = asyncio.run(_verify(engines, answers_of(run), out, samples=samples, seed=seed, concurrency=concurrency))
    told = {
        "out": str(out),
        "answers": len(found),
        "samples": samples,
        "vouched": sum(verified.vouched for verified in found) / (samples * len(found)),
        "unread": sum(verified.unread for verified in found) / (samples * len(found)),
    }
    if as_json:
        print_json(told)
    else:
        print_table(f"Verifications in {out}", ("", "value"), list(told.items())[1:])


async def _verify(
    engines: EnginesFile, solutions: list[Solution], out: Path, *, samples: int, seed: int, concurrency: int
) -> list[Verification]:
    async with open_fleet(engines, out.with_name("logs")) as fleet:
        verifier = SelfVerifier(fleet.weak, samples, seed)
        with live_progress() as progress:
            task = progress.add_task("verifying", total=len(solutions), note="")
            return await verify_solutions(
                verifier, solutions, out, concurrency=concurrency, on_verified=lambda: progress.advance(task)
            )


@app.command
def evaluate(
    data: Data,
    *,
    folds: Annotated[
        int, Parameter(validator=Number(gte=2), help="parts of DATA; each is judged by routers trained on the rest")
    ] = 5,
    weak: Weak = None,
    strong: Strong = None,
    seed: Seed = 0,
    out: Annotated[Path | None, Parameter(help="PNG of the curves")] = None,
    as_json: AsJson = False,
) -> None:
    """Judge RouteLLM's three routers, cross-validated, beside a random one."""
    encoder = WordLlamaEncoder()
    answers = read_answers(data, encoder, weak=weak, strong=strong)
    curves = {}
    with live_progress() as progress:
        task = progress.add_task("routers", total=len(ROUTELLM) + 1, note="")
        for name, method in ROUTELLM.items():
            progress.update(task, note=name)
            curves[name] = query_curve(
                answers,
                held_out_scores(answers, np.arange(len(answers)), encoder, method.train, folds=folds, seed=seed),
                seed=seed,
            )
            progress.advance(task)
        curves["random"] = query_curve(answers, np.random.default_rng(seed).random(len(answers)), seed=seed)
        progress.advance(task)
    if out is not None:
        from inference.baselines.figure import draw_curves  # noqa: PLC0415  matplotlib, only where it draws

        draw_curves(answers, curves, out)
    if as_json:
        print_json(_document(data, answers, curves, folds))
    else:
        _show(answers, curves, out)


@app.command(name="smoothie")
def trust(
    data: Data,
    *,
    neighbours: Annotated[
        int | None,
        Parameter(validator=Number(gte=1), help="nearest questions that a generator is judged on [all: one for all]"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Choose between three generators or more without labels, as Smoothie does."""
    encoder, table = WordLlamaEncoder(), read_table(data, lambda models: models)
    found = smoothie(table, encoder, neighbours=len(table.questions) if neighbours is None else neighbours)
    alone = table.correct.mean(axis=1)
    if as_json:
        columns = zip(table.models, alone.tolist(), found.distances.tolist(), found.chosen.tolist(), strict=True)
        rows = [dict(zip(("generator", "accuracy", "distance", "chosen"), column, strict=True)) for column in columns]
        print_json({"questions": len(table.questions), "accuracy": found.accuracy, "generators": rows})
        return
    print_table(
        f"Smoothie on {len(table.questions)} questions: {found.accuracy:.1%} right",
        ("generator", "right alone", "estimated distance", "trusted"),
        [
            (name, f"{right:.1%}", f"{distance:.4f}", f"{share:.1%}")
            for name, right, distance, share in zip(table.models, alone, found.distances, found.chosen, strict=True)
        ],
    )


def _document(data: Path, answers: PairedAnswers, curves: dict[str, QueryCurve], folds: int) -> dict[str, Any]:
    routers = [
        {
            "router": name,
            "auc": as_document(curve.area),
            "cpt": {k: _finite(v) for k, v in curve.cpt.items()},
            "pgr": curve.pgr.tolist(),
        }
        for name, curve in curves.items()
    ]
    return {
        "data": str(data),
        "questions": len(answers),
        "folds": folds,
        "weak_accuracy": answers.weak_correct.mean(),
        "strong_accuracy": answers.strong_correct.mean(),
        "strong_alone_tokens": answers.strong_tokens.mean(),
        "c": curves["random"].c.tolist(),
        "routers": routers,
    }


def _finite(estimate: Estimate) -> dict[str, float | None]:
    return {
        k: v if np.isfinite(v) else None
        for k, v in (("value", estimate.value), ("low", estimate.low), ("high", estimate.high))
    }


def _show(answers: PairedAnswers, curves: dict[str, QueryCurve], out: Path | None) -> None:
    print_table(
        f"Query-level routers on {len(answers)} questions, cross-validated",
        ("router", "AUC of PGR over c", "c at 50 % of the gap", "c at 80 %", "c at 95 %"),
        [(name, *(_shown(e) for e in (curve.area, *curve.cpt.values()))) for name, curve in curves.items()],
    )
    weak, strong = answers.weak_correct.mean(), answers.strong_correct.mean()
    known = "A router that knows nothing has an AUC of 0.5; brackets are 95 % intervals over questions."
    print_lines([f"M_w alone {weak:.1%}, M_s alone {strong:.1%}. {known}"])
    if out is not None:
        print_lines([f"Picture: {out}"])


def _shown(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"
