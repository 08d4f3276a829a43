"""The hard budget: solved exactly, never exceeded, served like any policy."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kde.errors import ArtefactError, InputError
from kde.filter import MEMORYLESS
from kde.tokens import TokenModel
from planner.budget import BudgetTable, solve_budget
from planner.decision import Action, Carry, Proposal
from planner.policies.budget import BudgetPolicy
from planner.policies.catalogue import Catalogue
from planner.policies.learned import LearnedPolicy
from planner.policies.offer import Offer
from planner.pomdp import RoutingPOMDP, Transitions
from planner.rehearsal import Estimate
from planner.simulate import Episodes, simulate
from planner.table import PolicyTable
from tests.conftest import synthetic_cells
from tests.twins import enumerated_budget_value


def _run(pomdp: RoutingPOMDP, table: BudgetTable, budget: float, episodes: int = 20_000) -> Episodes:
    policy = BudgetPolicy(f"budget:{budget}", table, budget)
    return simulate(pomdp, policy, episodes=episodes, rng=np.random.default_rng(4))


@pytest.mark.parametrize("transitions", list(Transitions))
@pytest.mark.parametrize("budget", [0.0, 20.0, 50.0, 70.0, 100.0])
def test_the_value_is_that_of_the_whole_decision_tree(transitions: Transitions, budget: float) -> None:
    small = RoutingPOMDP(
        cells=synthetic_cells(2, 2),
        p_weak=0.7,
        p_strong=0.95,
        hazard=np.array([0.2, 0.4, 1.0]),
        tokens=TokenModel(counts=(20, 50), weights=(0.5, 0.5)),
        transitions=transitions,
    )
    table = solve_budget(small, 100.0, levels=10)
    assert table.value(budget) == pytest.approx(enumerated_budget_value(small, budget), abs=1e-3)


@pytest.mark.parametrize("budget", [0.0, 60.0, 150.0, 400.0])
def test_it_earns_at_least_what_was_planned(pomdp: RoutingPOMDP, budget_table: BudgetTable, budget: float) -> None:
    done = Estimate.mean(_run(pomdp, budget_table, budget).correct)
    assert done.value >= budget_table.value(budget) - 3 * done.standard_error
    assert done.value <= budget_table.value(budget) + 0.002 + 3 * done.standard_error  # interpolation errs upwards


def test_more_buys_more(budget_table: BudgetTable) -> None:
    values = [budget_table.value(budget) for budget in np.linspace(0, 400, 41)]
    assert (np.diff(values) >= -1e-6).all()
    assert values[-1] > values[0] + 0.1


def test_nothing_to_spend_is_the_weak_model_alone(pomdp: RoutingPOMDP, budget_table: BudgetTable) -> None:
    done = _run(pomdp, budget_table, 0.0, episodes=2_000)
    weak = simulate(pomdp, Catalogue(None).get("weak"), episodes=2_000, rng=np.random.default_rng(4))
    assert (done.correct == weak.correct).all()
    assert not done.strong_tokens.any()


@settings(max_examples=20)
@given(
    st.floats(0, 300),
    st.lists(st.floats(1, 120), min_size=1, max_size=3, unique=True),
    st.floats(0, 30),
    st.floats(0.1, 2),
    st.integers(1, 30),
    st.booleans(),
)
def test_the_budget_is_never_exceeded(
    budget: float, counts: list[float], intercept: float, slope: float, levels: int, forgetful: bool
) -> None:
    weights = tuple(1 / len(counts) for _ in counts)
    tokens = TokenModel(counts=tuple(sorted(counts)), weights=weights, strong_intercept=intercept, strong_slope=slope)
    world = RoutingPOMDP(
        cells=synthetic_cells(3, 3), p_weak=0.6, p_strong=0.9, hazard=np.array([0, 0.1, 0.2, 1.0]), tokens=tokens
    )
    world = replace(world, filter=MEMORYLESS) if forgetful else world
    done = _run(world, solve_budget(world, 300.0, levels=levels), budget, episodes=300)
    assert done.strong_tokens.max() <= budget


def test_what_was_really_spent_counts(budget_table: BudgetTable) -> None:
    policy = BudgetPolicy("budget:200", budget_table, 200)
    low = Proposal(2, 0.9, 0.01, 60, final=True)
    decided = policy.decide(low, Carry((0.9, 0.05, 0.05), Action.REGENERATE, 100.0))
    assert decided.action is Action.REGENERATE
    assert decided.spent == pytest.approx(100 + 5 + 1.1 * 60)
    assert decided.carry.spent == decided.spent
    spent_more = policy.decide(low, Carry((0.9, 0.05, 0.05), Action.REGENERATE, 150.0))
    assert spent_more.action is Action.CONTINUE
    assert spent_more.spent == 150
    overdrawn = policy.decide(low, Carry((0.9, 0.05, 0.05), Action.REGENERATE, 250.0))
    assert overdrawn.action is Action.CONTINUE


def test_it_must_be_told(budget_table: BudgetTable) -> None:
    policy, later = BudgetPolicy("budget:200", budget_table, 200), Proposal(2, 0.9, 0.1, 60, final=False)
    with pytest.raises(InputError, match="spent_tokens"):
        policy.decide(later, Carry((1.0, 0.0, 0.0), Action.CONTINUE))
    with pytest.raises(InputError, match="belief"):
        policy.decide(later, Carry(None, Action.CONTINUE, 0.0))
    for budget in (-1.0, 401.0, float("nan")):
        with pytest.raises(InputError, match="budget"):
            BudgetPolicy("budget:x", budget_table, budget)


@pytest.mark.parametrize(("most", "levels", "field"), [(0.0, 10, "most"), (9.0, 0, "levels"), (9.0, 5000, "levels")])
def test_impossible_tables_are_refused(pomdp: RoutingPOMDP, most: float, levels: int, field: str) -> None:
    with pytest.raises(InputError, match=field):
        solve_budget(pomdp, most, levels=levels)


def test_a_folder_of_artefacts_offers_all_of_them(
    table: PolicyTable, budget_table: BudgetTable, learned: LearnedPolicy, tmp_path: Path
) -> None:
    table.save(tmp_path / "table")
    budget_hash, learned_hash = budget_table.save(tmp_path / "budget"), learned.save(tmp_path / "agg")
    offered = Offer.load(tmp_path).catalogue
    assert offered.get("budget:200").table_hash == budget_hash
    assert offered.get("agg:0.002").table_hash == learned_hash
    assert offered.get("pomdp:0.002").id == "pomdp:0.002"
    assert list(offered.learned) == [0.002]
    shown, carry = Proposal(2, 0.7, 0.3, 40, final=False), Carry((0.6, 0.3, 0.1), Action.CONTINUE, 20.0)
    for name, policy in (("budget:200", BudgetPolicy("budget:200", budget_table, 200)), ("agg:0.002", learned)):
        assert replace(offered.get(name).decide(shown, carry), table_hash="") == policy.decide(shown, carry)
    budget_table.save(tmp_path / "another")
    with pytest.raises(InputError, match="keep one"):
        Offer.load(tmp_path)


def test_a_damaged_table_is_refused(budget_table: BudgetTable, tmp_path: Path) -> None:
    budget_table.save(tmp_path)
    arrays = tmp_path / "budget.safetensors"
    arrays.write_bytes(arrays.read_bytes()[:-1] + b"x")
    with pytest.raises(ArtefactError):
        BudgetTable.load(tmp_path)
