from dataclasses import replace

import numpy as np
import pytest

from kde.errors import InputError
from kde.filter import BeliefFilter, Features, FilterKind
from kde.tokens import TokenModel
from planner.calibrate import Target, calibrate
from planner.diagnostics import examine
from planner.difference import differences
from planner.exact import solve_exact
from planner.literal import TOKEN_COUNTS, ActionTable
from planner.policies.pomdp import TablePolicy
from planner.pomdp import RoutingPOMDP
from planner.rehearsal import Stage
from planner.table import PolicyEntry, PolicyTable, tabulate
from planner.verify import verify

EPISODES = 10_000


def test_a_good_table_holds(table: PolicyTable) -> None:
    report = verify(table, episodes=EPISODES, seed=0)
    assert report.holds
    assert report.weak < report.strong
    assert not report.findings
    for verdict in report.verdicts:
        assert verdict.bounds_agree
        assert verdict.simulation_agrees
        assert verdict.largest_difference < 1
        assert verdict.planned == verdict.in_use  # the filter is Bayes's: what runs is what was planned
    costs = [verdict.in_use.c.value for verdict in report.verdicts]
    assert costs == sorted(costs, reverse=True)
    assert report.curve.cpt(0.1) < 0.1
    assert report.curve.delta_ibc() > 0.5


def test_a_table_that_claims_too_much_does_not(table: PolicyTable) -> None:
    first, *rest = table.entries
    boasting = replace(
        table, entries=(PolicyEntry(first.lam, first.value + 0.1, first.lower + 0.1, first.upper + 0.1), *rest)
    )
    report = verify(boasting, episodes=EPISODES, seed=0)
    assert not report.holds
    assert not report.verdicts[0].bounds_agree
    assert not report.verdicts[0].simulation_agrees
    assert report.verdicts[1].bounds_agree


def test_a_table_whose_counts_were_changed_does_not(table: PolicyTable) -> None:
    lazy = replace(table, break_even=np.zeros_like(table.break_even))
    report = verify(lazy, episodes=EPISODES, seed=0)
    assert not report.verdicts[0].simulation_agrees
    assert report.verdicts[0].largest_difference > 100


def test_a_tempered_table_holds_in_its_own_model_and_differs_in_use(pomdp: RoutingPOMDP) -> None:
    filtered = replace(pomdp, filter=BeliefFilter(kind=FilterKind.TEMPERED, features=Features.NEWEST, exponent=0.5))
    (verdict,) = verify(tabulate(filtered, solve_exact(filtered, [0.002])), episodes=EPISODES, seed=0).verdicts
    assert verdict.simulation_agrees
    assert verdict.planned != verdict.in_use


@pytest.mark.parametrize(("target", "wanted"), [(Target.COST, 0.2), (Target.GAIN, 0.8)])
def test_calibration_meets_its_target(pomdp: RoutingPOMDP, target: Target, wanted: float) -> None:
    found = calibrate(pomdp, target, wanted, episodes=EPISODES, seed=0)
    stage = Stage.of(pomdp, episodes=EPISODES, seed=0)

    def at(lam: float) -> float:
        done = stage.rehearse(TablePolicy("p", tabulate(pomdp, solve_exact(pomdp, [lam])), lam), lam)
        return done.c.value if target is Target.COST else done.pgr.value

    if target is Target.COST:
        assert at(found.lam) <= wanted < at(found.lam / 1.001)
    else:
        assert at(found.lam) >= wanted > at(found.lam * 1.001)
    assert found.low <= found.lam * 1.001
    assert found.high >= found.lam / 1.001
    assert found.high < 1.5 * found.low
    fresh = calibrate(pomdp, target, wanted, episodes=EPISODES, seed=1)
    assert found.low / 1.1 <= fresh.lam <= found.high * 1.1
    with pytest.raises(InputError, match="the policies reach"):
        calibrate(pomdp, target, 5.0, episodes=1000, seed=0)


def test_a_table_does_not_differ_from_itself(table: PolicyTable) -> None:
    for difference in differences(table, table, episodes=1000, seed=0):
        assert not difference.differs.any()
        assert difference.centre is None
        assert difference.cost_in_first.value == difference.cost_in_second.value == 0


def test_following_the_other_table_costs(table: PolicyTable, pomdp: RoutingPOMDP) -> None:
    dreary = replace(pomdp, p_weak=0.5)
    other = tabulate(dreary, solve_exact(dreary, [0.002]), resolution=20)
    (difference,) = differences(table, other, episodes=40_000, seed=0)
    assert difference.lam == 0.002
    assert 0 < difference.differs.mean() < 0.5
    assert not difference.differs[:, 1].any()  # what a repair is worth at the end depends on p_s alone
    assert difference.centre is not None
    assert difference.centre.sum() == pytest.approx(1)
    for cost in (difference.cost_in_first, difference.cost_in_second):
        assert cost.value > 0
    with pytest.raises(InputError, match="lambda"):
        differences(table, tabulate(dreary, solve_exact(dreary, [0.5])), episodes=10, seed=0)
    short = replace(pomdp, hazard=np.array([0.5, 1.0]))
    with pytest.raises(InputError, match="max_steps"):
        differences(table, tabulate(short, solve_exact(short, [0.002])), episodes=10, seed=0)


def test_the_literal_table_is_the_tables_actions(table: PolicyTable) -> None:
    actions = ActionTable.of(table, 0.002)
    assert actions.regenerate.shape == (861, 18, 6)
    assert (TOKEN_COUNTS[0], TOKEN_COUNTS[-1], len(TOKEN_COUNTS)) == (5, 500, 18)
    rng = np.random.default_rng(0)
    for _ in range(300):
        b, c, t = rng.integers(861), rng.integers(18), rng.integers(6)
        b0, b1, b2 = actions.beliefs[b].tolist()
        for final, regenerate in ((False, actions.regenerate), (True, actions.regenerate_final)):
            break_even = table.lookup(1, int(t) + 1, (b0, b1, b2), final=final)
            assert regenerate[b, c, t] == (5 + 1.1 * TOKEN_COUNTS[c] < break_even)


def kinds(pomdp: RoutingPOMDP, lam: float) -> list[str]:
    return [finding.kind for finding in examine(tabulate(pomdp, solve_exact(pomdp, [lam])))]


def test_nothing_is_said_of_a_good_table(table: PolicyTable) -> None:
    assert examine(table) == []


def test_prices_out_of_the_useful_range_are_named(pomdp: RoutingPOMDP) -> None:
    assert kinds(pomdp, 0.5) == ["lambda_too_high"]
    assert kinds(pomdp, 1e-9) == ["lambda_too_low"]


def test_a_policy_that_never_or_always_regenerates_is_named(pomdp: RoutingPOMDP) -> None:
    blind = replace(pomdp, cells=np.ones((3, 2, 2)) / 4)
    assert kinds(blind, 0.01)[-1] == "never_regenerates"
    assert kinds(blind, 0.0001)[-1] == "always_regenerates"


def test_classes_that_cannot_be_told_apart_are_named(pomdp: RoutingPOMDP) -> None:
    cells = pomdp.cells.copy()
    cells[2] = 0.95 * cells[0] + 0.05 * cells[2]
    found = examine(tabulate(replace(pomdp, cells=cells), solve_exact(replace(pomdp, cells=cells), [0.002])))
    assert found[0].kind == "classes_alike"
    assert "S0 and S2" in found[0].message
    assert found[0].lam is None


def test_the_range_that_is_named_is_useful(pomdp: RoutingPOMDP) -> None:
    one = replace(pomdp, tokens=TokenModel(counts=(100,), weights=(1,)))
    (finding,) = examine(tabulate(one, solve_exact(one, [0.5])))
    limit = float(finding.message.rpartition(" ")[2])
    assert "lambda_too_high" in kinds(one, 1.05 * limit)
    assert "lambda_too_high" not in kinds(one, 0.95 * limit)
