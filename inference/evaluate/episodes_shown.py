"""The episodes that the report's step viewer shows: the same problems under every policy."""

from typing import Any

import polars as pl

from inference.evaluate.study import Study

MOST_PROBLEMS = 8
_KEPT = (
    *("author", "text", "tokens", "discarded_tokens", "action", "belief", "break_even_tokens"),
    *("expected_strong_tokens", "scores"),
)


def episodes_shown(study: Study) -> list[dict[str, Any]]:
    """Episodes of every policy on problems that tell policies apart, with the study's first seed.

    Problems that M_w gets wrong come first, among them those on which policies disagree most.
    """
    seed = study.plan.seeds[0]
    frames = {policy: frame.filter(pl.col("seed") == seed) for policy, frame in study.all_episodes().items()}
    chosen = _telling(pl.concat(frames.values()))
    return [
        _episode(row)
        for policy in study.plan.policies
        for row in frames[policy].filter(pl.col("problem_id").is_in(chosen)).sort("problem_id").iter_rows(named=True)
    ]


def _telling(episodes: pl.DataFrame) -> list[str]:
    by_problem = episodes.group_by("problem_id").agg(
        wrong_weak=(~pl.col("correct").filter(pl.col("policy") == "weak").first()),
        spread=pl.col("correct").cast(pl.Float64).std(),
    )
    ordered = by_problem.sort("wrong_weak", "spread", "problem_id", descending=(True, True, False))
    return ordered["problem_id"].head(MOST_PROBLEMS).to_list()


def _episode(row: dict[str, Any]) -> dict[str, Any]:
    steps = [{name: step[name] for name in _KEPT} for step in row["steps"]]
    for step in steps:
        step["score"] = step["scores"][-1] if step["scores"] else None
        del step["scores"]
    names = ("problem_id", "problem", "policy", "correct", "ending", "weak_tokens", "strong_tokens", "discarded_tokens")
    return {name: row[name] for name in names} | {"steps": steps}
