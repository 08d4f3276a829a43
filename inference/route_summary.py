"""What `trim route` reports: the records of a run in a few numbers, and how fast this session was."""

from typing import Any

import polars as pl

from inference.meters import Meters

_BY_STRONG_ALONE = (pl.col("author") == "strong") & (pl.col("score_windows") == 0)
_WAITS = {
    "weak": pl.when(~_BY_STRONG_ALONE).then("propose_seconds"),
    "strong": pl.when(_BY_STRONG_ALONE).then("propose_seconds").otherwise("regenerate_seconds"),
    "scorer": pl.col("score_seconds"),
    "planner": pl.col("decide_seconds"),
}


def summarise_run(episodes: pl.DataFrame) -> dict[str, Any]:
    """A run by its records: means a problem, shares, why episodes ended, and what was waited for a step.

    `latency_seconds` has p50 and p95 of the waits for each model and the planner; those that were never asked are not there.
    """
    steps = episodes.select(pl.col("steps").explode(keep_nulls=False, empty_as_null=False)).unnest("steps")
    weak, strong, deciding, seconds = (
        float(episodes[name].sum()) for name in ("weak_tokens", "strong_tokens", "planner_seconds", "seconds")
    )
    return {
        "episodes": episodes.height,
        "graded": episodes["correct"].count(),
        "accuracy": episodes["correct"].mean(),
        "strong_tokens": episodes["strong_tokens"].mean(),
        "weak_tokens": episodes["weak_tokens"].mean(),
        "discarded_tokens": episodes["discarded_tokens"].mean(),
        "strong_steps_share": (steps["author"] == "strong").mean(),
        "strong_tokens_share": strong / (weak + strong) if weak + strong else None,
        "fallback_decisions": int(episodes["fallback_decisions"].sum()),
        "endings": dict(episodes["ending"].value_counts(sort=True).iter_rows()),
        "planner_share": deciding / seconds,
        "latency_seconds": _latencies(steps),
    }


def summarise_session(meters: Meters, *, problems: int) -> dict[str, Any]:
    """How fast a session went: `problems` are those that it finished, and queues are the most calls under way at once."""
    seconds = meters.seconds
    return {
        "problems": problems,
        "seconds": seconds,
        "problems_per_second": problems / seconds,
        "steps_per_second": meters.steps / seconds,
        "tokens_per_second": meters.tokens / seconds,
        "most_under_way": {name: meter.most_under_way for name, meter in meters.by_name.items()},
    }


def _latencies(steps: pl.DataFrame) -> dict[str, dict[str, float]]:
    found = {}
    for name, wait in _WAITS.items():
        waits = steps.select(wait.alias("wait"))["wait"].drop_nulls()
        waits = waits.filter(waits > 0)
        p50, p95 = waits.quantile(0.5), waits.quantile(0.95)
        if p50 is not None and p95 is not None:
            found[name] = {"p50": p50, "p95": p95}
    return found
