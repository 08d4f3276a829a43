"""Studies on disk whose truth is known: nothing is generated, what each policy comes to is planted."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from inference.evaluate.comparison import Comparison
from inference.evaluate.plan import StudyPlan
from inference.evaluate.results import Results
from inference.evaluate.study import Study
from inference.evaluate.summary import summarise
from inference.evaluate.verifier import VerifierQuality
from inference.problems import Problem
from inference.records import Episode, StepRecord, write_part
from inference.step import Author, Stop
from tests.inference.made_episodes import MADE

WEAK_ACCURACY, GAP, STRONG_TOKENS = 0.4, 0.5, 100


def make_study(out: Path, gains: dict[str, tuple[float, float]], *, count: int = 200, stream: int = 0) -> Study:
    """A study of made problems, in which a policy recovers a share PGR of the gap for a share c of the strong tokens.

    Args:
        out: its directory.
        gains: (c, PGR) by policy; the two models alone come of themselves.
        count: how many problems.
        stream: problems of two streams are others.
    """
    planted = {"weak": (0.0, 0.0), "strong": (1.0, 1.0)} | gains
    problems = [
        Problem(id=f"{stream}-{place:04}", problem=f"{stream}:{place}+1", answer=str(place + 1))
        for place in range(count)
    ]
    plan = StudyPlan.asking(
        benchmark="made", problems=problems, models={}, fit=None, policies=tuple(planted), seeds=(0,)
    )
    study = Study.of(out, plan)
    study.begin()
    difficulty = (np.random.default_rng(stream).permutation(count) + 0.5) / count
    for policy, (c, pgr) in planted.items():
        right = difficulty < WEAK_ACCURACY + pgr * GAP
        place = out / "runs" / policy.replace(":", "-") / "0" / "episodes"
        write_part(place, _episodes(policy, problems, right.tolist(), round(c * STRONG_TOKENS)))
    return study


def _episodes(policy: str, problems: Sequence[Problem], right: Sequence[bool], tokens: int) -> list[Episode]:
    table_hash = "table" if policy.startswith("pomdp") else ""
    written = StepRecord(Author.WEAK, "A", Stop.END, 10, table_hash=table_hash)
    return [
        replace(
            MADE,
            problem_id=problem.id,
            problem=problem.problem,
            policy=policy,
            steps=(written,),
            solution="A",
            correct=correct,
            strong_tokens=tokens,
        )
        for problem, correct in zip(problems, right, strict=True)
    ]


def finish_made_study(study: Study) -> None:
    """Write its summary, as far as it has one without models."""
    episodes = study.all_episodes()
    summary = summarise(
        study.plan,
        episodes,
        Comparison(Results.of(episodes), seed=0),
        None,
        verifier=VerifierQuality(0, None, None, None),
        ungradable={"answers": 1, "by_policy": {"weak": 1}, "problems": ["0-0001"]},
        left_out={"Smoothie": "needs three generators or more"},
    )
    (study.out / "summary.json").write_text(json.dumps(summary))
