"""What a policy costs for what it gains (DESIGN section 7), with bootstrap intervals over problems.

Cost counts strong tokens only. All policies are compared on the same problems, so one resampling of problems serves them all.
"""

from dataclasses import dataclass

import numpy as np

from kde.errors import InputError
from kde.samples import Array

_RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Outcome:
    """Results of one policy, entry i for problem i.

    Attributes:
        problems: [n] their ids.
        correct: [n] 1 where the final answer is right, else 0.
        strong_tokens: [n] tokens decoded by M_s.
    """

    problems: tuple[str, ...]
    correct: Array
    strong_tokens: Array


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its 95 % bootstrap interval."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Measured:
    """Metrics of one policy.

    Attributes:
        accuracy: r, share of right answers.
        strong_tokens: C, mean strong tokens a problem.
        c: C / C(M_s alone).
        pgr: performance gap recovered, (r - r_w) / (r_s - r_w).
    """

    accuracy: Interval
    strong_tokens: Interval
    c: Interval
    pgr: Interval


def measure(outcomes: dict[str, Outcome], *, weak: str, strong: str, rng: np.random.Generator) -> dict[str, Measured]:
    """Metrics of every policy against M_w alone and M_s alone, which are two of the policies.

    Raises:
        InputError: the policies were not run on the same problems, or there is no gap to recover.
    """
    problems = outcomes[weak].problems
    count = len(problems)
    for name, outcome in outcomes.items():
        if outcome.problems != problems or not count:
            found = f"{len(outcome.problems)} of {name}, {count} of {weak}"
            raise InputError("metrics", field="problems", value=found, remedy="run every policy on the same problems")
    if outcomes[strong].correct.mean() <= outcomes[weak].correct.mean():
        raise InputError(
            "metrics", field="gap", value=0, remedy="M_s alone must be better than M_w alone: choose other models"
        )
    draws = rng.multinomial(count, np.full(count, 1 / count), size=_RESAMPLES) / count
    weights = np.vstack([np.full(count, 1 / count), draws])  # row 0 is the sample itself
    accuracy = {name: weights @ outcome.correct for name, outcome in outcomes.items()}
    tokens = {name: weights @ outcome.strong_tokens for name, outcome in outcomes.items()}
    gap = accuracy[strong] - accuracy[weak]
    return {
        name: Measured(
            accuracy=_interval(accuracy[name]),
            strong_tokens=_interval(tokens[name]),
            c=_interval(tokens[name] / tokens[strong]),
            pgr=_interval(_ratio(accuracy[name] - accuracy[weak], gap)),
        )
        for name in outcomes
    }


def _ratio(numerator: Array, denominator: Array) -> Array:
    """Ratio by resample; a resample without a gap says nothing and is left out of the interval."""
    return np.divide(numerator, denominator, out=np.full_like(numerator, np.nan), where=denominator > 0)


def _interval(values: Array) -> Interval:
    low, high = np.nanquantile(values[1:], [0.025, 0.975])
    return Interval(float(values[0]), float(low), float(high))
