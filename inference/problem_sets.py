"""Published benchmarks by name, from local copies in the form in which each is published."""

import os
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from inference.grading import boxed_answer
from inference.problems import Problem
from kde.errors import InputError
from kde.records import Entry, read_records

DATA = "TRIM_DATA"
"""Environment variable that names the folder of local data."""


class _Row(Entry):
    """One problem as its benchmark writes it."""

    @abstractmethod
    def as_problem(self, name: str, number: int) -> Problem:
        """The problem, the `number`-th of the set `name`."""


class _Math500(_Row):
    unique_id: str
    problem: str
    answer: str

    @property
    def key(self) -> str:
        return self.unique_id

    def as_problem(self, name: str, number: int) -> Problem:  # noqa: ARG002  it has an id of its own
        return Problem(id=f"{name}/{self.unique_id}", problem=self.problem, answer=self.answer)


class _Gsm8k(_Row):
    question: str
    answer: str = Field(pattern=r"\n#### \S+$")

    @property
    def key(self) -> str:
        return self.question

    def as_problem(self, name: str, number: int) -> Problem:
        return Problem(id=f"{name}/{number}", problem=self.question, answer=self.answer.rpartition("#### ")[2])


class _Minerva(_Row):
    idx: int
    problem: str
    solution: str

    @property
    def key(self) -> int:
        return self.idx

    def as_problem(self, name: str, number: int) -> Problem:  # noqa: ARG002  as above
        return Problem(id=f"{name}/{self.idx}", problem=self.problem, answer=boxed_answer(self.solution))


class _OlympiadBench(_Row):
    id: int
    question: str
    final_answer: list[str] = Field(min_length=1, max_length=1)

    @property
    def key(self) -> int:
        return self.id

    def as_problem(self, name: str, number: int) -> Problem:  # noqa: ARG002  as above
        return Problem(id=f"{name}/{self.id}", problem=self.question, answer=self.final_answer[0])


class _Aime(_Row):
    name: str = Field(alias="ID")
    problem: str
    solution: str = Field(min_length=1)

    @property
    def key(self) -> str:
        return self.name

    def as_problem(self, name: str, number: int) -> Problem:  # noqa: ARG002  as above
        return Problem(id=f"{name}/{self.name}", problem=self.problem, answer=self.solution)


@dataclass(frozen=True, slots=True)
class _ProblemSet:
    file: str
    row: type[_Row]


PROBLEM_SETS: Mapping[str, _ProblemSet] = {
    "math500": _ProblemSet("math500_test.jsonl", _Math500),
    "gsm8k": _ProblemSet("gsm8k_test.jsonl", _Gsm8k),
    "minerva": _ProblemSet("minerva_math_test.jsonl", _Minerva),
    "olympiadbench": _ProblemSet("olympiadbench_test.jsonl", _OlympiadBench),
    "aime": _ProblemSet("aime_test.jsonl", _Aime),
    "aime-train": _ProblemSet("aime_train.jsonl", _Aime),
}


def read_problem_set(name: str, data: Path | None) -> list[Problem]:
    """The problems of a published benchmark, in its order.

    Args:
        name: one of `PROBLEM_SETS`.
        data: folder whose `bench` holds the files; None takes it from `TRIM_DATA`.

    Raises:
        InputError: nothing names the folder, or the file is not there or not in its published form.
    """
    known = PROBLEM_SETS[name]
    if data is None:
        if not os.environ.get(DATA):
            remedy = f"{name} is read from bench/{known.file} below it: name a folder, or set {DATA}"
            raise InputError("route", field="--data", value=None, remedy=remedy)
        data = Path(os.environ[DATA])
    path = data / "bench" / known.file
    return [row.as_problem(name, number) for number, row in enumerate(read_records(path, known.row), start=1)]
