"""What problems came to under every policy: all that costs and gains are measured on."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kde.errors import InputError
from kde.samples import Array


@dataclass(frozen=True, slots=True)
class Results:
    """What n problems came to under every policy.

    Attributes:
        problems: [n] their ids, sorted.
        correct: by policy, [n] share of right answers over the seeds.
        strong_tokens: by policy, [n] mean strong tokens over the seeds.
    """

    problems: tuple[str, ...]
    correct: Mapping[str, Array]
    strong_tokens: Mapping[str, Array]

    @classmethod
    def of(cls, episodes: Mapping[str, pl.DataFrame]) -> "Results":
        """From the episodes of every policy, with every seed; an answer that cannot be graded is not right.

        Raises:
            InputError: the policies were not run on the same problems.
        """
        means = {policy: _by_problem(frame) for policy, frame in episodes.items()}
        problems = next(iter(means.values()))["problem_id"]
        for policy, frame in means.items():
            if not frame["problem_id"].equals(problems):
                found = f"{frame.height} of {policy}, {len(problems)} of {next(iter(means))}"
                remedy = "run every policy on the same problems"
                raise InputError("evaluate", field="problems", value=found, remedy=remedy)
        return cls(
            problems=tuple(problems),
            correct={policy: frame["correct"].to_numpy() for policy, frame in means.items()},
            strong_tokens={policy: frame["strong_tokens"].to_numpy() for policy, frame in means.items()},
        )

    def take(self, chosen: NDArray[np.bool_]) -> "Results":
        """The problems that `chosen` [n] marks."""
        kept = zip(self.problems, chosen.tolist(), strict=True)
        return Results(
            problems=tuple(problem for problem, wanted in kept if wanted),
            correct={policy: values[chosen] for policy, values in self.correct.items()},
            strong_tokens={policy: values[chosen] for policy, values in self.strong_tokens.items()},
        )

    def mixed(self, name: str, first: str, second: str, share: float) -> "Results":
        """These and `name`, which lies between two policies: a `share` of the way from the first to the second on every problem."""

        def between(column: Mapping[str, Array]) -> Mapping[str, Array]:
            return {**column, name: (1 - share) * column[first] + share * column[second]}

        return Results(self.problems, between(self.correct), between(self.strong_tokens))


def planner_milliseconds(episodes: pl.DataFrame) -> float | None:
    """Mean wait for a decision, as the run saw it; None where nothing was decided."""
    decisions = int(episodes["steps"].list.eval(pl.element().struct.field("action").is_not_null()).list.sum().sum())
    return 1000 * float(episodes["planner_seconds"].sum()) / decisions if decisions else None


def _by_problem(episodes: pl.DataFrame) -> pl.DataFrame:
    right = pl.col("correct").fill_null(value=False)
    means = right.cast(pl.Float64).mean(), pl.col("strong_tokens").cast(pl.Float64).mean()
    return episodes.group_by("problem_id").agg(*means).sort("problem_id")
