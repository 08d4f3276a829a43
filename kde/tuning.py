"""Belief filters fitted to traces: the exponent and the features that predict held-out outcomes best.

Two things can be predicted: the final answer from the belief at the last step, and the class at every labelled step. p_w belongs to the
model and the problems, so it is fitted along with the filter, or held at a number that is known.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.optimize import fmin
from scipy.special import expit, logit

from kde.errors import InputError
from kde.filter import BAYES, MEMORYLESS, BeliefFilter, Features, FilterKind
from kde.quality import log_losses
from kde.samples import Array
from kde.sequences import ScoreSequences, last_beliefs, run_filter

Target = Callable[[Array, ScoreSequences], Array]
"""Log losses of beliefs [n, T, 3] on their sequences, one an item."""

_START_P_WEAK: Final = 0.9
_START_EXPONENT: Final = 0.7
_P_WEAK_RANGE: Final = (0.01, 0.999)
_EXPONENT_RANGE: Final = (0.01, 1.0)
_TOLERANCE: Final = 1e-2


@dataclass(frozen=True, slots=True)
class TunedFilter:
    """A filter, and the p_w with which it fits best.

    Attributes:
        filter: how beliefs follow from scores.
        p_weak: p_w it was run with; the memoryless filter has no use for it.
        log_loss: mean log loss on the traces that it was fitted to.
    """

    filter: BeliefFilter
    p_weak: float
    log_loss: float


def answer_losses(beliefs: Array, sequences: ScoreSequences) -> Array:
    """Log loss of b(S0) at the last step as the chance that the final answer is right, [n]."""
    right = last_beliefs(beliefs, sequences)[:, 0]
    return log_losses(np.where(_answers(sequences), right, 1 - right))


def step_losses(beliefs: Array, sequences: ScoreSequences) -> Array:
    """Log loss of the belief in the true class at every labelled step, [k]."""
    if sequences.classes is None:
        raise InputError("filter", field="labels", value=None, remedy="the steps of these traces are not labelled")
    present = sequences.present
    return log_losses(np.take_along_axis(beliefs[present], sequences.classes[present][:, None], axis=1)[:, 0])


def tune_filter(
    kind: FilterKind, cells: Array, sequences: ScoreSequences, target: Target, *, p_weak: float | None = None
) -> TunedFilter:
    """The filter of a kind with the least mean log loss on `sequences`.

    Args:
        kind: `MEMORYLESS` has nothing to fit, `BAYES` p_w, `TEMPERED` its features and exponent too.
        cells: [3, n_m, n_r], the observation model's.
        sequences: traces to fit to.
        target: what is predicted.
        p_weak: p_w if it is known.
    """
    match kind:
        case FilterKind.MEMORYLESS:
            return _with_p_weak(MEMORYLESS, cells, sequences, target, _START_P_WEAK if p_weak is None else p_weak)
        case FilterKind.BAYES:
            return tune_p_weak(BAYES, cells, sequences, target, p_weak=p_weak)
        case FilterKind.TEMPERED:
            tuned = [_tempered(features, cells, sequences, target, p_weak) for features in Features]
            return min(tuned, key=lambda one: one.log_loss)


def tune_p_weak(
    belief_filter: BeliefFilter,
    cells: Array,
    sequences: ScoreSequences,
    target: Target,
    *,
    p_weak: float | None = None,
) -> TunedFilter:
    """The filter as it is, with the p_w that fits best where it is not known."""
    if p_weak is not None:
        return _with_p_weak(belief_filter, cells, sequences, target, p_weak)

    def tuned(x: Array) -> TunedFilter:
        return _with_p_weak(belief_filter, cells, sequences, target, _within(_P_WEAK_RANGE, x[0]))

    return tuned(_least(lambda x: tuned(x).log_loss, np.array([logit(_START_P_WEAK)])))


def _tempered(
    features: Features, cells: Array, sequences: ScoreSequences, target: Target, p_weak: float | None
) -> TunedFilter:
    def tuned(x: Array) -> TunedFilter:
        belief_filter = BeliefFilter(
            kind=FilterKind.TEMPERED, features=features, exponent=_within(_EXPONENT_RANGE, x[0])
        )
        chance = _within(_P_WEAK_RANGE, x[1]) if p_weak is None else p_weak
        try:
            return _with_p_weak(belief_filter, cells, sequences, target, chance)
        except InputError:  # so small a power that no observation function has its posterior
            return TunedFilter(belief_filter, chance, float("inf"))

    start = np.array([logit(_START_EXPONENT), logit(_START_P_WEAK)][: 2 if p_weak is None else 1])
    return tuned(_least(lambda x: tuned(x).log_loss, start))


def _within(bounds: tuple[float, float], log_odds: float) -> float:
    """The number between the bounds at this log odds of the way."""
    low, high = bounds
    return float(low + (high - low) * expit(log_odds))


def _least(loss: Callable[[Array], float], start: Array) -> Array:
    """Where `loss` is least near `start`, in log odds; the first simplex is one unit wide."""
    simplex = np.vstack([start, start + np.eye(len(start))])
    found = fmin(loss, start, xtol=_TOLERANCE, ftol=1e-6, disp=False, initial_simplex=simplex)
    return np.asarray(found, dtype=np.float64)


def _with_p_weak(
    belief_filter: BeliefFilter, cells: Array, sequences: ScoreSequences, target: Target, p_weak: float
) -> TunedFilter:
    beliefs = run_filter(belief_filter, cells, sequences, p_weak=p_weak)
    return TunedFilter(belief_filter, p_weak, float(target(beliefs, sequences).mean()))


def _answers(sequences: ScoreSequences) -> Array:
    if sequences.answers is None:
        remedy = "these traces do not say whether their final answer is right"
        raise InputError("filter", field="final_answer_correct", value=None, remedy=remedy)
    return sequences.answers.astype(np.float64)
