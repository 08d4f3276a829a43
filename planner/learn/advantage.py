"""Generalised advantage estimation (Schulman et al., arXiv 1506.02438) over whole episodes."""

import numpy as np

from kde.samples import Array
from planner.batch import Flags


def advantages(rewards: Array, values: Array, alive: Flags, *, discount: float, gae: float) -> Array:
    """A_t = sum over k of (discount gae)^k delta_{t + k}, delta_t = r_t + discount v_{t + 1} - v_t, [n, T].

    Episodes end inside: what follows on the last step is worth nothing.

    Args:
        rewards: [n, T], 0 beyond the end.
        values: [n, T], what the critic expected, likewise.
        alive: [n, T] whether there was a step.
        discount: gamma.
        gae: lambda.
    """
    found = np.zeros_like(rewards)
    ahead, value_ahead = np.zeros(len(rewards)), np.zeros(len(rewards))
    for t in range(rewards.shape[1] - 1, -1, -1):
        delta = rewards[:, t] + discount * value_ahead - values[:, t]
        ahead = np.where(alive[:, t], delta + discount * gae * ahead, 0.0)
        value_ahead = np.where(alive[:, t], values[:, t], 0.0)
        found[:, t] = ahead
    return found
