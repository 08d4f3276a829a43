"""Grades of a study's open answers: judged once, kept, and counted as wrong where nobody can tell."""

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from inference.evaluate.grades import grade, graded, read_grades
from inference.grading import is_correct
from inference.problems import Problem
from inference.records import read_episodes, write_part
from kde.errors import InputError
from tests.inference.made_episodes import MADE

PROBLEMS = [Problem(id=name, problem="?", answer=answer) for name, answer in (("a", "2"), ("b", "[1,2)"), ("c", "7"))]
BOXED = {"a": ("2", "\\sqrt{4}", "3", "4-2"), "b": ("[1,2)", "[1,2]", "[1,2)", "?!"), "c": ("7", "8", "x=7", "?!")}


def recorded(folder: Path) -> pl.DataFrame:
    """What four policies answered, graded as an episode is."""
    frames = []
    for place in range(4):
        episodes = []
        for problem in PROBLEMS:
            solution = f"so \\boxed{{{BOXED[problem.id][place]}}}"
            episodes.append(
                replace(
                    MADE,
                    problem_id=problem.id,
                    policy=f"thr:0.{place}",
                    solution=solution,
                    correct=is_correct(problem.answer or "", solution),
                )
            )
        write_part(folder / str(place), episodes)
        frames.append(read_episodes(folder / str(place)))
    return pl.concat(frames)


def test_open_answers_are_judged_once_and_kept(tmp_path: Path) -> None:
    episodes, path = recorded(tmp_path), tmp_path / "grades.jsonl"
    assert episodes["correct"].null_count() == 5
    heard: list[tuple[int, int]] = []
    grade(episodes, PROBLEMS, path, on_graded=lambda done, total: heard.append((done, total)))
    assert heard == [(done, 5) for done in range(1, 6)]
    found = graded(episodes, read_grades(path)).sort("problem_id", "policy")["correct"].to_list()
    assert found == [True, True, False, True, True, False, True, None, True, False, True, False]
    kept = path.read_bytes()
    grade(episodes, PROBLEMS, path, on_graded=lambda *_: pytest.fail("nothing is open any more"))
    assert path.read_bytes() == kept
    assert graded(episodes.drop_nulls("correct"), {}).equals(episodes.drop_nulls("correct"))


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "grades.jsonl").write_text('{"problem_id": "a"}\n')
    with pytest.raises(InputError, match="line 1, found"):
        read_grades(tmp_path / "grades.jsonl")
    assert read_grades(tmp_path / "absent.jsonl") == {}
