import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kde.errors import InputError
from kde.hazard import kaplan_meier, load_hazard, smoothed_hazard


@given(st.lists(st.integers(1, 12), min_size=1))
def test_the_hazard_gives_back_the_distribution_of_last_steps(ends: list[int]) -> None:
    hazard = kaplan_meier(ends, max_steps=12)
    survival = np.concatenate([[1.0], np.cumprod(1 - hazard)[:-1]])
    shares = np.bincount(ends, minlength=13)[1:] / len(ends)
    assert survival * hazard == pytest.approx(shares, abs=1e-12)
    assert hazard[-1] == 1


def test_steps_after_the_longest_answer_end_it() -> None:
    assert kaplan_meier([1, 2, 2], max_steps=5).tolist() == [1 / 3, 1, 1, 1, 1]


@pytest.mark.parametrize("ends", [[], [0], [6]])
def test_answers_end_within_the_limit(ends: list[int]) -> None:
    with pytest.raises(InputError, match="last step"):
        kaplan_meier(ends, max_steps=5)


def test_the_authors_predictors_are_read(reference: Path) -> None:
    hazard = load_hazard(f"{reference / 'dynamics' / 'math_train_terminal_predictors.json'}:slm")
    assert len(hazard) == 30
    assert (hazard[0], hazard[-1]) == (0.0, 1.0)
    assert hazard[1] == pytest.approx(0.0278872870)


@pytest.mark.parametrize(
    ("key", "complaint"),
    [
        ("negative", r"hazard\[1\]"),
        ("endless", r"hazard\[2\]"),
        ("nan", r"hazard\[1\]"),
        ("gap", "every step"),
        ("absent", "it holds"),
        ("empty", "one probability"),
        ("words", "list of numbers"),
        ("ragged", "list of numbers"),
        ("number", "list of numbers"),
        ("short", "max_steps"),
    ],
)
def test_bad_hazards_are_named(tmp_path: Path, key: str, complaint: str) -> None:
    hazards = {
        "negative": [-0.1, 1.0],
        "endless": [0.1, 0.9],
        "nan": [float("nan"), 1.0],
        "gap": {"max_steps": 4, "probs_dict": {"1": 0.1, "3": 0.2}},
        "empty": [],
        "words": ["a", 1],
        "ragged": [[0.1], 1],
        "number": 3,
        "short": {"max_steps": -5, "probs_dict": {}},
    }
    (tmp_path / "h.json").write_text(json.dumps(hazards))
    with pytest.raises(InputError, match=complaint):
        load_hazard(f"{tmp_path / 'h.json'}:{key}")


@pytest.mark.parametrize("reference_text", ["no-colon", "absent.json:slm", ""])
def test_a_bad_reference_says_how_to_write_it(reference_text: str) -> None:
    with pytest.raises(InputError, match="FILE.json:KEY"):
        load_hazard(reference_text)


@given(st.lists(st.tuples(st.integers(1, 8), st.booleans()), min_size=1))
def test_answers_lost_sight_of_count_until_then(seen: list[tuple[int, bool]]) -> None:
    ends = [step for step, complete in seen if complete]
    lost = [step for step, complete in seen if not complete]
    if not ends:
        with pytest.raises(InputError, match="at least one complete"):
            kaplan_meier(ends, max_steps=8, censored=lost)
        return
    hazard = kaplan_meier(ends, max_steps=8, censored=lost)
    for step in range(1, 8):
        reaching = sum(end >= step for end in ends) + sum(loss > step for loss in lost)
        expected = ends.count(step) / reaching if reaching and step <= max(ends) else 1
        assert hazard[step - 1] == (expected if step <= max(ends) else 1)


def test_the_smoothed_hazard_is_the_kernel_density_of_the_last_steps() -> None:
    ends = np.array([1, 3, 3, 4, 7, 40], dtype=np.float64)
    moved = np.clip(ends, 2, 10)
    width = 0.1 * moved.std(ddof=1)
    mass = np.array([np.exp(-(((step - moved) / width) ** 2) / 2).sum() for step in range(2, 11)])
    mass /= mass.sum()
    expected = [0.0] + [mass[k] / mass[k:].sum() for k in range(8)] + [1.0]
    assert smoothed_hazard(ends, max_steps=10) == pytest.approx(expected)


def test_smoothing_needs_answers_of_different_lengths() -> None:
    with pytest.raises(InputError, match="kaplan-meier"):
        smoothed_hazard([4, 4, 4], max_steps=9)


def test_nothing_is_left_after_short_answers() -> None:
    hazard = smoothed_hazard([2, 3, 3], max_steps=30)
    assert np.isfinite(hazard).all()
    assert hazard[[0, 3, 29]].tolist() == [0, 1, 1]
