import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kde.quality import Forecasts, Resamples, as_document, measure_beliefs, measure_forecasts

rows = st.lists(
    st.tuples(st.floats(0, 1), st.booleans(), st.integers(0, 5), st.integers(0, 1)), min_size=4, max_size=40
)


def _measured(found: list[tuple[float, bool, int, int]]) -> tuple[Forecasts, Resamples]:
    chances, outcomes, problems, folds = (np.array(column) for column in zip(*found, strict=True))
    return Forecasts(chances, outcomes, folds), Resamples(problems, np.random.default_rng(0), resamples=40)


@given(rows)
def test_measures_agree_with_their_definitions(found: list[tuple[float, bool, int, int]]) -> None:
    forecasts, resamples = _measured(found)
    quality = measure_forecasts(forecasts, resamples)
    clipped = [min(max(p, 1e-3), 1 - 1e-3) for p, *_ in found]
    losses = [-np.log(p if y else 1 - p) for p, (_, y, *_) in zip(clipped, found, strict=True)]
    assert quality.log_loss.value == pytest.approx(np.mean(losses), abs=1e-9)
    assert quality.brier.value == pytest.approx(np.mean([(p - y) ** 2 for p, y, *_ in found]))
    bins: dict[int, list[tuple[float, bool]]] = {}
    for p, y, *_ in found:
        bins.setdefault(min(int(p * 10), 9), []).append((p, y))
    error = sum(abs(sum(p - y for p, y in one)) for one in bins.values()) / len(found)
    assert quality.calibration_error.value == pytest.approx(error)
    assert [one.count for one in quality.reliability] == [len(bins[b]) for b in sorted(bins)]
    pairs = [
        (p > other) + (p == other) / 2
        for p, y, _, fold in found
        for other, happened, _, other_fold in found
        if y and not happened and fold == other_fold
    ]
    if pairs:
        assert quality.auc is not None
        assert quality.auc.value == pytest.approx(np.mean(pairs))


def test_perfect_forecasts_are_perfect() -> None:
    outcomes = np.arange(40) % 2 == 0
    forecasts = Forecasts(outcomes.astype(np.float64), outcomes, np.zeros(40, dtype=np.int64))
    quality = measure_forecasts(forecasts, Resamples(np.arange(40), np.random.default_rng(0)))
    assert quality.auc is not None
    assert (quality.auc.value, quality.auc.low, quality.brier.high, quality.calibration_error.high) == (1, 1, 0, 0)


def test_intervals_resample_problems_not_items() -> None:
    values = np.repeat(np.random.default_rng(3).random(20), 50)
    apart = Resamples(np.arange(1000), np.random.default_rng(0)).mean(values)
    together = Resamples(np.arange(1000) // 50, np.random.default_rng(0)).mean(values)
    assert apart.value == pytest.approx(together.value)
    assert together.high - together.low > 4 * (apart.high - apart.low)


def test_beliefs_are_measured_against_the_true_class() -> None:
    beliefs = np.array([[0.7, 0.1, 0.2], [0.2, 0.5, 0.3], [0.9, 0.05, 0.05]])
    quality = measure_beliefs(
        beliefs, np.array([0, 1, 0]), np.zeros(3, dtype=np.int64), Resamples(np.arange(3), np.random.default_rng(0))
    )
    assert quality.log_loss.value == pytest.approx(-np.log([0.7, 0.5, 0.9]).mean())
    assert set(quality.by_class) == {"S0", "S1"}
    assert quality.log_loss_by_class["S1"].value == pytest.approx(-np.log(0.5))


def test_what_is_not_defined_is_null_in_documents() -> None:
    assert as_document({"a": (1.0, float("nan")), "b": np.array([1.0])}) == {"a": [1.0, None], "b": [1.0]}
