"""AutoMix (Aggarwal et al. 2023): a verifier reads M_w's answer, and a one-step POMDP decides who is believed.

The state is who is right (both, M_s alone, M_w alone, none); the observation is the verifier's score in one of `BINS` equal bins. The
greedy policy asks M_s where its expected gain in accuracy exceeds lambda times its cost, so over all lambdas it ranks questions by
P(M_s alone is right) - P(M_w alone is right), given the bin. AutoMix-PRM is the same with the PRM's cumulative score of M_w's trace, the
product of its step scores, as the verifier.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from inference.baselines.encoder import SentenceEncoder
from inference.baselines.paired import PairedAnswers, Queries
from kde.artefact import Artefact
from kde.errors import InputError
from kde.samples import Array

BINS = 8
_PRIOR = 1.0
"""Pseudo-counts of each state in each bin, dealt as the states are dealt over all questions."""


@dataclass(frozen=True, slots=True)
class AutoMixRouter:
    """The belief that each bin leaves.

    Attributes:
        gains: [BINS] P(M_s alone is right) - P(M_w alone is right), by bin of the verifier's score.
    """

    kind: ClassVar[str] = "automix"

    gains: Array

    @classmethod
    def train(cls, answers: PairedAnswers, encoder: SentenceEncoder, seed: int) -> "AutoMixRouter":
        """Counts states by bin; nothing is random, and texts are not read."""
        del encoder, seed
        bins = _bins(answers.queries)
        gains = answers.strong_correct - answers.weak_correct
        summed = np.bincount(bins, weights=gains, minlength=BINS) + _PRIOR * gains.mean()
        return cls(summed / (np.bincount(bins, minlength=BINS) + _PRIOR))

    @classmethod
    def restore(cls, found: Artefact, encoder: SentenceEncoder) -> "AutoMixRouter":
        """From what `state` gave."""
        del encoder
        return cls(found.arrays["gains"])

    def strong_wins(self, queries: Queries) -> Array:
        """Expected gain of asking M_s, from [-1, 1] to [0, 1]."""
        return np.asarray((1 + self.gains[_bins(queries)]) / 2, dtype=np.float64)

    def state(self) -> tuple[Mapping[str, NDArray[Any]], Mapping[str, Any]]:
        """Gains by bin."""
        return {"gains": self.gains}, {"bins": BINS}


def _bins(queries: Queries) -> NDArray[np.int64]:
    verified = queries.verified
    if verified is None:
        remedy = "AutoMix needs a verifier's score of every answer of M_w"
        raise InputError("routers", field="verified", value=None, remedy=remedy)
    if not ((verified >= 0) & (verified <= 1)).all():
        raise InputError("routers", field="verified", value=verified.tolist(), remedy="scores are numbers in [0, 1]")
    return np.minimum((verified * BINS).astype(np.int64), BINS - 1)
