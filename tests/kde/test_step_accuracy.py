from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from kde.filter import SCORES_ALONE
from kde.model import fit_observation_model
from kde.samples import Array, ClassSamples
from kde.sequences import ScoreSequences
from kde.step_accuracy import baum_welch, threshold_accuracy
from tests.conftest import synthetic_cells

OBSERVED = SCORES_ALONE.observation_cells(synthetic_cells(20, 20))
"""P(r | class): simulated scores need no consistent m."""


def simulated(accuracy: float, count: int, seed: int) -> ScoreSequences:
    """Traces of a generator whose steps are right with this probability, scored as OBSERVED says."""
    rng = np.random.default_rng(seed)
    lengths = -np.sort(-rng.integers(3, 10, count))
    wrong = rng.random((count, 9)) >= accuracy
    first = np.where(wrong.any(axis=1), wrong.argmax(axis=1), 9)[:, None]
    steps = np.arange(9)
    classes = np.where(steps < first, 0, np.where(steps == first, 2, 1))
    newest = OBSERVED.sum(axis=1)
    scores = np.ones((count, 9))
    for step_class in range(3):
        of_class = (classes == step_class) & (steps < lengths[:, None])
        scores[of_class] = (rng.choice(20, size=of_class.sum(), p=newest[step_class]) + 0.5) / 20
    return ScoreSequences(scores, lengths, np.arange(count), answers=first[:, 0] >= lengths)


def likelihood(sequences: ScoreSequences, accuracy: float) -> float:
    """Log likelihood of the traces by summing over the place of the first error, one number at a time."""
    newest = OBSERVED.sum(axis=1) / 20
    total = 0.0
    assert sequences.answers is not None
    for row, length, right in zip(sequences.scores, sequences.lengths, sequences.answers, strict=True):
        cells = [min(int(score * 20), 19) for score in row[:length]]
        parts = []
        for first in range(length + 1):
            if right is not np.bool_(first == length):
                continue
            classes = [0 if t < first else 2 if t == first else 1 for t in range(length)]
            evidence = np.prod([newest[c, cell] for c, cell in zip(classes, cells, strict=True)])
            parts.append(evidence * accuracy**first * ((1 - accuracy) if first < length else 1))
        total += np.log(sum(parts))
    return float(total)


@pytest.mark.parametrize("accuracy", [0.6, 0.9])
def test_baum_welch_finds_the_most_likely_accuracy(accuracy: float) -> None:
    sequences = simulated(accuracy, 60, seed=1)
    best = minimize_scalar(
        lambda p: -likelihood(sequences, p) - np.log(p * (1 - p)),
        bounds=(0.01, 0.99),
        method="bounded",
        options={"xatol": 1e-7},
    )
    assert baum_welch(OBSERVED, sequences, np.random.default_rng(0)).value == pytest.approx(float(best.x), abs=1e-5)


def fitted_to_other_traces(seed: int) -> Array:
    """P(r | class) of a density fitted to samples of other traces."""
    rng = np.random.default_rng(seed)
    newest = OBSERVED.sum(axis=1)
    drawn = [(rng.choice(20, size=1500, p=one) + rng.random(1500)) / 20 for one in newest]
    arrays = {f"S{k}": np.column_stack((rng.random(1500), one)) for k, one in enumerate(drawn)}
    model = fit_observation_model(ClassSamples.validated(arrays, source="drawn"))
    return SCORES_ALONE.observation_cells(model.cells)


@pytest.mark.parametrize("accuracy", [0.6, 0.75, 0.9])
def test_baum_welch_recovers_what_the_threshold_misses(accuracy: float) -> None:
    sequences, rng = simulated(accuracy, 2000, seed=2), np.random.default_rng(0)
    found = baum_welch(fitted_to_other_traces(1), sequences, rng)
    assert found.low < accuracy < found.high
    assert found.high - found.low < 0.05
    unanswered = baum_welch(fitted_to_other_traces(1), replace(sequences, answers=None), rng)
    assert abs(unanswered.value - accuracy) < 0.02
    naive = threshold_accuracy(sequences, rng)
    assert not naive.low < accuracy < naive.high


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    found = [baum_welch(OBSERVED, simulated(0.85, 150, seed), np.random.default_rng(seed)) for seed in range(60)]
    assert np.mean([one.low <= 0.85 <= one.high for one in found]) > 0.85


def test_the_threshold_takes_the_first_low_score_for_the_first_error() -> None:
    scores: Array = np.array([[0.9, 0.9, 0.1, 0.9], [0.9, 0.8, 1, 1], [0.2, 0.1, 1, 1]])
    sequences = ScoreSequences(scores, np.array([4, 2, 2]), np.arange(3))
    assert threshold_accuracy(sequences, np.random.default_rng(0)).value == (4 + 1) / (6 + 2)


def test_flawless_traces_do_not_claim_certainty() -> None:
    flawless = ScoreSequences(np.full((5, 3), 0.99), np.full(5, 3), np.arange(5), answers=np.ones(5, dtype=bool))
    found = baum_welch(OBSERVED, flawless, np.random.default_rng(0))
    assert found.value == pytest.approx(16 / 17)
