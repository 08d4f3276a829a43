"""Smoothie (Guha et al. 2024): which generator to trust, from how their answers agree, without labels.

A generator's expected squared distance to the unknown right answer follows from the distances between three generators' embeddings:
E|g_i - y|^2 = (E|g_i - g_j|^2 + E|g_i - g_k|^2 - E|g_j - g_k|^2) / 2. With two generators nothing follows.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from inference.baselines.answer_table import AnswerTable
from inference.baselines.encoder import SentenceEncoder
from kde.errors import InputError
from kde.samples import Array

LEAST_GENERATORS = 3


@dataclass(frozen=True, slots=True)
class Smoothie:
    """What trusting the nearest generator gives.

    Attributes:
        distances: [g] mean estimated squared distance of each generator's answers to the right ones.
        chosen: [g] share of the questions for which each is trusted.
        accuracy: of the answers that are trusted.
    """

    distances: Array
    chosen: Array
    accuracy: float


def smoothie(table: AnswerTable, encoder: SentenceEncoder, *, neighbours: int) -> Smoothie:
    """Trust one generator a question; grades are read to say how right that was, not to choose.

    Raises:
        InputError: there are fewer than three generators, or not so many questions.
    """
    answers = np.stack([encoder.embed(texts) for texts in table.answers])
    distances = distances_to_truth(answers, encoder.embed(table.questions), neighbours=neighbours)
    chosen = distances.argmin(axis=0)
    right = table.correct[chosen, np.arange(len(chosen))]
    shares = np.bincount(chosen, minlength=len(distances)) / len(chosen)
    return Smoothie(distances.mean(axis=1), np.asarray(shares, dtype=np.float64), float(right.mean()))


def distances_to_truth(answers: Array, questions: Array, *, neighbours: int) -> Array:
    """Estimated mean squared distance of each generator's answer to the right one, [g, n]; less is better.

    Args:
        answers: [g, n, d] embeddings of g generators' answers to n questions.
        questions: [n, d'] unit embeddings of the questions.
        neighbours: the expectation is over so many nearest questions (the question itself among them); n of them for one estimate for all.

    Raises:
        InputError: there are fewer than three generators, or not so many questions.
    """
    generators, count, _ = answers.shape
    if generators < LEAST_GENERATORS:
        remedy = (
            "Smoothie estimates quality from how three or more generators agree: two say nothing about who is right"
        )
        raise InputError("smoothie", field="generators", value=generators, remedy=remedy)
    if not 1 <= neighbours <= count:
        raise InputError("smoothie", field="neighbours", value=neighbours, remedy=f"from 1 to {count}, the questions")
    near = _nearest(questions, neighbours)
    pairs = {
        (i, j): ((answers[i] - answers[j]) ** 2).sum(axis=1)[near].mean(axis=1)
        for i, j in combinations(range(generators), 2)
    }

    def between(i: int, j: int) -> Array:
        return np.asarray(pairs[min(i, j), max(i, j)], dtype=np.float64)

    return np.array(
        [
            np.mean(
                [
                    (between(i, j) + between(i, k) - between(j, k)) / 2
                    for j, k in combinations([other for other in range(generators) if other != i], 2)
                ],
                axis=0,
            )
            for i in range(generators)
        ]
    )


def _nearest(questions: Array, neighbours: int) -> NDArray[np.int64]:
    similarity = questions @ questions.T
    np.fill_diagonal(similarity, np.inf)  # a question is its own nearest
    return np.argpartition(-similarity, neighbours - 1, axis=1)[:, :neighbours].astype(np.int64)
