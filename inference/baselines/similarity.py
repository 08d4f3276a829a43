"""RouteLLM's similarity-weighted ranking (Ong et al. 2024, section 4.2): a Bradley-Terry model fitted anew for every question.

With two models the weighted maximum of the Bradley-Terry likelihood is the weighted share of wins: a training question q_i counts
gamma^(1 + S_i), S_i its cosine similarity to the question, divided by the largest one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from inference.baselines.encoder import SentenceEncoder
from inference.baselines.paired import PairedAnswers, Queries
from kde.artefact import Artefact
from kde.samples import Array

GAMMA = 10.0


@dataclass(frozen=True, slots=True)
class SimilarityRouter:
    """Remembers its training questions.

    Attributes:
        encoder: of the questions.
        embeddings: [n, d] of the training questions.
        preferences: [n] 1 where M_s won, 0 where M_w did, 1/2 for a tie.
        gamma: weight of similarity.
    """

    kind: ClassVar[str] = "similarity"

    encoder: SentenceEncoder
    embeddings: Array
    preferences: Array
    gamma: float = GAMMA

    @classmethod
    def train(cls, answers: PairedAnswers, encoder: SentenceEncoder, seed: int) -> "SimilarityRouter":
        """Nothing is random here: `seed` changes nothing."""
        del seed
        return cls(encoder, encoder.embed(answers.queries.questions), answers.preferences)

    @classmethod
    def restore(cls, found: Artefact, encoder: SentenceEncoder) -> "SimilarityRouter":
        """From what `state` gave."""
        gamma = float(found.body["settings"]["gamma"])
        return cls(encoder, found.arrays["embeddings"], found.arrays["preferences"], gamma)

    def strong_wins(self, queries: Queries) -> Array:
        """Weighted share of wins."""
        similarity = self.encoder.embed(queries.questions) @ self.embeddings.T
        largest = similarity.max(axis=1, keepdims=True)
        relative = np.divide(similarity, largest, out=np.zeros_like(similarity), where=largest > 0)
        weights = self.gamma ** (1 + relative)
        return np.asarray(weights @ self.preferences / weights.sum(axis=1), dtype=np.float64)

    def state(self) -> tuple[Mapping[str, NDArray[Any]], Mapping[str, Any]]:
        """Training questions as vectors, and who won them."""
        return {"embeddings": self.embeddings, "preferences": self.preferences}, {"gamma": self.gamma}
