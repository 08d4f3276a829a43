"""What any query-level router can reach: the region between the best and the worst that knowing the grades allows."""

from dataclasses import dataclass

import numpy as np

from inference.baselines.paired import PairedAnswers
from kde.samples import Array


@dataclass(frozen=True, slots=True)
class OracleRegion:
    """Bounds on accuracy at each cost.

    Attributes:
        c: [n_points] shares of the tokens of M_s alone.
        best: [n_points] the most accuracy that so many tokens buy (mixing neighbouring choices at random).
        worst: [n_points] the least that a router gets for spending them.
    """

    c: Array
    best: Array
    worst: Array


def oracle_region(answers: PairedAnswers, *, points: int = 101) -> OracleRegion:
    """The region of all routers on these questions.

    The best one asks M_s where it alone is right, cheapest first; then wherever it makes no difference; last where M_w alone is right,
    dearest first. The worst one goes the other way round. As in the fractional knapsack, the two are sides of a convex hull.
    """
    gains, tokens = answers.strong_correct - answers.weak_correct, answers.strong_tokens
    grid = np.linspace(0, 1, points)
    return OracleRegion(
        grid, _ordered(answers, _worth(gains, tokens), grid), _ordered(answers, -_worth(gains, tokens), grid)
    )


def _worth(gains: Array, tokens: Array) -> Array:
    """Gain a token; where an answer costs nothing, all the worth there is."""
    return (
        np.divide(gains, tokens, out=np.where(gains == 0, 0.0, np.copysign(np.inf, gains)), where=tokens > 0)
        if (tokens > 0).any()
        else gains
    )


def _ordered(answers: PairedAnswers, worth: Array, grid: Array) -> Array:
    order = np.argsort(-worth, kind="stable")
    spent = np.r_[0, answers.strong_tokens[order].cumsum()]
    gained = np.r_[0, (answers.strong_correct - answers.weak_correct)[order].cumsum()]
    accuracy = answers.weak_correct.mean() + gained / len(answers)
    return np.asarray(np.interp(grid * spent[-1], spent, accuracy), dtype=np.float64)
