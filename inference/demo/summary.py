"""The demo's results as one table and one JSON document."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from planner.metrics import Interval, Measured, Outcome, measure


def summarise(episodes: Mapping[str, pl.DataFrame], *, seed: int) -> dict[str, Any]:
    """Metrics of every policy against `weak` and `strong`, with 95 % bootstrap intervals over problems.

    `seconds` is the mean wall time of an episode while many run at once, `planner_ms` the mean wait for one decision.
    """
    outcomes = {policy: _outcome(frame) for policy, frame in episodes.items()}
    measured = measure(outcomes, weak="weak", strong="strong", rng=np.random.default_rng(seed))
    rows = [_row(policy, measured[policy], episodes[policy]) for policy in episodes]
    ends = {row["policy"]: row for row in rows if row["policy"] in ("weak", "strong")}
    routed = [row for row in rows if row["policy"] not in ends]
    return {
        "problems": len(outcomes["weak"].correct),
        "weak": ends["weak"],
        "strong": ends["strong"],
        "policies": routed,
    }


def _outcome(frame: pl.DataFrame) -> Outcome:
    ordered = frame.sort("problem_id").with_columns(
        pl.col("correct").fill_null(value=False)
    )  # a number is never a formula
    correct, tokens = (ordered[name].cast(pl.Float64).to_numpy() for name in ("correct", "strong_tokens"))
    return Outcome(tuple(ordered["problem_id"]), correct, tokens)


def _row(policy: str, measured: Measured, frame: pl.DataFrame) -> dict[str, Any]:
    decisions = int(frame["steps"].list.eval(pl.element().struct.field("action").is_not_null()).list.sum().sum())
    return {
        "policy": policy,
        **_flat("accuracy", measured.accuracy),
        **_flat("strong_tokens", measured.strong_tokens),
        **_flat("c", measured.c),
        **_flat("pgr", measured.pgr),
        "weak_tokens": frame["weak_tokens"].mean(),
        "discarded_tokens": frame["discarded_tokens"].mean(),
        "seconds": frame["seconds"].mean(),
        "planner_ms": 1000 * float(frame["planner_seconds"].sum()) / decisions if decisions else None,
    }


def _flat(name: str, interval: Interval) -> dict[str, Any]:
    estimate, low, high = (
        round(value, 9) for value in (interval.estimate, interval.low, interval.high)
    )  # 0.9, not 0.8999999999999999
    return {name: estimate, f"{name}_interval": [low, high]}
