import json
from pathlib import Path

import pytest

from inference.lab import first_error, generate_problems
from inference.lab.cli import app
from kde.errors import InputError


def test_problems_are_jsonl_with_id_problem_and_answer(capsys: pytest.CaptureFixture[str]) -> None:
    app(["problems", "--count", "3", "--seed", "5"], result_action="return_value")
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert rows == [
        {"id": made.id, "problem": made.problem, "answer": made.answer} for made in generate_problems(3, seed=5)
    ]
    assert first_error(rows[0]["problem"], []) == -1


def test_problems_can_go_to_a_file(tmp_path: Path) -> None:
    out = tmp_path / "problems.jsonl"
    app(["problems", "--count", "3", "--out", str(out)], result_action="return_value")
    assert len(out.read_text().splitlines()) == 3


def test_a_file_that_cannot_be_written_is_the_users_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--out"):
        app(["problems", "--out", str(tmp_path / "missing" / "problems.jsonl")], result_action="return_value")


@pytest.mark.parametrize("command", ["problems", "train"])
def test_a_seed_out_of_range_is_the_users_error(command: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="seed"):
        app([command, "--seed", "-1", "--out", str(tmp_path / "out")], result_action="return_value")
