from pathlib import Path

import numpy as np
import pytest

from kde.dynamics import Dynamics, labelled_dynamics
from kde.errors import InputError
from kde.step_accuracy import labelled_accuracy
from kde.tokens import fit_tokens
from kde.traces import LabelledTrace


def _trace(name: str, label: int, tokens: list[int] | None) -> LabelledTrace:
    steps = ["x"] * (len(tokens) if tokens else 2)
    return LabelledTrace(
        id=name, generator="g", problem=name, steps=steps, final_answer_correct=label == -1, label=label, tokens=tokens
    )


WEAK = [_trace("a", -1, [10, 20, 30]), _trace("b", 1, [10, 40]), _trace("c", 0, [50, 10, 10, 10])]
STRONG = [_trace("a", -1, [25, 45, 65]), _trace("b", -1, [25, 85])]


def test_step_accuracy_counts_steps_up_to_the_first_error() -> None:
    assert labelled_accuracy(WEAK, np.random.default_rng(0)).value == (4 + 1) / (4 + 2 + 2)


def test_the_token_model_finds_the_line_and_keeps_the_mean_length() -> None:
    tokens = fit_tokens(WEAK, STRONG, bins=3)
    assert (tokens.strong_intercept, tokens.strong_slope) == pytest.approx((5, 2), abs=1e-6)
    mean = sum(c * w for c, w in zip(tokens.counts, tokens.weights, strict=True))
    assert mean == pytest.approx(190 / 9)
    assert sum(tokens.weights) == pytest.approx(1)


def test_constant_lengths_have_no_slope() -> None:
    tokens = fit_tokens([_trace("a", -1, [7, 7])], [_trace("a", -1, [9, 11])], bins=5)
    assert (tokens.counts, tokens.weights) == ((7.0,), (1.0,))
    assert (tokens.strong_intercept, tokens.strong_slope) == (10.0, 0.0)


def test_a_line_that_would_start_below_zero_goes_through_it() -> None:
    weak, strong = [_trace("a", -1, [10, 20, 30])], [_trace("a", -1, [10, 35, 60])]
    tokens = fit_tokens(weak, strong, bins=2)
    assert tokens.strong_intercept == pytest.approx(0, abs=1e-6)
    assert tokens.strong_slope == pytest.approx((100 + 700 + 1800) / (100 + 400 + 900))


def test_token_counts_and_shared_problems_are_needed() -> None:
    with pytest.raises(InputError, match="tokens"):
        fit_tokens([_trace("a", -1, None)], STRONG, bins=2)
    with pytest.raises(InputError, match="share problems"):
        fit_tokens(WEAK, [_trace("z", -1, [1])], bins=2)


def test_dynamics_come_back_from_their_file(tmp_path: Path) -> None:
    dynamics = labelled_dynamics(WEAK, STRONG, max_steps=6)
    dynamics.save(tmp_path / "d.json")
    assert Dynamics.load(tmp_path / "d.json") == dynamics


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('"p_weak": 0.625', '"p_weak": 1.5', "p_weak"),
        ('"p_weak"', '"p_weka"', "p_weak|p_weka"),
        ("{", "", "JSON"),
        ('"weights"', '"wights"', "tokens.w"),
    ],
)
def test_a_bad_file_names_its_field(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    path = tmp_path / "d.json"
    labelled_dynamics(WEAK, STRONG).save(path)
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(InputError, match=complaint):
        Dynamics.load(path)


def test_all_candidates_of_a_problem_are_paired() -> None:
    strong = [_trace("a", -1, [25, 45, 65]), _trace("a", -1, [27, 47, 67]).model_copy(update={"problem": " A"})]
    tokens = fit_tokens([_trace("a", -1, [10, 20, 30])], strong, bins=2)
    assert (tokens.strong_intercept, tokens.strong_slope) == pytest.approx((6, 2), abs=0.01)
