"""A scorer made worse on purpose: the paper's study of how robust a policy is."""

import hashlib
from collections.abc import Sequence

import numpy as np
from scipy.special import expit, logit

from inference.conversation import Conversation
from inference.scorers.base import Scorer, Scores


class NoisyScorer:
    """Adds Gaussian noise to the logit of every score.

    The noise of a step is drawn from the seed, the question and the text up to that step: whoever asks again, in whatever run,
    gets the same.

    Args:
        scorer: what is made worse.
        sigma: standard deviation of the noise.
        seed: of the noise.
    """

    def __init__(self, scorer: Scorer, *, sigma: float, seed: int) -> None:
        self._scorer, self._sigma, self._seed = scorer, sigma, seed

    async def score(self, question: Conversation, steps: Sequence[str]) -> Scores:
        """The scorer's scores with their noise.

        Raises:
            EngineError: as the scorer.
        """
        scores = await self._scorer.score(question, steps)
        noise = [self._draw(question, steps[: place + 1]) for place in range(len(steps))]
        noisy = expit(logit(np.asarray(scores.values)) + self._sigma * np.asarray(noise))
        return Scores(tuple(noisy.tolist()), scores.windows)

    async def close(self) -> None:
        """Close the scorer."""
        await self._scorer.close()

    def _draw(self, question: Conversation, steps: Sequence[str]) -> float:
        """A standard normal number."""
        digest = hashlib.blake2b(repr((self._seed, question, tuple(steps))).encode(), digest_size=16).digest()
        return float(np.random.default_rng(int.from_bytes(digest)).standard_normal())
