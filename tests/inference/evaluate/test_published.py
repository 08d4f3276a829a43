"""The authors' released sweeps, and what is measured on them."""

import json
from pathlib import Path

import pytest

from inference.evaluate.published import read_published
from inference.evaluate.report_cli import app
from kde.errors import InputError

THRESHOLDS = [(0.0, 0.4, 0.0), (0.5, 0.6, 100.0), (0.7, 0.55, 150.0), (0.8, 0.7, 200.0), (1.0, 0.8, 500.0)]
PRICES = [(0.1, 0.7, 90.0), (0.9, 0.5, 20.0)]


def write(path: Path, parameter: str, rows: list[tuple[float, float, float]]) -> None:
    named = (
        {parameter: setting, "accuracy": accuracy, "avg_target_tokens_per_question": tokens, "num_correct": 1}
        for setting, accuracy, tokens in rows
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in named))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "trim_thr_toy.jsonl", "threshold", THRESHOLDS)
    write(tmp_path / "trim_pomdp_toy.jsonl", "cost_per_token", PRICES)
    return tmp_path


def test_metrics_are_read_from_the_monotone_envelope(folder: Path) -> None:
    (benchmark,) = read_published(folder)
    thresholds, prices = benchmark.sweeps
    assert thresholds.cpt_tokens(0.5) == pytest.approx(100)
    assert thresholds.cpt_tokens(0.75) == pytest.approx(200)  # flat from 100 to 150, where accuracy fell
    assert thresholds.accuracy_within(0.3) == pytest.approx(0.6)
    assert thresholds.accuracy_within(0.35) == pytest.approx(0.65)
    assert prices.cpt_tokens(0.75) == pytest.approx(90)
    assert prices.cpt_tokens(0.95) is None
    assert prices.document()["cpt"]["95%"] == {"strong_tokens": None, "c": None}


def test_the_released_sweeps_have_the_known_costs(
    reference: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    app(
        ["--published", str(reference / "sweeps"), "--out", str(tmp_path / "out"), "--json"],
        result_action="return_value",
    )
    told = json.loads(capsys.readouterr().out)
    thresholds, prices = told["published"][0]["sweeps"]
    assert [thresholds["cpt"][x]["strong_tokens"] for x in ("50%", "80%", "95%")] == pytest.approx(
        [97.5, 160.8, 216.8], abs=0.05
    )
    assert prices["cpt"]["80%"]["strong_tokens"] < thresholds["cpt"]["80%"]["strong_tokens"]
    (picture,) = told["pictures"]
    assert Path(picture).read_bytes().startswith(b"\x89PNG")


def test_people_get_a_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    app(["--published", str(folder)], result_action="return_value")
    shown = capsys.readouterr().out
    assert "Published by the paper's authors: toy" in shown
    assert "not reached" in shown


@pytest.mark.parametrize("left_out", [0.0, 1.0])
def test_both_ends_must_be_there(tmp_path: Path, left_out: float) -> None:
    write(tmp_path / "trim_thr_toy.jsonl", "threshold", [row for row in THRESHOLDS if row[0] != left_out])
    with pytest.raises(InputError, match="thresholds 0 and 1 are the two models alone"):
        read_published(tmp_path)


def test_there_must_be_a_gap(tmp_path: Path) -> None:
    write(tmp_path / "trim_thr_toy.jsonl", "threshold", [*THRESHOLDS[:-1], (1.0, 0.4, 500.0)])
    with pytest.raises(InputError, match="M_s alone must be better"):
        read_published(tmp_path)


@pytest.mark.parametrize(
    "content", ["", "{}\n", '{"threshold": 0, "accuracy": NaN, "avg_target_tokens_per_question": 1}\n']
)
def test_a_damaged_file_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "trim_thr_toy.jsonl").write_text(content)
    with pytest.raises(InputError, match=r"trim_thr_toy\.jsonl"):
        read_published(tmp_path)


def test_a_folder_without_sweeps_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="trim_thr_BENCHMARK"):
        read_published(tmp_path)
