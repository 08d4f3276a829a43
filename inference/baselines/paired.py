"""Questions that both models answered: what query-level routers learn from and are judged on."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inference.baselines.encoder import SentenceEncoder
from kde.errors import InputError
from kde.samples import Array

_ANSWER = "_response"
_LARGEST_FIELD = 1 << 24


@dataclass(frozen=True, slots=True)
class Queries:
    """What a query-level router may see of n questions.

    Attributes:
        questions: [n] their texts.
        verified: [n] a verifier's score in [0, 1] of M_w's answer, where there is one.
    """

    questions: tuple[str, ...]
    verified: Array | None = None


@dataclass(frozen=True, slots=True)
class PairedAnswers:
    """n questions, each answered by M_w alone and by M_s alone.

    Attributes:
        queries: what a router sees.
        weak_correct: [n] 1 where M_w is right, else 0.
        strong_correct: [n] likewise for M_s.
        strong_tokens: [n] tokens that M_s decoded.
    """

    queries: Queries
    weak_correct: Array
    strong_correct: Array
    strong_tokens: Array

    def __len__(self) -> int:
        return len(self.queries.questions)

    @property
    def preferences(self) -> Array:
        """[n] 1 where M_s wins, 0 where M_w does, 1/2 where both are right or both wrong."""
        return np.asarray((1 + self.strong_correct - self.weak_correct) / 2, dtype=np.float64)

    def take(self, places: NDArray[np.integer]) -> "PairedAnswers":
        """The questions at `places`."""
        seen = self.queries
        questions = tuple(seen.questions[place] for place in places.tolist())
        queries = Queries(questions, None if seen.verified is None else seen.verified[places])
        return PairedAnswers(
            queries, self.weak_correct[places], self.strong_correct[places], self.strong_tokens[places]
        )


def read_answers(path: Path, encoder: SentenceEncoder, *, weak: str | None, strong: str | None) -> PairedAnswers:
    """Read a table in the layout of RouteLLM's: `prompt`, for every model M a column `M` with True or False, and `M_response`.

    Args:
        path: the CSV file.
        encoder: counts the tokens of M_s's answers, by its own tokenizer.
        weak: column of M_w; None for the first of a table's two models.
        strong: column of M_s; None for the second.

    Raises:
        InputError: the file cannot be read, or a column or a cell is not what it must be.
    """
    csv.field_size_limit(_LARGEST_FIELD)
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            reader = csv.DictReader(stream, strict=True)
            weak, strong = _models(path, reader.fieldnames or (), weak, strong)
            rows = list(_rows(path, reader, weak, strong))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        remedy = "name a CSV file in UTF-8"
        raise InputError(
            path, field="file", value=getattr(error, "strerror", None) or str(error), remedy=remedy
        ) from error
    if not rows:
        raise InputError(path, field="file", value="", remedy="it has no questions: give one a line")
    questions, weak_right, strong_right, answers = zip(*rows, strict=True)
    return PairedAnswers(
        Queries(questions),
        np.array(weak_right, dtype=np.float64),
        np.array(strong_right, dtype=np.float64),
        encoder.count_tokens(answers),
    )


def _models(path: Path, columns: Sequence[str], weak: str | None, strong: str | None) -> tuple[str, str]:
    known = [column for column in columns if f"{column}{_ANSWER}" in columns]
    if "prompt" not in columns or len(known) < 2:
        remedy = "columns: prompt and, for two models or more, MODEL and MODEL_response"
        raise InputError(path, field="columns", value=list(columns), remedy=remedy)
    if weak is None and strong is None and len(known) == 2:
        return known[0], known[1]
    for option, model in (("--weak", weak), ("--strong", strong)):
        if model not in known:
            raise InputError(path, field=option, value=model, remedy=f"name one of {', '.join(known)}")
    return str(weak), str(strong)


def _rows(path: Path, reader: "csv.DictReader[str]", weak: str, strong: str) -> Iterator[tuple[str, bool, bool, str]]:
    for row in reader:
        place = f"line {reader.line_num}"
        if None in row or None in row.values():
            raise InputError(path, field=place, value=len(row), remedy="every line has as many cells as the header")
        right = []
        for model in (weak, strong):
            if row[model] not in {"True", "False"}:
                raise InputError(path, field=f"{place}, {model}", value=row[model], remedy="True or False")
            right.append(row[model] == "True")
        if not row["prompt"]:
            raise InputError(path, field=f"{place}, prompt", value="", remedy="every line asks something")
        yield row["prompt"], right[0], right[1], row[f"{strong}{_ANSWER}"]
