"""The PRM as a test of the final answer."""

import json
from pathlib import Path

import polars as pl
import pytest

from inference.evaluate.verifier import measure_verifier

LEAST = {"a": 0.9, "b": 0.2, "c": 0.5, "d": 0.5, "e": 0.7}
CORRECT = {"a": True, "b": None, "c": True, "d": False, "e": False}


def write(path: Path, seed: int) -> Path:
    rows = ({"problem_id": name, "scores": [1.0, least, 0.95]} for name, least in LEAST.items())
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path.rename(path.with_name(f"weak-{seed}.jsonl"))


def episodes(*seeds: int) -> dict[str, pl.DataFrame]:
    rows = [{"seed": seed, "problem_id": name, "correct": right} for seed in seeds for name, right in CORRECT.items()]
    return {"weak": pl.DataFrame(rows)}


def test_the_area_is_the_share_of_pairs_in_order(tmp_path: Path) -> None:
    found = measure_verifier(episodes(0), {0: write(tmp_path / "s", 0)})
    assert found.traces == 5
    assert found.auc is not None
    assert found.auc.value == pytest.approx((3 + 1 + 0.5) / 6)  # a beats b, d, e; c beats b, ties with d, loses to e
    assert found.least_right is not None
    assert found.least_wrong is not None
    assert found.least_right.value == pytest.approx(0.7)
    assert found.least_wrong.value == pytest.approx((0.2 + 0.5 + 0.7) / 3)


def test_seeds_of_a_problem_are_drawn_together(tmp_path: Path) -> None:
    once = measure_verifier(episodes(0), {0: write(tmp_path / "s", 0)})
    twice = measure_verifier(episodes(0, 1), {seed: write(tmp_path / "s", seed) for seed in (0, 1)})
    assert twice.traces == 10
    assert twice.auc == once.auc


def test_answers_that_are_all_alike_have_no_area(tmp_path: Path) -> None:
    alike = {"weak": episodes(0)["weak"].with_columns(correct=pl.lit(value=True))}
    found = measure_verifier(alike, {0: write(tmp_path / "s", 0)})
    assert (found.auc, found.least_wrong) == (None, None)
