"""From a target to a setting, on studies whose truth is planted."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cyclopts import ValidationError

from inference.evaluate.calibrate_cli import app
from inference.evaluate.calibrated_policy import CalibratedPolicy, calibrated_at
from inference.evaluate.calibration import halves
from inference.route_cli import app as route
from kde.errors import ArtefactError, InputError
from tests.inference.evaluate.made_studies import make_study

SWEPT = {
    "thr:0.2": (0.2, 0.2),
    "thr:0.5": (0.5, 0.5),
    "thr:0.9": (0.9, 0.9),
    "pomdp:0.001": (0.6, 0.9),
    "pomdp:0.004": (0.3, 0.7),
    "pomdp:0.016": (0.1, 0.3),
    "specreason:3": (0.1, 0.3),
    "specreason:7": (0.4, 0.8),
    "random:0.3:7": (0.3, 0.3),
}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_study(tmp_path_factory.mktemp("made") / "study", SWEPT).out


def calibrate(study: Path, capsys: pytest.CaptureFixture[str], out: Path, *options: str) -> dict[str, Any]:
    app([str(study), "--out", str(out), "--json", *options], result_action="return_value")
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert told == json.loads(out.read_text())
    return told


def test_a_threshold_lies_between_two_that_were_run(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = calibrate(study, capsys, tmp_path / "p.json", "--family", "thr", "--target-cost", "0.32")
    assert told["policy"] == "thr:0.32"
    assert told["between"] == ["thr:0.2", "thr:0.5"]
    assert told["table_hashes"] == []
    assert told["fitted"]["c"] == pytest.approx({"value": 0.32, "low": 0.32, "high": 0.32})
    held_out = told["held_out"]
    assert (told["fitted"]["problems"], held_out["problems"]) == (100, 100)
    assert held_out["pgr"]["low"] < 0.32 < held_out["pgr"]["high"]
    below = calibrate(study, capsys, tmp_path / "q.json", "--family", "thr", "--target-cost", "0.1")
    assert (below["policy"], below["between"]) == ("thr:0.1", ["weak", "thr:0.2"])


def test_a_gain_is_reached_where_it_was_chosen_and_judged_where_it_was_not(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = calibrate(study, capsys, tmp_path / "p.json", "--family", "thr", "--target-pgr", "0.4")
    assert told["fitted"]["pgr"]["value"] >= 0.4
    assert told["fitted"]["pgr"]["value"] == pytest.approx(0.4, abs=1e-3)
    setting = told["setting"]
    assert setting["low"] < setting["value"] < setting["high"]
    assert 0.2 < setting["value"] < 0.6
    assert told["verdict"] == "within the interval"


def test_a_lambda_is_one_of_those_that_were_run(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    within = calibrate(study, capsys, tmp_path / "p.json", "--family", "pomdp", "--target-cost", "0.5")
    assert (within["policy"], within["between"], within["verdict"]) == ("pomdp:0.004", None, "met")
    assert within["table_hashes"] == ["table"]
    reached = calibrate(study, capsys, tmp_path / "q.json", "--family", "pomdp", "--target-pgr", "0.8")
    assert reached["policy"] == "pomdp:0.001"
    points = calibrate(study, capsys, tmp_path / "r.json", "--family", "specreason", "--target-cost", "0.2")
    assert (points["policy"], points["between"]) == ("specreason:3", None)


def test_a_target_that_is_met_but_for_rounding_is_met(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = make_study(tmp_path / "study", {"pomdp:0.001": (0.6, 1.0), "pomdp:0.004": (0.3, 0.7)}).out
    for seed in range(8):
        ask = ("--family", "pomdp", "--target-pgr", "1", "--seed", str(seed))
        told = calibrate(study, capsys, tmp_path / "p.json", *ask)
        assert (told["policy"], told["setting"]["low"], told["setting"]["high"]) == ("pomdp:0.001", 0.001, 0.001)
        assert told["verdict"] == "met"


def test_a_rounded_setting_stays_between_those_that_were_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = make_study(tmp_path / "study", {"thr:0.99991": (0.2, 0.2), "thr:0.99999": (0.9, 0.9)}).out
    told = calibrate(study, capsys, tmp_path / "p.json", "--family", "thr", "--target-cost", "0.21")
    assert (told["policy"], told["between"]) == ("thr:0.99991", None)
    assert told["fitted"]["c"]["value"] == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--family", "thr", "--target-cost", "0.95"), "reaches 0 to 0.9"),
        (("--family", "pomdp", "--target-cost", "0.05"), "reaches 0.1 to 0.6"),
        (("--family", "agg", "--target-cost", "0.5"), "the study has pomdp, random, specreason, thr"),
        (("--family", "random", "--target-cost", "0.2"), "one number"),
        (("--family", "thr"), "give one of --target-cost and --target-pgr"),
        (("--family", "thr", "--target-cost", "0.2", "--target-pgr", "0.2"), "give one of"),
    ],
)
def test_what_cannot_be_met_is_refused(study: Path, tmp_path: Path, options: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        app([str(study), "--out", str(tmp_path / "p.json"), *options], result_action="return_value")
    assert not (tmp_path / "p.json").exists()


def test_another_study_may_check_if_its_problems_had_no_say(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    costlier = {policy: (1.5 * c, pgr) for policy, (c, pgr) in SWEPT.items() if policy.startswith("pomdp")}
    other = make_study(tmp_path / "other", costlier, stream=1).out
    ask = ("--family", "pomdp", "--target-cost", "0.4", "--check")
    told = calibrate(study, capsys, tmp_path / "p.json", *ask, str(other))
    assert (told["fitted"]["problems_of"], told["held_out"]["problems_of"]) == ("study", "other")
    assert (told["fitted"]["problems"], told["held_out"]["problems"]) == (200, 200)
    assert told["held_out"]["c"]["value"] == pytest.approx(0.45)
    assert told["verdict"] == "missed"
    with pytest.raises(InputError, match="200 problems are in both"):
        calibrate(study, capsys, tmp_path / "q.json", *ask, str(study))
    without = make_study(tmp_path / "without", {}, stream=2).out
    with pytest.raises(InputError, match=r"evaluate pomdp:0\.004 there too"):
        calibrate(study, capsys, tmp_path / "q.json", *ask, str(without))


def test_halves_do_not_overlap_and_go_by_the_problems_alone() -> None:
    problems = [f"p{place}" for place in range(101)]
    first = halves(problems, seed=0)
    assert first.sum() == 51
    assert halves(problems[::-1], seed=0).tolist() == first[::-1].tolist()
    assert (first != halves(problems, seed=1)).any()
    assert 10 < np.flatnonzero(first).std() < 50


def test_the_file_says_the_policy_to_route_by(study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "p.json"
    calibrate(study, capsys, place, "--family", "thr", "--target-cost", "0.32")
    calibrated = calibrated_at(f"@{place}")
    assert calibrated == CalibratedPolicy.load(place)
    assert calibrated is not None
    assert calibrated.policy == "thr:0.32"
    calibrated.check_table("")
    assert calibrated_at("thr:0.5") is None
    place.write_text(place.read_text().replace('"wanted"', '"wished"'))
    with pytest.raises(ArtefactError, match="name what `trim calibrate` wrote"):
        calibrated_at(f"@{place}")


def test_only_the_table_that_it_was_calibrated_with_may_decide(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "p.json"
    calibrate(study, capsys, place, "--family", "pomdp", "--target-cost", "0.4")
    calibrated = CalibratedPolicy.load(place)
    for table_hash in calibrated.table_hashes:
        calibrated.check_table(table_hash)
    asked = ["--lab", "--problems", "1", "--policy", f"@{place}", "--out", str(tmp_path / "run")]
    with pytest.raises(InputError, match="calibrated with table: name its directory by --tables"):
        route(asked, result_action="return_value")
    assert not (tmp_path / "run").exists()


def test_a_seed_that_no_generator_takes_is_refused(study: Path, tmp_path: Path) -> None:
    asked = [str(study), "--family", "thr", "--target-cost", "0.3", "--seed", "-1", "--out", str(tmp_path / "p.json")]
    with pytest.raises(ValidationError, match="Must be >= 0"):
        app(asked, exit_on_error=False, print_error=False)


def test_people_get_a_table(study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--family", "thr", "--target-cost", "0.32", "--out", str(tmp_path / "p.json")]
    app([str(study), *options], result_action="return_value")
    shown = capsys.readouterr().out
    assert "Interpolated between thr:0.2 and thr:0.5" in shown
    assert "100 of study" in shown
