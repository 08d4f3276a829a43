"""Published benchmarks by name, in the form in which each is published: from local copies, or from the hub."""

import csv
import hashlib
import os
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from inference.grading import boxed_answer
from inference.problems import Problem
from kde.errors import InputError
from kde.hub import data_set_rows
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


class _Gpqa(_Row):
    question: str = Field(alias="Question", min_length=1)
    correct: str = Field(alias="Correct Answer", min_length=1)
    incorrect_1: str = Field(alias="Incorrect Answer 1", min_length=1)
    incorrect_2: str = Field(alias="Incorrect Answer 2", min_length=1)
    incorrect_3: str = Field(alias="Incorrect Answer 3", min_length=1)

    @property
    def key(self) -> str:
        return self.question

    def as_problem(self, name: str, number: int) -> Problem:
        """The options in an order that a hash of the question draws; the answer is a letter."""
        options = (self.correct, self.incorrect_1, self.incorrect_2, self.incorrect_3)
        order = sorted(range(len(options)), key=lambda place: _digest(f"{place}/{self.question}"))
        lettered = "\n".join(
            f"({letter}) {options[place].strip()}" for letter, place in zip(_LETTERS, order, strict=True)
        )
        text = f"{self.question.strip()}\n\n{lettered}\n\nAnswer with the letter of the right option."
        return Problem(id=f"{name}/{number}", problem=text, answer=_LETTERS[order.index(0)])


_LETTERS = "ABCD"


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=8).digest()


@dataclass(frozen=True, slots=True)
class _OnHub:
    """A data set on the Hugging Face hub."""

    name: str
    subset: str | None
    split: str


@dataclass(frozen=True, slots=True)
class _ProblemSet:
    file: str
    row: type[_Row]
    hub: _OnHub | None = None


PROBLEM_SETS: Mapping[str, _ProblemSet] = {
    "math500": _ProblemSet("math500_test.jsonl", _Math500, _OnHub("HuggingFaceH4/MATH-500", None, "test")),
    "gsm8k": _ProblemSet("gsm8k_test.jsonl", _Gsm8k, _OnHub("openai/gsm8k", "main", "test")),
    "minerva": _ProblemSet("minerva_math_test.jsonl", _Minerva),
    "olympiadbench": _ProblemSet(
        "olympiadbench_test.jsonl", _OlympiadBench, _OnHub("Hothan/OlympiadBench", "OE_TO_maths_en_COMP", "train")
    ),
    "aime": _ProblemSet("aime_test.jsonl", _Aime),
    "aime-train": _ProblemSet("aime_train.jsonl", _Aime),
    "gpqa-diamond": _ProblemSet("gpqa_diamond.csv", _Gpqa, _OnHub("Idavidrein/gpqa", "gpqa_diamond", "train")),
}


def read_problem_set(name: str, data: Path | None) -> list[Problem]:
    """The problems of a published benchmark, in its order.

    Args:
        name: one of `PROBLEM_SETS`.
        data: folder whose `bench` holds the files; None takes it from `TRIM_DATA`, and without that takes the set from the hub.

    Raises:
        InputError: nothing names the folder and the hub does not have the set in this form, or cannot be asked; or a file is not there
            or not in its published form.
    """
    known = PROBLEM_SETS[name]
    if data is None and os.environ.get(DATA):
        data = Path(os.environ[DATA])
    if data is not None:
        rows = _local_rows(data / "bench" / known.file, known.row)
    elif known.hub is not None:
        rows = _hub_rows(known.hub, known.row)
    else:
        remedy = f"{name} is read from bench/{known.file} below it: name a folder, or set {DATA}"
        raise InputError("route", field="--data", value=None, remedy=remedy)
    return [row.as_problem(name, number) for number, row in enumerate(rows, start=1)]


def _local_rows(path: Path, row: type[_Row]) -> Iterable[_Row]:
    if path.suffix != ".csv":
        return read_records(path, row)
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            return _validated(csv.DictReader(stream), row, path)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(path, field="file", value=str(error), remedy="name a readable CSV file") from error


def _hub_rows(hub: _OnHub, row: type[_Row]) -> Iterable[_Row]:
    rows = data_set_rows(hub.name, hub.split, subset=hub.subset, option="--problems", reference=hub.name)
    return _validated(rows, row, hub.name)


def _validated(rows: Iterable[Any], row: type[_Row], source: str | Path) -> list[_Row]:
    found = []
    for number, values in enumerate(rows, start=1):
        try:
            found.append(row.model_validate(values))
        except ValidationError as error:
            raise InputError.of_validation(source, error, prefix=f"row {number}") from error
    if not found:
        raise InputError(source, field="rows", value=0, remedy="it is empty")
    return found
