"""From alpha-vectors back to W_t(q): the same break-even surface that the exact solver gives.

The alpha-vectors of an explicit POMDP value every state; those of the proposals of step t + 1 value the beliefs there, and the expectation
over what is seen of that proposal is W_t(q). It is a lower bound, as the alpha-vectors are.
"""

import numpy as np
from numpy.typing import NDArray

from kde.samples import Array, StepClass
from planner.backup import grid
from planner.exact import Solution
from planner.explicit import ExplicitPOMDP, State
from planner.pomdp import RoutingPOMDP
from planner.sarsop.job import AlphaVectors

_GRID = 129
_BELIEFS_AT_ONCE = 4096


def solution_of(pomdp: RoutingPOMDP, model: ExplicitPOMDP, policy: AlphaVectors) -> Solution:
    """The solution that a SARSOP policy stands for, with SARSOP's bounds.

    The bounds are those at the start of the explicit POMDP, which is one discount away from the first proposal.
    """
    points = grid(_GRID)
    stages = range(1, pomdp.max_steps + 1)
    after_continue = np.stack([_expected(pomdp, model, policy, points, step, regenerated=False) for step in stages])
    after_regenerate = np.stack([_expected(pomdp, model, policy, points, step, regenerated=True) for step in stages])
    return Solution(
        model.lam,
        points,
        after_continue,
        after_regenerate,
        pomdp.strong_by_step,
        lower=policy.lower / model.discount,
        upper=policy.upper / model.discount,
    )


def _expected(
    pomdp: RoutingPOMDP, model: ExplicitPOMDP, policy: AlphaVectors, points: Array, step: int, *, regenerated: bool
) -> Array:
    """W_{step - 1} at grid points: expectation over what is seen of the proposal of `step`."""
    classes = pomdp.next_classes(points, step, regenerated=regenerated)
    cells = pomdp.observation_cells().reshape(3, -1)
    joint = (classes[:, None, :] * cells.T[None]).reshape(-1, 3)
    hazard = float(pomdp.hazard[step - 1])
    total = np.zeros(len(points))
    for final, chance in ((False, 1 - hazard), (True, hazard)):
        for token_bin, weight in enumerate(pomdp.tokens.weights):
            if chance * weight > 0:
                numbers = [model.number(State(step, step_class, final, token_bin)) for step_class in StepClass]
                vectors = undominated(policy.alphas[:, numbers])
                total += chance * weight * _best(joint, vectors).reshape(len(points), -1).sum(axis=1)
    return total


def _best(beliefs: Array, vectors: Array) -> Array:
    """Value of the best vector at beliefs [n, 3], normalised or not: [n]."""
    chunks = [beliefs[i : i + _BELIEFS_AT_ONCE] for i in range(0, len(beliefs), _BELIEFS_AT_ONCE)]
    return np.concatenate([(chunk @ vectors.T).max(axis=1) for chunk in chunks])


def undominated(vectors: Array) -> NDArray[np.float64]:
    """Vectors [n, 3] that no other one exceeds in every place; most alpha-vectors are blind to most steps."""
    ordered = np.unique(vectors, axis=0)[::-1]
    kept: list[Array] = []
    for vector in ordered:
        if not any((vector <= other).all() for other in kept):
            kept.append(vector)
    return np.array(kept)
