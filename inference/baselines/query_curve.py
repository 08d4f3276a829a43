"""What a query-level router costs for what it gains: every threshold at once.

A router ranks questions; sending the first k of them to M_s, for every k, gives its whole curve of cost against accuracy. No generation is
needed: both answers of every question are known. Questions that a router ranks alike go together.
"""

from dataclasses import dataclass

import numpy as np

from inference.baselines.paired import PairedAnswers
from kde.errors import InputError
from kde.quality import Estimate
from kde.samples import Array
from planner.curves import CostCurve

_RESAMPLES = 1000
_GRID = np.linspace(0, 1, 101)
_TARGETS = np.array([0.5, 0.8, 0.95])


@dataclass(frozen=True, slots=True)
class QueryCurve:
    """A router's curve on n questions.

    Attributes:
        c: [101] shares of the tokens of M_s alone, 0 to 1.
        pgr: [101] expected PGR at each, mixing neighbouring thresholds at random.
        area: under it, 1/2 for a router that ranks at random.
        cpt: least c at PGR 0.5, 0.8 and 0.95, on the curve's monotone envelope.
    """

    c: Array
    pgr: Array
    area: Estimate
    cpt: dict[str, Estimate]


def query_curve(answers: PairedAnswers, scores: Array, *, seed: int) -> QueryCurve:
    """The curve of a router that gave `scores` [n], with bootstrap intervals over questions.

    Raises:
        InputError: M_s is not better than M_w here, so that there is nothing to recover.
    """
    gains = answers.strong_correct - answers.weak_correct
    if gains.sum() <= 0:
        remedy = "M_s alone must be better than M_w alone: choose other models or questions"
        raise InputError("routers", field="gap", value=float(gains.mean()), remedy=remedy)
    count = len(answers)
    draws = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=_RESAMPLES)
    resampled = (_pgr(scores, gains, answers.strong_tokens, weights) for weights in draws.astype(np.float64))
    observed = _pgr(scores, gains, answers.strong_tokens, np.ones(count))
    curves = np.array([observed, *(curve for curve in resampled if np.isfinite(curve).all())])
    costs = np.array([CostCurve.of(_GRID.tolist(), curve.tolist()).least_costs(_TARGETS) for curve in curves])
    cpt = {f"{target:.0%}": _estimate(column) for target, column in zip(_TARGETS, costs.T, strict=True)}
    return QueryCurve(_GRID, observed, _estimate(np.trapezoid(curves, _GRID, axis=1)), cpt)


def ranked_totals(scores: Array, weights: Array, tokens: Array, gains: Array) -> tuple[Array, Array]:
    """Tokens and gains of sending the best-scored questions to M_s, summed from the best on, [n_ranks] each."""
    _, rank = np.unique(-scores, return_inverse=True)
    spent, gained = (np.bincount(rank, weights * values).cumsum() for values in (tokens, gains))
    return spent, gained


def _pgr(scores: Array, gains: Array, tokens: Array, weights: Array) -> Array:
    """[101] PGR at each share of the tokens; not numbers in a resample without a gap, which says nothing."""
    spent, gained = ranked_totals(scores, weights, tokens, gains)
    if gained[-1] <= 0:
        return np.full(len(_GRID), np.nan)
    curve = np.interp(_GRID, np.r_[0, spent] / spent[-1], np.r_[0, gained] / gained[-1])
    return np.asarray(curve, dtype=np.float64)


def _estimate(values: Array) -> Estimate:
    low, high = np.quantile(values[1:], [0.025, 0.975])
    return Estimate(float(values[0]), float(low), float(high))
