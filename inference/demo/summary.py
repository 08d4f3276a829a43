"""The demo's results as one table and one JSON document."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from inference.evaluate.comparison import Comparison, PolicyMetrics
from inference.evaluate.results import Results, planner_milliseconds
from kde.quality import Estimate


def summarise(episodes: Mapping[str, pl.DataFrame], *, seed: int) -> dict[str, Any]:
    """Metrics of every policy against `weak` and `strong`, with 95 % bootstrap intervals over problems.

    `seconds` is the mean wall time of an episode while many run at once, `planner_ms` the mean wait for one decision.
    """
    results = Results.of(episodes)
    comparison = Comparison(results, seed=seed)
    rows = [_row(policy, comparison.policy(policy), frame) for policy, frame in episodes.items()]
    ends = {row["policy"]: row for row in rows if row["policy"] in ("weak", "strong")}
    routed = [row for row in rows if row["policy"] not in ends]
    return {
        "problems": len(results.problems),
        "weak": ends["weak"],
        "strong": ends["strong"],
        "policies": routed,
    }


def _row(policy: str, metrics: PolicyMetrics, frame: pl.DataFrame) -> dict[str, Any]:
    return {
        "policy": policy,
        **_flat("accuracy", metrics.accuracy),
        **_flat("strong_tokens", metrics.strong_tokens),
        **_flat("c", metrics.c),
        **_flat("pgr", metrics.pgr),
        "weak_tokens": frame["weak_tokens"].mean(),
        "discarded_tokens": frame["discarded_tokens"].mean(),
        "seconds": frame["seconds"].mean(),
        "planner_ms": planner_milliseconds(frame),
    }


def _flat(name: str, estimate: Estimate) -> dict[str, Any]:
    value, low, high = (
        round(number, 9) for number in (estimate.value, estimate.low, estimate.high)
    )  # 0.9, not 0.8999999999999999
    return {name: value, f"{name}_interval": [low, high]}
