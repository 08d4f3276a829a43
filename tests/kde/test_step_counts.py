import json
from pathlib import Path

import numpy as np
import pytest

from kde.errors import InputError
from kde.hazard import load_hazard
from kde.step_counts import estimate_generators, read_step_counts, save_hazards

GOOD = {"correct_steps": [3, 5, 4], "incorrect_steps": [1, 4], "accuracy": 0.9}


def test_the_authors_accuracies_are_reproduced(reference: Path) -> None:
    counts = read_step_counts(reference / "dynamics" / "math_train_transition_params.json")
    found = estimate_generators(counts, np.random.default_rng(0), max_steps=30)
    assert [round(one.accuracy.value, 4) for one in found.values()] == [0.8660, 0.9704, 0.9924]
    for name, one in found.items():
        assert one.accuracy.value == pytest.approx(counts[name].accuracy)
        assert one.accuracy.low < one.accuracy.value < one.accuracy.high
        assert one.traces == 7500


@pytest.mark.parametrize(
    ("generator", "predictor", "smoothed", "censored"),
    [("qwen2.5-1.5b-instruct", "slm", 0.13, 0.07), ("qwen2.5-7b-instruct", "llm", 0.06, 0.03)],
)
def test_the_authors_hazards_follow_as_far_as_their_counts_go(
    reference: Path, generator: str, predictor: str, smoothed: float, censored: float
) -> None:
    """Their counts hold the length of traces without a low score only; counting the others as lost sight of comes nearer."""
    folder = reference / "dynamics"
    counts = read_step_counts(folder / "math_train_transition_params.json")
    found = estimate_generators({generator: counts[generator]}, np.random.default_rng(0), max_steps=30)[generator]
    published = load_hazard(f"{folder / 'math_train_terminal_predictors.json'}:{predictor}")
    distances = [
        abs(_lengths(published) - _lengths(hazard)).sum() / 2 for hazard in (found.smoothed, found.kaplan_meier)
    ]
    assert distances[0] < smoothed
    assert distances[1] < censored < distances[0]


def test_the_published_hazard_is_the_published_mass_over_what_is_left(reference: Path) -> None:
    path = reference / "dynamics" / "math_train_terminal_predictors.json"
    for name, entry in json.loads(path.read_text()).items():
        mass = np.array(entry["pmf"])
        assert load_hazard(f"{path}:{name}")[1:] == pytest.approx(mass / mass[::-1].cumsum()[::-1])


def test_hazards_are_written_as_the_tables_read_them(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text(json.dumps({"weak": GOOD}))
    found = estimate_generators(read_step_counts(tmp_path / "c.json"), np.random.default_rng(0), max_steps=6)
    save_hazards(tmp_path / "h.json", found)
    assert load_hazard(f"{tmp_path / 'h.json'}:weak").tolist() == found["weak"].kaplan_meier.tolist()


@pytest.mark.parametrize(
    ("counts", "complaint"),
    [
        ({"correct_steps": []}, "correct_steps"),
        (GOOD | {"correct_steps": [0]}, "counted from 1"),
        (GOOD | {"incorrect_steps": [1.5]}, "incorrect_steps"),
        (GOOD | {"wrong_steps": []}, "wrong_steps"),
        ([], "weak"),
    ],
)
def test_bad_counts_are_named(tmp_path: Path, counts: object, complaint: str) -> None:
    (tmp_path / "c.json").write_text(json.dumps({"weak": counts}))
    with pytest.raises(InputError, match=complaint):
        read_step_counts(tmp_path / "c.json")


def _lengths(hazard: np.ndarray[tuple[int], np.dtype[np.float64]]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Distribution of the last step that a hazard implies."""
    return np.concatenate([[1.0], np.cumprod(1 - hazard)[:-1]]) * hazard
