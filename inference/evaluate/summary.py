"""A study's results as one JSON document, which the report draws and people's own tools read."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from inference.evaluate.comparison import Comparison, FamilyMetrics, PolicyMetrics
from inference.evaluate.families import family_of, parameter_of
from inference.evaluate.plan import StudyPlan
from inference.evaluate.query_level import QueryLevel
from inference.evaluate.results import planner_milliseconds
from inference.evaluate.verifier import VerifierQuality
from kde.quality import Estimate, Resamples
from kde.samples import Array

SCHEMA_VERSION = 1
ROUNDS = ("0", "1", "2", "3", "> 3")
"""How often M_s is asked in an episode: the columns of the paper's Table 6."""


def summarise(
    plan: StudyPlan,
    episodes: Mapping[str, pl.DataFrame],
    comparison: Comparison,
    query_level: QueryLevel | None,
    *,
    verifier: VerifierQuality,
    ungradable: Mapping[str, Any],
    left_out: Mapping[str, str],
) -> dict[str, Any]:
    """Everything that is measured.

    Args:
        plan: of a finished study.
        episodes: by policy, with every seed.
        comparison: of its results.
        query_level: routers of whole questions, where they were measured.
        verifier: what the PRM's scores are worth.
        ungradable: how many `answers` could not be graded, how many `by_policy`, and of which `problems`.
        left_out: why a method has no row, by its name.
    """
    policies = [_policy(policy, comparison.policy(policy), frame) for policy, frame in episodes.items()]
    return {
        "schema_version": SCHEMA_VERSION,
        "problems": plan.problems,
        "seeds": list(plan.seeds),
        "policies": policies,
        "families": [
            {
                "family": name,
                "parameter": parameter_of(members[0]),
                "members": members,
                **family_document(comparison.family(members).metrics()),
            }
            for name, members in _families(plan.policies).items()
        ],
        "query_level": _query_level(query_level),
        "verifier": {
            "traces": verifier.traces,
            **{name: _plain(getattr(verifier, name)) for name in ("auc", "least_right", "least_wrong")},
        },
        "ungradable": dict(ungradable),
        "left_out": dict(left_out),
    }


def _families(policies: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for policy in policies:
        if policy not in {"weak", "strong"}:
            found.setdefault(family_of(policy), []).append(policy)
    return found


def _query_level(found: QueryLevel | None) -> dict[str, Any] | None:
    if found is None:
        return None
    region = {
        name: values.tolist()
        for name, values in (("c", found.region.c), ("best", found.region.best), ("worst", found.region.worst))
    }
    return {
        "families": [{"family": name, **family_document(metrics)} for name, metrics in found.families.items()],
        "oracle_region": region,
    }


def _policy(policy: str, metrics: PolicyMetrics, episodes: pl.DataFrame) -> dict[str, Any]:
    rounds = episodes["steps"].list.eval(pl.element().struct.field("author") == "strong").list.sum().to_numpy()
    scored = episodes["steps"].list.eval(pl.element().struct.field("score_windows")).list.sum()
    decoded = (episodes["weak_tokens"] + episodes["strong_tokens"] - episodes["discarded_tokens"]).to_numpy()
    seconds = episodes["seconds"].to_numpy()
    problems = np.unique(episodes["problem_id"].to_numpy(), return_inverse=True)[1].astype(np.int64)
    resamples = Resamples(problems, np.random.default_rng(0))
    return {
        "policy": policy,
        "family": family_of(policy),
        **{name: _plain(getattr(metrics, name)) for name in ("accuracy", "strong_tokens", "c", "pgr", "ibc")},
        "weak_tokens": episodes["weak_tokens"].mean(),
        "discarded_tokens": episodes["discarded_tokens"].mean(),
        "prm_calls": scored.mean(),
        "planner_ms": planner_milliseconds(episodes),
        "seconds": _plain(resamples.mean(seconds)),
        "seconds_p95": float(np.quantile(seconds, 0.95)),
        "tokens_per_second": _plain(resamples.mean(decoded / seconds, seconds)),  # all tokens by all seconds
        "interventions": dict(zip(ROUNDS, _shares(rounds), strict=True)),
        "endings": {row["ending"]: row["len"] for row in episodes.group_by("ending").len().sort("ending").to_dicts()},
    }


def _shares(rounds: Array) -> list[float]:
    counts = np.bincount(np.minimum(rounds.astype(np.int64), len(ROUNDS) - 1), minlength=len(ROUNDS))
    return [float(count) / len(rounds) for count in counts]


def family_document(metrics: FamilyMetrics) -> dict[str, Any]:
    """A family's metrics, or differences of two, as JSON values."""
    return {
        "cpt": {f"{target:.0%}": _plain(estimate) for target, estimate in metrics.cpt.items()},
        "delta_ibc": _plain(metrics.delta_ibc),
        "budgeted_accuracy": {f"{c:.0%}": _plain(estimate) for c, estimate in metrics.budgeted.items()},
        "budgeted_pgr": {f"{c:.0%}": _plain(estimate) for c, estimate in metrics.budgeted_pgr.items()},
    }


def _plain(estimate: Estimate | None) -> dict[str, float | None] | None:
    """As JSON has it: what is not reached is null."""
    if estimate is None:
        return None
    values = {"value": estimate.value, "low": estimate.low, "high": estimate.high}
    return {name: value if math.isfinite(value) else None for name, value in values.items()}
