"""Tables of answers in the layout of RouteLLM's: `prompt`, for every model M a column `M` with True or False, and `M_response`."""

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kde.errors import InputError
from kde.samples import Array

_ANSWER = "_response"
_LARGEST_FIELD = 1 << 24


@dataclass(frozen=True, slots=True)
class AnswerTable:
    """n questions that g models answered.

    Attributes:
        questions: [n] their texts.
        models: [g] columns.
        correct: [g, n] 1 where a model is right, else 0.
        answers: [g][n] texts.
    """

    questions: tuple[str, ...]
    models: tuple[str, ...]
    correct: Array
    answers: tuple[tuple[str, ...], ...]


Choose = Callable[[Sequence[str]], Sequence[str]]
"""Which of a table's models are wanted, in which order."""


def read_table(path: Path, choose: Choose) -> AnswerTable:
    """Read the answers of the models that are chosen.

    Raises:
        InputError: the file cannot be read, or a column or a cell is not what it must be.
    """
    csv.field_size_limit(_LARGEST_FIELD)
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            reader = csv.DictReader(stream, strict=True)
            models = tuple(choose(_models(path, reader.fieldnames or ())))
            rows = list(_rows(path, reader, models))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        remedy = "name a CSV file in UTF-8"
        raise InputError(
            path, field="file", value=getattr(error, "strerror", None) or str(error), remedy=remedy
        ) from error
    if not rows:
        raise InputError(path, field="file", value="", remedy="it has no questions: give one a line")
    questions, right, answers = zip(*rows, strict=True)
    return AnswerTable(questions, models, np.array(right, dtype=np.float64).T, tuple(zip(*answers, strict=True)))


def _models(path: Path, columns: Sequence[str]) -> list[str]:
    known = [column for column in columns if f"{column}{_ANSWER}" in columns]
    if "prompt" not in columns or len(known) < 2:
        remedy = "columns: prompt and, for two models or more, MODEL and MODEL_response"
        raise InputError(path, field="columns", value=list(columns), remedy=remedy)
    return known


def _rows(
    path: Path, reader: "csv.DictReader[str]", models: Sequence[str]
) -> Iterator[tuple[str, list[bool], list[str]]]:
    for row in reader:
        place = f"line {reader.line_num}"
        if None in row or None in row.values():
            raise InputError(path, field=place, value=len(row), remedy="every line has as many cells as the header")
        for model in models:
            if row[model] not in {"True", "False"}:
                raise InputError(path, field=f"{place}, {model}", value=row[model], remedy="True or False")
        if not row["prompt"]:
            raise InputError(path, field=f"{place}, prompt", value="", remedy="every line asks something")
        yield row["prompt"], [row[model] == "True" for model in models], [row[f"{model}{_ANSWER}"] for model in models]
