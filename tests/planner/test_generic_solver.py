"""The exact value against pomdp-toolkit, an independent solver of any finite POMDP."""

import numpy as np
import pytest
from pomdp_toolkit import POMDP, Belief
from pomdp_toolkit.solvers import PBVI_SSGA, VI

from kde.tokens import TokenModel
from planner.exact import solve_exact
from planner.explicit import ExplicitPOMDP
from planner.pomdp import RoutingPOMDP, Transitions
from tests.conftest import synthetic_cells


@pytest.mark.parametrize("transitions", list(Transitions))
@pytest.mark.parametrize("lam", [0.0005, 0.002, 0.006])
def test_its_bounds_contain_ours(transitions: Transitions, lam: float) -> None:
    pomdp = RoutingPOMDP(
        cells=synthetic_cells(2, 2),
        p_weak=0.7,
        p_strong=0.95,
        hazard=np.array([0.1, 0.4, 1.0]),
        tokens=TokenModel(counts=(60,), weights=(1,)),
        transitions=transitions,
    )
    model = ExplicitPOMDP.of(pomdp, lam)
    n_s, n_a, _ = model.transition.shape
    n_o = model.observation.shape[1]
    generic = POMDP(
        states=n_s,
        actions=n_a,
        observations=n_o,
        transition_table=model.transition,
        observation_table=np.repeat(model.observation[:, None], n_a, axis=1),
        reward_table=np.broadcast_to(model.reward[:, :, None, None], (n_s, n_a, n_s, n_o)),
        start_probabilities=model.initial,
        end_states=[n_s - 1],
    )
    start = Belief(generic)
    options = {"gamma": model.discount, "eps": 1e-14, "print_progress": False}
    hindsight, _ = VI.solve(generic, horizon=20, **options)
    policy, _ = PBVI_SSGA.solve(generic, expansions=8, max_belief_growth=60, print_stats=False, rng=0, **options)
    upper, lower = (float(value.evaluate_at(start)[0]) for value in (hindsight, policy))
    (ours,) = solve_exact(pomdp, [lam], gap=1e-8)
    value = ours.value * model.discount  # it starts one step before the first proposal
    assert lower - 1e-9 <= value <= upper + 1e-9
    assert value == pytest.approx(lower, abs=2e-4)
    assert upper < value + 0.2
