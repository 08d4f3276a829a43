"""How good probabilities are: proper scores, ranking and calibration, with bootstrap intervals over problems.

Probabilities are clipped to [0.001, 0.999] before the logarithm; calibration is measured in ten bins of equal width.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from kde.samples import Array, Groups, StepClass

CLIP: Final = 1e-3
BINS: Final = 10
RESAMPLES: Final = 500
_INTERVAL: Final = (2.5, 97.5)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A measured number with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Forecasts of one bin: how many, their mean, and how often the event came true (bootstrap interval)."""

    count: int
    forecast: float
    frequency: Estimate


@dataclass(frozen=True, slots=True)
class Forecasts:
    """Probabilities of a yes-or-no event.

    Attributes:
        chances: float64 [n].
        outcomes: bool [n], whether it happened.
        folds: int64 [n], which forecaster each is from; ranks are compared among forecasts of one forecaster only.
    """

    chances: Array
    outcomes: NDArray[np.bool_]
    folds: Groups


@dataclass(frozen=True, slots=True)
class Quality:
    """Quality of forecasts.

    Attributes:
        log_loss: mean negative log probability of what happened (nats).
        brier: mean squared error.
        auc: area under the ROC curve; None where all outcomes are alike.
        calibration_error: expected calibration error.
        reliability: the bins that hold forecasts, ascending.
    """

    log_loss: Estimate
    brier: Estimate
    auc: Estimate | None
    calibration_error: Estimate
    reliability: tuple[ReliabilityBin, ...]


@dataclass(frozen=True, slots=True)
class ClassQuality:
    """Quality of beliefs over the three classes at labelled steps.

    Attributes:
        log_loss: mean negative log belief in the true class.
        brier: mean squared distance from the true class.
        log_loss_by_class: the first by true class; classes that never occur are absent.
        by_class: each class against the others; classes that never occur are absent.
    """

    log_loss: Estimate
    brier: Estimate
    log_loss_by_class: Mapping[str, Estimate]
    by_class: Mapping[str, Quality]


def log_losses(chances_of_truth: Array) -> Array:
    """Negative log of the probabilities that the truth was given, clipped."""
    return np.asarray(-np.log(np.clip(chances_of_truth, CLIP, 1 - CLIP)), dtype=np.float64)


class Resamples:
    """Bootstrap resamples of problems; the same ones for everything that is measured with them."""

    def __init__(self, problems: Groups, rng: np.random.Generator, *, resamples: int = RESAMPLES) -> None:
        """`problems` [n] numbers the problem of every item."""
        _, self._problem = np.unique(problems, return_inverse=True)
        count = int(self._problem.max()) + 1
        drawn = rng.multinomial(count, np.full(count, 1 / count), size=resamples)
        self._draws = np.vstack([np.ones(count), drawn])  # the sample itself comes first

    def mean(self, values: Array, weights: Array | NDArray[np.bool_] | None = None) -> Estimate:
        """Mean of `values` [n], weighted where `weights` [n] are given."""
        kept = np.ones(len(values)) if weights is None else weights.astype(np.float64)
        totals = self._draws @ self._by_problem(kept)
        return _estimate(_ratio(self._draws @ self._by_problem(kept * values), totals))

    def calibration_error(self, forecasts: Forecasts) -> Estimate:
        """Expected calibration error: mean over the bins, by weight, of |mean forecast - frequency|."""
        excess = forecasts.chances - forecasts.outcomes
        bins = bin_of(forecasts.chances)
        by_bin = np.stack([self._by_problem(excess * (bins == number)) for number in range(BINS)])
        totals = self._draws @ self._by_problem(np.ones(len(bins)))
        return _estimate(abs(self._draws @ by_bin.T).sum(axis=1) / totals)

    def area_under_curve(self, forecasts: Forecasts) -> Estimate:
        """Probability that an item that happened got a larger chance than one of its fold that did not, ties counting half."""
        keys, place = np.unique(np.column_stack((forecasts.folds, forecasts.chances)), axis=0, return_inverse=True)
        starts = np.searchsorted(keys[:, 0], keys[:, 0])  # the first key of each key's fold
        ends = np.searchsorted(keys[:, 0], keys[:, 0], side="right")
        happened = forecasts.outcomes.astype(np.float64)

        def area(draw: Array) -> float:
            weights = draw[self._problem]
            positive, negative = (np.bincount(place, weights * one, len(keys)) for one in (happened, 1 - happened))
            below = np.concatenate([[0.0], negative.cumsum()])
            pairs = positive @ (below[ends] - below[starts])
            won = positive @ (below[1:] - negative / 2 - below[starts])
            return float(won / pairs) if pairs > 0 else np.nan

        return _estimate(np.array([area(draw) for draw in self._draws]))

    def _by_problem(self, values: Array) -> Array:
        return np.bincount(self._problem, weights=values).astype(np.float64)


def bin_of(chances: Array) -> Groups:
    """Number of the bin that each chance falls into, [n]."""
    return np.minimum((chances * BINS).astype(np.int64), BINS - 1)


def measure_forecasts(forecasts: Forecasts, resamples: Resamples) -> Quality:
    """Quality of forecasts; `resamples` are of their problems."""
    chances, outcomes = forecasts.chances, forecasts.outcomes
    bins = bin_of(chances)
    reliability = tuple(
        ReliabilityBin(
            count=int((bins == number).sum()),
            forecast=float(chances[bins == number].mean()),
            frequency=resamples.mean(outcomes.astype(np.float64), weights=bins == number),
        )
        for number in np.unique(bins)
    )
    return Quality(
        log_loss=resamples.mean(log_losses(np.where(outcomes, chances, 1 - chances))),
        brier=resamples.mean((chances - outcomes) ** 2),
        auc=resamples.area_under_curve(forecasts) if 0 < outcomes.sum() < len(outcomes) else None,
        calibration_error=resamples.calibration_error(forecasts),
        reliability=reliability,
    )


def measure_beliefs(beliefs: Array, classes: Groups, folds: Groups, resamples: Resamples) -> ClassQuality:
    """Quality of beliefs [k, 3] by the forecasters `folds` [k] of true classes [k]; `resamples` are of their problems."""
    truth = np.eye(3)[classes]
    losses = log_losses((beliefs * truth).sum(axis=1))
    present = [c for c in StepClass if (classes == c).any()]
    return ClassQuality(
        log_loss=resamples.mean(losses),
        brier=resamples.mean(((beliefs - truth) ** 2).sum(axis=1)),
        log_loss_by_class={c.key: resamples.mean(losses, weights=classes == c) for c in present},
        by_class={c.key: measure_forecasts(Forecasts(beliefs[:, c], classes == c, folds), resamples) for c in present},
    )


def as_document(value: Any) -> Any:
    """Measurements as JSON values; what is not defined is null."""
    match value:
        case float():
            document: Any = value if np.isfinite(value) else None
        case Mapping():
            document = {key: as_document(entry) for key, entry in value.items()}
        case tuple() | list():
            document = [as_document(entry) for entry in value]
        case np.ndarray():
            document = as_document(value.tolist())
        case BaseModel():
            document = value.model_dump(mode="json")
        case _ if is_dataclass(value):
            document = {one.name: as_document(getattr(value, one.name)) for one in fields(value)}
        case _:
            document = value
    return document


def _ratio(parts: Array, totals: Array) -> Array:
    return np.divide(parts, totals, out=np.full_like(totals, np.nan), where=totals > 0)


def _estimate(values: Array) -> Estimate:
    """From the value on the sample itself, first, and on its resamples; those where it is undefined do not count."""
    defined = values[1:][~np.isnan(values[1:])]
    low, high = np.percentile(defined, _INTERVAL) if len(defined) else (np.nan, np.nan)
    return Estimate(float(values[0]), float(low), float(high))
