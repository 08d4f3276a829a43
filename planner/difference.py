"""Where two tables decide differently, and what that costs."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kde.errors import InputError
from kde.samples import Array
from planner.lattice import interpolate, lattice
from planner.policies.pomdp import TablePolicy
from planner.rehearsal import Estimate, Stage
from planner.table import PolicyTable


@dataclass(frozen=True, slots=True)
class Difference:
    """Two policies of the same lambda.

    Attributes:
        lam: lambda.
        differs: [T, 2] share of the lattice's beliefs and token counts at which they act differently, by step and final flag.
        centre: [3] mean belief of those; None where there are none.
        cost_in_first, cost_in_second: what following the other table's policy loses in each table's own POMDP, in units of reward.
    """

    lam: float
    differs: Array
    centre: Array | None
    cost_in_first: Estimate
    cost_in_second: Estimate


def differences(first: PolicyTable, second: PolicyTable, *, episodes: int, seed: int) -> list[Difference]:
    """Compare the policies of the lambdas that two tables share.

    Raises:
        InputError: they share none, or their episodes have different step limits.
    """
    shared = sorted({entry.lam for entry in first.entries} & {entry.lam for entry in second.entries})
    if not shared:
        known = f"{[entry.lam for entry in first.entries]} and {[entry.lam for entry in second.entries]}"
        raise InputError("tables diff", field="lambdas", value=known, remedy="build both for a lambda that they share")
    limits = first.pomdp.max_steps, second.pomdp.max_steps
    if limits[0] != limits[1]:
        raise InputError("tables diff", field="max_steps", value=limits, remedy="build both for the same step limit")
    stages = tuple(Stage.of(table.pomdp, episodes=episodes, seed=seed) for table in (first, second))
    return [_difference(first, second, lam, stages) for lam in shared]


def _difference(first: PolicyTable, second: PolicyTable, lam: float, stages: tuple[Stage, ...]) -> Difference:
    beliefs = lattice(first.resolution)
    tokens = sorted({*first.pomdp.tokens.counts, *second.pomdp.tokens.counts})
    differs = _regenerates(first, lam, beliefs, tokens) != _regenerates(second, lam, beliefs, tokens)
    where = differs.sum(axis=(0, 1, 3))
    costs = []
    for stage, own, other in zip(stages, (first, second), (second, first), strict=True):
        policies = (TablePolicy(f"pomdp:{lam!r}", table, lam) for table in (own, other))
        mine, theirs = (stage.episodes_of(policy).returns(lam) for policy in policies)
        costs.append(Estimate.mean(mine - theirs))
    centre = where @ beliefs / where.sum() if where.any() else None
    return Difference(lam, differs.mean(axis=(2, 3)), centre, costs[0], costs[1])


def _regenerates(table: PolicyTable, lam: float, beliefs: Array, tokens: list[float]) -> NDArray[np.bool_]:
    """Actions at beliefs [n, 3] for every step, final flag and token count: [T, 2, n, n_tokens], each table at its own prices."""
    steps, flags, nodes = table.break_even.shape[1:]
    rows = np.repeat(np.arange(steps * flags), len(beliefs))
    surfaces = table.break_even[table.index(lam)].reshape(-1, nodes)
    counts = interpolate(surfaces, rows, np.tile(beliefs, (steps * flags, 1)), table.resolution)
    strong = np.array([table.pomdp.tokens.expected_strong(count) for count in tokens])
    return np.asarray(strong < counts.reshape(steps, flags, len(beliefs), 1))
