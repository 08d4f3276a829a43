"""Belief filters: from PRM features to a belief over the three classes (DESIGN sections 3 and 6).

A belief is float64 [..., 3] over (CORRECT, DERAILED, RECOVERABLE) and sums to 1.
"""

import numpy as np
from numpy.typing import ArrayLike

from kde.samples import Array

DENSITY_FLOOR = 1e-4
"""Likelihoods are floored at this density (uniform = 1): no single score can rule a class out, and no evidence is 0 / 0."""
UNIFORM_PRIOR: Array = np.full(3, 1 / 3)


def predict(prefix_correct: ArrayLike, p_weak: ArrayLike) -> Array:
    """Prior class probabilities of M_w's next proposal, [..., 3].

    Args:
        prefix_correct: q, the probability that the accepted prefix is right, any shape.
        p_weak: p_w, the probability that M_w's step is right given a right prefix, broadcast against q.
    """
    q, p = np.asarray(prefix_correct, dtype=np.float64), np.asarray(p_weak, dtype=np.float64)
    return np.stack(np.broadcast_arrays(q * p, 1 - q, q * (1 - p)), axis=-1)


def posterior(prior: Array, likelihood: Array, *, cells: int) -> Array:
    """Bayes' rule: belief [..., 3] from prior [..., 3] and cell probabilities [..., 3] on a grid of `cells` cells."""
    weighted = prior * np.maximum(likelihood, DENSITY_FLOOR / cells)
    return np.asarray(weighted / weighted.sum(axis=-1, keepdims=True), dtype=np.float64)
