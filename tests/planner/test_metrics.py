from dataclasses import replace

import numpy as np
import pytest

from kde.errors import InputError
from planner.metrics import Outcome, measure


def _outcomes(count: int = 400) -> dict[str, Outcome]:
    rng = np.random.default_rng(0)
    difficulty = rng.random(count)
    ids = tuple(map(str, range(count)))
    return {
        "weak": Outcome(ids, (difficulty < 0.4).astype(float), np.zeros(count)),
        "strong": Outcome(ids, (difficulty < 0.9).astype(float), np.full(count, 100.0)),
        "half": Outcome(ids, (difficulty < 0.65).astype(float), np.where(difficulty < 0.5, 10.0, 30.0)),
    }


def test_metrics_by_hand() -> None:
    outcomes = _outcomes()
    measured = measure(outcomes, weak="weak", strong="strong", rng=np.random.default_rng(1))
    half, weak, strong = (outcomes[name].correct.mean() for name in ("half", "weak", "strong"))
    assert measured["half"].accuracy.estimate == pytest.approx(half)
    assert measured["half"].c.estimate == pytest.approx(outcomes["half"].strong_tokens.mean() / 100)
    assert measured["half"].pgr.estimate == pytest.approx((half - weak) / (strong - weak))
    assert (measured["weak"].pgr.estimate, measured["strong"].pgr.estimate) == (0, 1)


def test_intervals_hold_the_estimate_and_shrink_with_more_problems() -> None:
    widths = []
    for count in (200, 5000):
        measured = measure(_outcomes(count), weak="weak", strong="strong", rng=np.random.default_rng(1))
        accuracy = measured["half"].accuracy
        assert accuracy.low < accuracy.estimate < accuracy.high
        binomial = np.sqrt(accuracy.estimate * (1 - accuracy.estimate) / count)
        assert accuracy.high - accuracy.low == pytest.approx(2 * 1.96 * binomial, rel=0.1)
        widths.append(measured["half"].pgr.high - measured["half"].pgr.low)
    assert widths[1] < widths[0] / 3


def test_there_must_be_a_gap_and_the_same_problems() -> None:
    outcomes = _outcomes()
    with pytest.raises(InputError, match="gap"):
        measure(
            {"weak": outcomes["weak"], "strong": outcomes["weak"]},
            weak="weak",
            strong="strong",
            rng=np.random.default_rng(1),
        )
    other = replace(outcomes["half"], problems=outcomes["half"].problems[::-1])
    with pytest.raises(InputError, match="problems"):
        measure(outcomes | {"half": other}, weak="weak", strong="strong", rng=np.random.default_rng(1))
