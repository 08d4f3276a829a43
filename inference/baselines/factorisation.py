"""RouteLLM's matrix factorisation (Ong et al. 2024, section 4.2): a bilinear score of model and question.

delta(M, q) = w . (v_M * (W e(q) + b)), and M_s wins with probability sigmoid(delta(M_s, q) - delta(M_w, q)). Ties are trained towards 1/2.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from inference.baselines.encoder import SentenceEncoder
from inference.baselines.paired import PairedAnswers, Queries
from kde.artefact import Artefact
from kde.samples import Array

DIMENSION = 128
WEIGHT_DECAY = 0.5
_ITERATIONS = 100


@dataclass(frozen=True, slots=True)
class FactorisationRouter:
    """Latent dimension k, embeddings of dimension d.

    Attributes:
        encoder: of the questions.
        projection: W, [k, d].
        bias: b, [k].
        models: v of (M_w, M_s), [2, k].
        output: w, [k].
    """

    kind: ClassVar[str] = "factorisation"

    encoder: SentenceEncoder
    projection: Array
    bias: Array
    models: Array
    output: Array

    @classmethod
    def train(cls, answers: PairedAnswers, encoder: SentenceEncoder, seed: int) -> "FactorisationRouter":
        """Least cross-entropy with weight decay, by L-BFGS from a small random start."""
        embeddings = encoder.embed(answers.queries.questions)
        shapes = ((DIMENSION, embeddings.shape[1]), (DIMENSION,), (2, DIMENSION), (DIMENSION,))
        start = np.random.default_rng(seed).normal(scale=0.1, size=sum(int(np.prod(shape)) for shape in shapes))

        def loss(flat: Array) -> tuple[float, Array]:
            parts = _unpack(flat, shapes)
            value, gradients = cross_entropy(embeddings, answers.preferences, parts)
            penalty = WEIGHT_DECAY / 2 * float(flat @ flat)
            return value + penalty, np.concatenate([g.ravel() for g in gradients]) + WEIGHT_DECAY * flat

        found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": _ITERATIONS})
        return cls(encoder, *_unpack(found.x, shapes))

    @classmethod
    def restore(cls, found: Artefact, encoder: SentenceEncoder) -> "FactorisationRouter":
        """From what `state` gave."""
        return cls(encoder, *(found.arrays[name] for name in ("projection", "bias", "models", "output")))

    def strong_wins(self, queries: Queries) -> Array:
        """Sigmoid of the difference of the two scores."""
        hidden = self.encoder.embed(queries.questions) @ self.projection.T + self.bias
        return np.asarray(expit(hidden @ (self.output * (self.models[1] - self.models[0]))), dtype=np.float64)

    def state(self) -> tuple[Mapping[str, NDArray[Any]], Mapping[str, Any]]:
        """The factors."""
        names = ("projection", "bias", "models", "output")
        return {name: getattr(self, name) for name in names}, {"weight_decay": WEIGHT_DECAY}


def cross_entropy(embeddings: Array, preferences: Array, factors: Sequence[Array]) -> tuple[float, tuple[Array, ...]]:
    """Summed cross-entropy of [n] preferences given [n, d] embeddings, and its gradient by each of W, b, v and w, the factors."""
    projection, bias, models, output = factors
    hidden = embeddings @ projection.T + bias
    difference = models[1] - models[0]
    logits = hidden @ (output * difference)
    value = float((np.logaddexp(0, logits) - preferences * logits).sum())
    error = expit(logits) - preferences
    pulled = error @ hidden
    by_hidden = np.outer(error, output * difference)
    by_difference = pulled * output
    return value, (
        by_hidden.T @ embeddings,
        by_hidden.sum(axis=0),
        np.stack([-by_difference, by_difference]),
        pulled * difference,
    )


def _unpack(flat: Array, shapes: tuple[tuple[int, ...], ...]) -> list[Array]:
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    return [part.reshape(shape) for part, shape in zip(np.split(flat, ends[:-1]), shapes, strict=True)]
