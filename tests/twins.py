"""Slow, obvious twins of the fast code."""

from collections.abc import Callable
from itertools import product

import numpy as np

from kde.density import ReflectedKDE
from kde.samples import Array, StepClass
from planner.decision import Carry
from planner.explicit import ExplicitPOMDP, State
from planner.pomdp import RoutingPOMDP, Transitions
from planner.sarsop.job import AlphaVectors

Decide = Callable[[int, float, int, bool, Carry | None], tuple[Carry, bool]]
"""From step, r, tokens, final and carry to the next carry and whether to regenerate."""


def enumerated_value(pomdp: RoutingPOMDP, lam: float, q: float = 1.0, step: int = 1, repaired: bool = False) -> float:
    """W_{step-1}(q) by walking the whole decision tree: no grid, no interpolation."""
    _, n_m, n_r = pomdp.cells.shape
    hazard = float(pomdp.hazard[step - 1])
    p_weak, p_strong = float(pomdp.weak_by_step[step - 1]), float(pomdp.strong_by_step[step - 1])
    if repaired and pomdp.transitions is Transitions.PAPER:
        p_weak = 1.0
    cells, total = pomdp.observation_cells(), 0.0
    for i, j in product(range(n_m), range(n_r)):
        joint = np.array([q * p_weak, 1 - q, q * (1 - p_weak)]) * cells[:, i, j]
        evidence = joint.sum()
        if evidence == 0:
            continue
        stay = joint[0] / evidence
        mended = p_strong * (joint[0] + joint[2]) / evidence
        after = {True: (stay, mended), False: (0.0, 0.0)}
        if hazard < 1:
            after[False] = (
                enumerated_value(pomdp, lam, stay, step + 1),
                enumerated_value(pomdp, lam, mended, step + 1, repaired=True),
            )
        for final, chance in ((True, hazard), (False, 1 - hazard)):
            for weight, count in zip(pomdp.tokens.weights, pomdp.tokens.counts, strict=True):
                price = lam * pomdp.tokens.expected_strong(count)
                keep, repair = after[final]
                total += evidence * chance * weight * max(keep, repair - price)
    return float(total)


def enumerated_budget_value(
    pomdp: RoutingPOMDP, left: float, q: float = 1.0, step: int = 1, repaired: bool = False
) -> float:
    """The most right answers that a hard budget buys, by walking the whole decision tree with the tokens that are left."""
    _, n_m, n_r = pomdp.cells.shape
    hazard = float(pomdp.hazard[step - 1])
    p_weak, p_strong = float(pomdp.weak_by_step[step - 1]), float(pomdp.strong_by_step[step - 1])
    if repaired and pomdp.transitions is Transitions.PAPER:
        p_weak = 1.0
    cells, total = pomdp.observation_cells(), 0.0
    for i, j in product(range(n_m), range(n_r)):
        joint = np.array([q * p_weak, 1 - q, q * (1 - p_weak)]) * cells[:, i, j]
        evidence = joint.sum()
        if evidence == 0:
            continue
        stay, mended = joint[0] / evidence, p_strong * (joint[0] + joint[2]) / evidence
        for weight, count in zip(pomdp.tokens.weights, pomdp.tokens.counts, strict=True):
            price = pomdp.tokens.expected_strong(count)
            for final, chance in ((True, hazard), (False, 1 - hazard)):
                if chance == 0:
                    continue
                keep = stay if final else enumerated_budget_value(pomdp, left, stay, step + 1)
                if price <= left:
                    rest = left - price
                    rewrite = mended if final else enumerated_budget_value(pomdp, rest, mended, step + 1, repaired=True)
                    keep = max(keep, rewrite)
                total += evidence * chance * weight * keep
    return float(total)


def summed_advantages(rewards: Array, values: Array, lengths: list[int], discount: float, gae: float) -> Array:
    """Generalised advantages as the double sum that defines them."""
    found = np.zeros_like(rewards)
    for n, length in enumerate(lengths):
        for t in range(length):
            for k in range(t, length):
                ahead = values[n, k + 1] if k + 1 < length else 0.0
                delta = rewards[n, k] + discount * ahead - values[n, k]
                found[n, t] += (discount * gae) ** (k - t) * delta
    return found


def looped_value(pomdp: RoutingPOMDP, lam: float, grid: Array) -> float:
    """V_0 by backward induction on a grid of q, one number at a time; `two_stage`."""
    cells = pomdp.cells.reshape(3, -1).T.tolist()
    after = np.zeros_like(grid)
    for step in range(pomdp.max_steps, 0, -1):
        hazard = float(pomdp.hazard[step - 1])
        p_weak, p_strong = float(pomdp.weak_by_step[step - 1]), float(pomdp.strong_by_step[step - 1])
        values = []
        for q in grid.tolist():
            value = 0.0
            for c0, c1, c2 in cells:
                w0, w1, w2 = q * p_weak * c0, (1 - q) * c1, q * (1 - p_weak) * c2
                evidence = w0 + w1 + w2
                if evidence == 0:
                    continue
                stay, repaired = w0 / evidence, p_strong * (w0 + w2) / evidence
                keep, repair = (float(np.interp(x, grid, after)) for x in (stay, repaired))
                for weight, count in zip(pomdp.tokens.weights, pomdp.tokens.counts, strict=True):
                    price = lam * pomdp.tokens.expected_strong(count)
                    final, going_on = max(stay, repaired - price), max(keep, repair - price)
                    value += evidence * weight * (hazard * final + (1 - hazard) * going_on)
            values.append(value)
        after = np.array(values)
    return float(after[-1])


def simulated_return(pomdp: RoutingPOMDP, lam: float, decide: Decide, episodes: int, rng: np.random.Generator) -> Array:
    """Returns of episodes drawn from the POMDP itself, whose cells do not depend on m, acting by `decide`; shape [episodes]."""
    _, _, n_r = pomdp.cells.shape
    returns = np.zeros(episodes)
    for episode in range(episodes):
        right, carry = True, None
        for step in range(1, pomdp.max_steps + 1):
            newest_right = rng.random() < pomdp.weak_by_step[step - 1]
            hidden = (0 if newest_right else 2) if right else 1
            r = (rng.choice(n_r, p=pomdp.cells[hidden].ravel()) + 0.5) / n_r
            bin_ = rng.choice(len(pomdp.tokens.counts), p=pomdp.tokens.weights)
            final = bool(rng.random() < pomdp.hazard[step - 1])
            carry, regenerate = decide(step, r, int(pomdp.tokens.counts[bin_]), final, carry)
            if regenerate:
                returns[episode] -= lam * pomdp.tokens.expected_strong(pomdp.tokens.counts[bin_])
                right = right and rng.random() < pomdp.strong_by_step[step - 1]
            else:
                right = right and newest_right
            if final:
                returns[episode] += right
                break
    return returns


def quadrature_cells(density: ReflectedKDE, n_m: int, n_r: int, nodes: int = 12) -> Array:
    """Cell masses by two-dimensional Gauss-Legendre quadrature of the density."""
    x, w = np.polynomial.legendre.leggauss(nodes)
    x, w = (x + 1) / 2, w / 2
    m = ((np.arange(n_m)[:, None] + x) / n_m).ravel()
    r = ((np.arange(n_r)[:, None] + x) / n_r).ravel()
    points = np.stack(np.meshgrid(m, r, indexing="ij"), axis=-1).reshape(-1, 2)
    values = density.pdf(points).reshape(n_m, nodes, n_r, nodes)
    return np.asarray(np.einsum("ambn,m,n->ab", values, w, w) / (n_m * n_r), dtype=np.float64)


def transition_probability(pomdp: RoutingPOMDP, s: State, action: str, after: State) -> float:
    """T(s, a, s') between two proposals, from the words of the design alone; `s` does not end the answer."""
    if after.step != s.step + 1 or s.final:
        return 0.0
    hazard = float(pomdp.hazard[after.step - 1])
    seen = (hazard if after.final else 1 - hazard) * pomdp.tokens.weights[after.bin]
    p_weak, p_strong = float(pomdp.weak_by_step[after.step - 1]), float(pomdp.strong_by_step[s.step - 1])
    if action == "continue":
        right = 1.0 if s.step_class is StepClass.CORRECT else 0.0
    else:
        right = 0.0 if s.step_class is StepClass.DERAILED else p_strong
        if pomdp.transitions is Transitions.PAPER:
            p_weak = 1.0
    chance = {
        StepClass.CORRECT: right * p_weak,
        StepClass.RECOVERABLE: right * (1 - p_weak),
        StepClass.DERAILED: 1 - right,
    }
    return seen * chance[after.step_class]


def tree_value(model: ExplicitPOMDP, belief: Array | None = None) -> float:
    """Value of an explicit POMDP at a belief by walking every action and observation: arrays only."""
    b = model.initial if belief is None else belief
    if b[-1] == 1:
        return 0.0
    values = []
    for action in range(2):
        value = float(b @ model.reward[:, action])
        joint = (b @ model.transition[:, action])[:, None] * model.observation
        for seen in np.flatnonzero(joint.sum(axis=0) > 0):
            evidence = joint[:, seen].sum()
            value += model.discount * float(evidence) * tree_value(model, joint[:, seen] / evidence)
        values.append(value)
    return max(values)


def point_based_policy(model: ExplicitPOMDP, beliefs: Array, horizon: int) -> AlphaVectors:
    """Point-based value iteration on the arrays at beliefs [n, n_s], `horizon` sweeps from the value 0, which nothing undercuts."""
    vectors, actions = np.zeros((1, len(model.initial))), np.zeros(1, dtype=np.int64)
    for _ in range(horizon):
        backed = [
            np.einsum("xy,yo,ky->oxk", model.transition[:, action], model.observation, vectors) for action in range(2)
        ]
        best: dict[tuple[float, ...], int] = {}
        for belief in beliefs:
            candidates = []
            for action in range(2):
                chosen = np.einsum("x,oxk->ok", belief, backed[action]).argmax(axis=1)
                future = backed[action][np.arange(len(chosen)), :, chosen].sum(axis=0)
                candidates.append(model.reward[:, action] + model.discount * future)
            action = int(np.argmax([belief @ candidate for candidate in candidates]))
            best[tuple(candidates[action].tolist())] = action
        vectors, actions = np.array(list(best)), np.array(list(best.values()))
    value = float((vectors @ model.initial).max())
    return AlphaVectors(vectors, actions, value, value)
