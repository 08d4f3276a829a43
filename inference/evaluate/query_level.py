"""Query-level routers on a study: both models' answers are on record, so nothing has to be generated for them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

import numpy as np
import polars as pl

from inference.baselines.automix import AutoMixRouter
from inference.baselines.catalogue import ROUTELLM, held_out_scores
from inference.baselines.encoder import SentenceEncoder
from inference.baselines.oracle import OracleRegion, oracle_region
from inference.baselines.paired import PairedAnswers, Queries
from inference.baselines.self_verification import Verification
from inference.evaluate.comparison import Comparison, FamilyMetrics
from inference.evaluate.study import Study
from kde.errors import InputError
from kde.records import read_records
from kde.samples import Array, Groups
from kde.traces import AnsweredTrace

FOLDS = 5
NAMES = {
    "similarity": "RouteLLM, similarity",
    "factorisation": "RouteLLM, factorisation",
    "classifier": "RouteLLM, BERT",
}


@dataclass(frozen=True, slots=True)
class QueryLevel:
    """Query-level routers, measured.

    Attributes:
        families: metrics by name, each router at all of its thresholds.
        region: what any of them could reach.
    """

    families: Mapping[str, FamilyMetrics]
    region: OracleRegion


def measure_query_level(
    study: Study, episodes: Mapping[str, pl.DataFrame], comparison: Comparison, encoder: SentenceEncoder
) -> QueryLevel:
    """RouteLLM's three routers, AutoMix-PRM, AutoMix where M_w has verified its answers, and the oracle that knows the grades.

    All but the oracle are cross-validated over problems.

    Raises:
        InputError: M_w's traces are not scored.
    """
    answers, problem = paired_answers(study, episodes)
    scores = {
        NAMES[name]: held_out_scores(answers, problem, encoder, method.train, folds=FOLDS, seed=0)
        for name, method in ROUTELLM.items()
    }
    scores["AutoMix-PRM"] = held_out_scores(answers, problem, encoder, AutoMixRouter.train, folds=FOLDS, seed=0)
    verified = self_verified(study, answers)
    if verified is not None:
        scores["AutoMix"] = held_out_scores(verified, problem, encoder, AutoMixRouter.train, folds=FOLDS, seed=0)
    scores["query oracle"] = _oracle_scores(answers)
    families = {name: comparison.query_level(answers, problem, values) for name, values in scores.items()}
    return QueryLevel(families, oracle_region(answers))


def paired_answers(study: Study, episodes: Mapping[str, pl.DataFrame]) -> tuple[PairedAnswers, Groups]:
    """Both models' answers, one a problem and seed, and the place of each one's problem among the sorted ids."""
    weak, strong = (episodes[name].sort("seed", "problem_id") for name in ("weak", "strong"))
    verified = pl.concat([_cumulative_scores(study.score_file(seed), seed) for seed in sorted(study.plan.seeds)])
    weak = weak.join(verified, on=("seed", "problem_id"), how="left", maintain_order="left")
    vouched = pl.when(pl.col("steps").list.len() == 0).then(0.0).otherwise("verified")  # an empty answer has no scores
    weak = weak.with_columns(verified=vouched)
    weak_correct, strong_correct = (frame["correct"].cast(pl.Float64).to_numpy() for frame in (weak, strong))
    queries = Queries(tuple(weak["problem"]), weak["verified"].to_numpy())
    problem = np.unique(weak["problem_id"].to_numpy(), return_inverse=True)[1].astype(np.int64)
    tokens = strong["strong_tokens"].cast(pl.Float64).to_numpy()
    return PairedAnswers(queries, weak_correct, strong_correct, tokens), problem


def verification_file(study: Study, seed: int) -> Path:
    """Where `trim routers verify` has put what M_w says of its own answers with a seed, if it has been asked."""
    return study.score_file(seed).with_name(f"verified-{seed}.jsonl")


def self_verified(study: Study, answers: PairedAnswers) -> PairedAnswers | None:
    """The answers with M_w's own scores of them; None where it was not asked, or gave no verdict on any."""
    seeds = sorted(study.plan.seeds)
    if not all(verification_file(study, seed).exists() for seed in seeds):
        return None
    found = [sorted(read_records(verification_file(study, seed), Verification), key=_problem) for seed in seeds]
    if all(verified.unread == verified.samples for of_seed in found for verified in of_seed):
        return None
    scores = np.array([verified.score for of_seed in found for verified in of_seed])
    if len(scores) != len(answers):
        remedy = f"{len(answers)} answers are to be verified: go on with the same `trim routers verify`"
        raise InputError(study.out, field="verified answers", value=len(scores), remedy=remedy)
    return replace(answers, queries=replace(answers.queries, verified=scores))


def _problem(verified: Verification) -> str:
    return verified.problem_id


def _cumulative_scores(path: Path, seed: int) -> pl.DataFrame:
    """The product of each trace's step scores."""
    traces = read_records(path, AnsweredTrace)
    return pl.DataFrame(
        {
            "seed": [seed] * len(traces),
            "problem_id": [trace.problem_id for trace in traces],
            "verified": [prod(trace.scores) for trace in traces],
        }
    )


def _oracle_scores(answers: PairedAnswers) -> Array:
    """Where M_s alone is right first, cheapest first; where M_w alone is right last."""
    gains = answers.strong_correct - answers.weak_correct
    return np.asarray(gains / np.maximum(answers.strong_tokens, 1.0), dtype=np.float64)
