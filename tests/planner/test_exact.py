from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kde.errors import InputError
from kde.filter import BeliefFilter, Features, FilterKind
from kde.hazard import load_hazard
from kde.tokens import TokenModel
from planner.decision import Action, Carry, Proposal
from planner.exact import solve_exact
from planner.policies.pomdp import TablePolicy
from planner.pomdp import RoutingPOMDP, Transitions
from planner.table import tabulate
from tests.conftest import synthetic_cells
from tests.twins import enumerated_value, looped_value, simulated_return

GOLDEN = {0.0005: 0.847819, 0.0015: 0.757710, 0.0025: 0.678131, 0.0045: 0.540720, 0.0075: 0.406048}


@pytest.fixture(scope="module")
def math_train(reference: Path) -> RoutingPOMDP:
    golden = np.load(reference / "observations" / "math-train_bins_0.05.npz")
    return RoutingPOMDP(
        cells=np.stack([golden[f"S{k}_probs"].reshape(20, 20) for k in range(3)]),
        p_weak=0.866,
        p_strong=0.9704,
        hazard=load_hazard(f"{reference / 'dynamics' / 'math_train_terminal_predictors.json'}:slm"),
        tokens=TokenModel(counts=(60,), weights=(1,)),
    )


def test_golden_values(math_train: RoutingPOMDP) -> None:
    for solution in solve_exact(math_train, list(GOLDEN)):
        assert solution.value == pytest.approx(GOLDEN[solution.lam], abs=1e-4)
        assert solution.lower <= GOLDEN[solution.lam] + 1e-6
        assert solution.upper >= GOLDEN[solution.lam] - 1e-6
        assert solution.gap <= 1e-4


def test_golden_break_even_tokens(math_train: RoutingPOMDP) -> None:
    (solution,) = solve_exact(math_train, [0.0025], gap=2e-6)
    counts = solution.break_even_tokens(np.array([[0.5, 0.2, 0.3], [0.1, 0.3, 0.6]]))
    assert counts[0, 0, 0] == pytest.approx(79.753, abs=2e-3)
    assert counts[9, 0, 1] == pytest.approx(190.288, abs=2e-3)
    assert counts[:, 1, 0] == pytest.approx(110.528, abs=1e-9)
    assert counts[29, 0, 0] == pytest.approx(110.528, abs=1e-9)


def _small(
    accuracies: list[tuple[float, float]],
    hazard: list[float],
    counts: tuple[float, float],
    sharpness: float,
    transitions: Transitions,
) -> RoutingPOMDP:
    cells = synthetic_cells(2, 2) ** sharpness
    steps = len(hazard) + 1
    weak, strong = zip(*accuracies[:steps], strict=True)
    return RoutingPOMDP(
        cells=cells / cells.sum(axis=(1, 2), keepdims=True),
        p_weak=weak if steps == len(weak) else weak[0],
        p_strong=strong if steps == len(strong) else strong[0],
        hazard=np.array([*hazard, 1.0]),
        tokens=TokenModel(counts=counts, weights=(0.3, 0.7)),
        transitions=transitions,
    )


small_pomdps = st.builds(
    _small,
    st.lists(st.tuples(st.floats(0.05, 0.95), st.floats(0.05, 0.99)), min_size=1, max_size=3),
    st.lists(st.floats(0, 1), min_size=0, max_size=2),
    st.tuples(st.floats(1, 50), st.floats(50, 300)),
    st.floats(0.5, 2),
    st.sampled_from(list(Transitions)),
)


@settings(max_examples=25)
@given(small_pomdps, st.sampled_from([0.0003, 0.002, 0.01]))
def test_the_bounds_hold_the_value_of_the_whole_decision_tree(pomdp: RoutingPOMDP, lam: float) -> None:
    (solution,) = solve_exact(pomdp, [lam])
    value = enumerated_value(pomdp, lam)
    assert solution.lower - 1e-12 <= value <= solution.upper + 1e-12
    assert solution.gap <= 1e-4


@given(small_pomdps, st.sampled_from([0.0003, 0.002, 0.01]))
def test_values_after_acting_are_convex_and_monotone(pomdp: RoutingPOMDP, lam: float) -> None:
    (solution,) = solve_exact(pomdp, [lam])
    rises = np.diff(solution.after_continue, axis=1)
    assert (rises >= -1e-12).all()
    assert (np.diff(rises / np.diff(solution.grid), axis=1) >= -1e-9).all()


def test_the_upper_bound_is_the_looped_twins_value(pomdp: RoutingPOMDP) -> None:
    (solution,) = solve_exact(pomdp, [0.002])
    assert solution.upper == pytest.approx(looped_value(pomdp, 0.002, solution.grid), abs=1e-12)


def test_the_upper_bound_follows_accuracies_by_step(pomdp: RoutingPOMDP) -> None:
    by_step = replace(pomdp, p_weak=tuple(np.linspace(0.7, 0.9, 6)), p_strong=tuple(np.linspace(0.99, 0.9, 6)))
    (solution,) = solve_exact(by_step, [0.002])
    assert solution.upper == pytest.approx(looped_value(by_step, 0.002, solution.grid), abs=1e-12)
    constant = replace(pomdp, p_weak=(0.85,) * 6, p_strong=(0.97,) * 6)
    assert solve_exact(constant, [0.002])[0].value == solve_exact(pomdp, [0.002])[0].value


def test_the_papers_transitions_spare_the_step_after_a_repair(pomdp: RoutingPOMDP) -> None:
    (two_stage,) = solve_exact(pomdp, [0.002])
    (paper,) = solve_exact(replace(pomdp, transitions=Transitions.PAPER), [0.002])
    assert paper.value > two_stage.value
    assert (paper.after_regenerate[1:] >= paper.after_continue[1:] - 1e-12).all()
    assert (two_stage.after_regenerate == two_stage.after_continue).all()


def test_a_filter_is_planned_with(pomdp: RoutingPOMDP) -> None:
    tempered = BeliefFilter(kind=FilterKind.TEMPERED, features=Features.NEWEST, exponent=0.5)
    filtered = replace(pomdp, filter=tempered)
    as_if = replace(pomdp, cells=tempered.observation_cells(pomdp.cells))
    assert solve_exact(filtered, [0.002])[0].value == solve_exact(as_if, [0.002])[0].value
    assert solve_exact(filtered, [0.002])[0].value != solve_exact(pomdp, [0.002])[0].value


def test_a_cheaper_token_never_hurts(pomdp: RoutingPOMDP) -> None:
    values = [solution.value for solution in solve_exact(pomdp, [0.0001, 0.001, 0.003, 0.01, 0.1])]
    assert values == sorted(values, reverse=True)
    assert values[-1] >= 0.85**6 - 1e-4


def test_a_smaller_gap_tightens_both_bounds(pomdp: RoutingPOMDP) -> None:
    (loose,) = solve_exact(pomdp, [0.002], gap=1e-2)
    (tight,) = solve_exact(pomdp, [0.002], gap=1e-6)
    assert loose.lower <= tight.lower <= tight.upper <= loose.upper
    for gap in (1e-15, 0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="gap"):
            solve_exact(pomdp, [0.002], gap=gap)
    with pytest.raises(InputError, match="at least one"):
        solve_exact(pomdp, [])


@pytest.mark.parametrize("lam", [0.0, -1.0, float("nan"), float("inf")])
def test_lambdas_are_positive_numbers(pomdp: RoutingPOMDP, lam: float) -> None:
    with pytest.raises(InputError, match="lambda"):
        solve_exact(pomdp, [lam])


def test_the_table_policy_earns_its_value_in_simulation(pomdp: RoutingPOMDP) -> None:
    blind_to_m = replace(pomdp, cells=pomdp.cells.sum(axis=1, keepdims=True))  # at a real first step m is always 1
    (solution,) = solve_exact(blind_to_m, [0.002])
    policy = TablePolicy("pomdp:0.002", tabulate(blind_to_m, [solution]), 0.002)

    def decide(step: int, r: float, tokens: int, final: bool, carry: Carry | None) -> tuple[Carry, bool]:
        decision = policy.decide(Proposal(step, 1.0, r, tokens, final), carry)
        return decision.carry, decision.action is Action.REGENERATE

    returns = simulated_return(blind_to_m, 0.002, decide, 6000, np.random.default_rng(5))
    assert abs(returns.mean() - solution.value) < 3 * returns.std(ddof=1) / np.sqrt(len(returns))
