"""Grades of the answers that string and number equality leave open: each pair of problem and boxed answer is judged once in a study."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path

import polars as pl
from pydantic import Field

from inference.grading import boxed_answer
from inference.problems import Problem
from inference.verification import OpenAnswer, verify_answers
from kde.artefact import replace_file
from kde.records import Entry, read_records

Grades = Mapping[tuple[str, str], bool | None]
"""Whether an answer is right, by problem and content of the box; None where nobody could tell."""


class _Grade(Entry):
    problem_id: str = Field(min_length=1)
    found: str
    correct: bool | None

    @property
    def key(self) -> Hashable:
        return self.problem_id, self.found


def read_grades(path: Path) -> Grades:
    """The grades on file; none where there is no file.

    Raises:
        InputError: it holds something else.
    """
    if not path.exists():
        return {}
    return {(grade.problem_id, grade.found): grade.correct for grade in read_records(path, _Grade)}


def graded(episodes: pl.DataFrame, grades: Grades) -> pl.DataFrame:
    """Episodes with the grades that are known by now; `correct` stays null where nobody could tell, or nobody has tried."""
    if not episodes["correct"].null_count():
        return episodes
    correct = [
        grades.get((row["problem_id"], boxed_answer(row["solution"]) or ""))
        if row["correct"] is None
        else row["correct"]
        for row in episodes.select("problem_id", "solution", "correct").iter_rows(named=True)
    ]
    return episodes.with_columns(pl.Series("correct", correct, dtype=pl.Boolean))


def grade(
    episodes: pl.DataFrame, problems: Sequence[Problem], path: Path, *, on_graded: Callable[[int, int], None]
) -> None:
    """Judge what is open in some episodes and not on file yet, and write it there.

    Args:
        episodes: with the grades that they were recorded with.
        problems: with the known answers.
        path: of the grades.
        on_graded: hears how many are judged, and of how many.

    Raises:
        InputError: math-verify is not installed.
    """
    known = {problem.id: problem.answer or "" for problem in problems}
    told = dict(read_grades(path))
    rows = episodes.filter(pl.col("correct").is_null()).select("problem_id", "solution").iter_rows()
    pairs = dict.fromkeys((name, boxed_answer(solution) or "") for name, solution in rows)
    unjudged = [pair for pair in pairs if pair not in told]
    if not unjudged:
        return
    done = 0

    def count() -> None:
        nonlocal done
        done += 1
        on_graded(done, len(unjudged))

    answers = [OpenAnswer(known[name], found) for name, found in unjudged]
    told |= zip(unjudged, verify_answers(answers, on_verified=count), strict=True)
    lines = (
        _Grade(problem_id=name, found=found, correct=correct).model_dump_json()
        for (name, found), correct in told.items()
    )
    replace_file(path, "".join(f"{line}\n" for line in lines).encode())
