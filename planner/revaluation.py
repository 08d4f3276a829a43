"""What a change of the observation model is worth: the old policy in the new world."""

from collections.abc import Sequence

import numpy as np

from kde.compare import ValueShift
from kde.dynamics import Dynamics
from kde.model import ObservationModel
from planner.exact import solve_exact
from planner.policies.pomdp import TablePolicy
from planner.pomdp import RoutingPOMDP
from planner.simulate import simulate
from planner.table import tabulate

EPISODES = 200_000


def value_shifts(
    old: ObservationModel,
    new: ObservationModel,
    dynamics: Dynamics,
    lambdas: Sequence[float],
    *,
    seed: int,
    episodes: int = EPISODES,
) -> tuple[ValueShift, ...]:
    """Value of the policies planned with OLD and with NEW, each in its own world, and of the old one in the new world.

    Simulated as the policies run: scores are drawn from the observation model's cells and read through its filter. All three meet
    the same random numbers, so their differences are sharper than their values.

    Raises:
        InputError: a lambda is not a positive number.
    """
    worlds = [RoutingPOMDP.assemble(model.cells, dynamics, belief_filter=model.filter) for model in (old, new)]
    tables = [tabulate(world, solve_exact(world, lambdas)) for world in worlds]

    def value(planned: int, lived: int, lam: float) -> float:
        policy = TablePolicy("pomdp", tables[planned], lam)
        rng = np.random.default_rng(seed)
        return float(simulate(worlds[lived], policy, episodes=episodes, rng=rng).returns(lam).mean())

    return tuple(
        ValueShift(lam, old=value(0, 0, lam), new=value(1, 1, lam), kept=value(0, 1, lam))
        for lam in sorted(set(lambdas))
    )
