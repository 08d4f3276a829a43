"""Questions that both models answered: what query-level routers learn from and are judged on."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inference.baselines.answer_table import read_table
from inference.baselines.encoder import SentenceEncoder
from kde.errors import InputError
from kde.samples import Array


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
    """Read two models' answers from a table (`inference.baselines.answer_table`).

    Args:
        path: the CSV file.
        encoder: counts the tokens of M_s's answers, by its own tokenizer.
        weak: column of M_w; None for the first of a table's two models.
        strong: column of M_s; None for the second.

    Raises:
        InputError: the file cannot be read, or a column or a cell is not what it must be.
    """
    table = read_table(path, partial(_pair, path, weak, strong))
    return PairedAnswers(
        Queries(table.questions), table.correct[0], table.correct[1], encoder.count_tokens(table.answers[1])
    )


def _pair(path: Path, weak: str | None, strong: str | None, known: Sequence[str]) -> tuple[str, str]:
    if weak is None and strong is None and len(known) == 2:
        return known[0], known[1]
    for option, model in (("--weak", weak), ("--strong", strong)):
        if model not in known:
            raise InputError(path, field=option, value=model, remedy=f"name one of {', '.join(known)}")
    return str(weak), str(strong)
