"""The step-level policies beside TRIM-Thr and TRIM-POMDP."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kde.errors import InputError
from kde.samples import StepClass
from planner.batch import CarryBatch, ProposalBatch
from planner.decision import Action, Carry, Proposal, UnknownPolicyError
from planner.exact import solve_exact
from planner.local import LocalPlanner
from planner.policies.catalogue import Catalogue
from planner.policies.columns import ProposalColumns
from planner.policies.online import OnlinePolicy
from planner.policies.oracle import OraclePolicy, solve_oracle
from planner.policies.pomdp import TablePolicy
from planner.pomdp import RoutingPOMDP, Transitions
from planner.rehearsal import Estimate
from planner.service.batches import decide_batch
from planner.simulate import simulate
from planner.table import PolicyTable, tabulate

unit = st.floats(0, 1)
LAM = 0.002


def _proposals(n: int, seed: int = 0) -> ProposalBatch:
    rng = np.random.default_rng(seed)
    step = rng.integers(1, 9, n)
    earlier = np.where(step == 1, 1.0, rng.random(n))
    return ProposalBatch(step, earlier, rng.random(n), rng.integers(1, 300, n), rng.random(n) < 0.3)


def _chosen(policy_id: str, proposals: ProposalBatch) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    return Catalogue(None).get(policy_id).decide_many(proposals, None).regenerate


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_the_coin_falls_as_often_as_it_should(p: float) -> None:
    share = _chosen(f"random:{p}", _proposals(20_000)).mean()
    assert abs(share - p) <= 4 * np.sqrt(p * (1 - p) / 20_000)


def test_the_coin_of_a_proposal_is_the_same_everywhere_and_another_under_another_seed() -> None:
    shown = _proposals(2_000)
    again, other = _chosen("random:0.5", shown), _chosen("random:0.5:1", shown)
    assert (again == _chosen("random:0.5:0", shown)).all()
    assert 0.4 < (again == other).mean() < 0.6
    fewer = _chosen("random:0.3", shown)
    assert (again | ~fewer).all()  # whoever falls below 0.3 falls below 0.5
    for column in ("step", "earlier", "newest", "tokens"):  # every number that is shown turns the coin
        changed = replace(shown, **{column: getattr(shown, column)[::-1].copy()})
        assert 0.4 < (again == _chosen("random:0.5", changed)).mean() < 0.6


@given(st.lists(st.tuples(unit, st.integers(1, 99)), min_size=1, max_size=12), unit)
def test_one_step_thr_hands_over_for_good(steps: list[tuple[float, int]], threshold: float) -> None:
    policy, carry, actions = Catalogue(None).get(f"one-step-thr:{threshold!r}"), None, []
    for t, (score, tokens) in enumerate(steps, start=1):
        decision = policy.decide(Proposal(t, 1.0, score, tokens, final=False), carry)
        actions.append(decision.action)
        carry = decision.carry
    low = [score < threshold for score, _ in steps]
    handed_over = low.index(True) if any(low) else len(low)
    assert actions == [Action.CONTINUE] * handed_over + [Action.REGENERATE] * (len(low) - handed_over)


def test_one_step_thr_must_be_told_what_was_done() -> None:
    policy = Catalogue(None).get("one-step-thr:0.5")
    with pytest.raises(InputError, match="last_action"):
        policy.decide(Proposal(2, 0.9, 0.9, 9, final=False), None)
    with pytest.raises(InputError, match="step 1"):
        policy.decide(Proposal(1, 1.0, 0.9, 9, final=False), Carry(None, Action.CONTINUE))
    with pytest.raises(InputError, match="last_action"):
        policy.decide_many(_proposals(9), None)


@given(unit)
def test_rsd_is_its_published_threshold(score: float) -> None:
    action = Catalogue(None).get("rsd").decide(Proposal(1, 1.0, score, 9, final=False), None).action
    assert (action is Action.REGENERATE) == (score < 0.7)


@given(st.integers(0, 9), st.integers(0, 9))
def test_specreason_accepts_what_has_enough_points(wanted: int, points: int) -> None:
    policy = Catalogue(None).get(f"specreason:{wanted}")
    action = policy.decide(Proposal(1, 1.0, points / 9, 9, final=False), None).action
    assert (action is Action.CONTINUE) == (points >= wanted)


@pytest.mark.parametrize(
    "policy_id", ["random", "random:", "random:2", "random:0.5:x", "random:0.5:-1", "random:0.5:1e3", "rsd:0.7"]
)
def test_malformed_ids_are_refused(policy_id: str) -> None:
    with pytest.raises(InputError):
        Catalogue(None).get(policy_id)


@pytest.mark.parametrize("policy_id", ["specreason:7.5", "specreason:10", "specreason:-1", "one-step-thr:1.5"])
def test_parameters_out_of_range_are_refused(policy_id: str) -> None:
    with pytest.raises(InputError, match="threshold"):
        Catalogue(None).get(policy_id)


@pytest.mark.parametrize(
    ("policy_id", "remedy"), [("budget:9", "trim tables budget"), ("agg:0.1", "trim train"), ("oracle:0.1", "--tables")]
)
def test_a_planner_without_the_artefact_says_which_it_wants(policy_id: str, remedy: str) -> None:
    with pytest.raises(UnknownPolicyError, match=remedy):
        Catalogue(None).get(policy_id)


@pytest.mark.parametrize("transitions", list(Transitions))
def test_the_oracle_earns_its_value_and_dominates(
    pomdp: RoutingPOMDP, catalogue: Catalogue, transitions: Transitions
) -> None:
    world = replace(pomdp, transitions=transitions)
    oracle = OraclePolicy("oracle:0.002", world, LAM)
    value = solve_oracle(world, LAM).value
    assert value > solve_exact(world, [LAM])[0].upper
    best = simulate(world, oracle, episodes=20_000, rng=np.random.default_rng(2)).returns(LAM)
    assert Estimate.mean(best).holds(value)
    for name in ("weak", "strong", "rsd", "one-step-thr:0.4", "random:0.3", "pomdp:0.002", "budget:150", "agg:0.002"):
        other = simulate(world, catalogue.get(name), episodes=20_000, rng=np.random.default_rng(2)).returns(LAM)
        assert Estimate.mean(best - other).value > 0


@pytest.mark.parametrize("transitions", list(Transitions))
def test_solved_online_is_the_solution_itself(pomdp: RoutingPOMDP, transitions: Transitions) -> None:
    world = replace(pomdp, transitions=transitions)
    (solution,) = solve_exact(world, [LAM], gap=1e-5)
    table = tabulate(world, [solution])
    online, shown = OnlinePolicy("pomdp-online:0.002", table, LAM), _proposals(300)
    rng = np.random.default_rng(1)
    carries = CarryBatch(rng.dirichlet([1, 1, 1], 300), rng.random(300) < 0.5, np.zeros(300))
    decided = online.decide_many(shown, carries)
    assert decided.belief is not None
    steps = np.minimum(shown.step, world.max_steps) - 1
    every = solution.break_even_tokens(decided.belief)
    assert decided.break_even_tokens == pytest.approx(every[steps, shown.final.astype(int), np.arange(300)])
    read = TablePolicy("pomdp:0.002", table, LAM).decide_many(shown, carries).break_even_tokens
    assert read == pytest.approx(decided.break_even_tokens, abs=5)  # the lattice's error


def test_solved_online_needs_a_lambda_of_the_table(table: PolicyTable) -> None:
    with pytest.raises(UnknownPolicyError, match="0.0005, 0.002, 0.006"):
        Catalogue(table).get("pomdp-online:0.003")
    first = Proposal(1, 1.0, 0.4, 30, final=False)
    assert Catalogue(table).get("pomdp-online:0.002").decide(first, None).table_hash == table.content_hash


def test_the_oracle_decides_single_proposals_like_many(catalogue: Catalogue) -> None:
    oracle = catalogue.get("oracle:0.002")
    shown = replace(_proposals(300), classes=np.random.default_rng(1).integers(0, 3, 300))
    many = oracle.decide_many(shown, None)
    assert shown.classes is not None
    assert many.break_even_tokens is not None
    for i in range(300):
        truth = StepClass(int(shown.classes[i]))
        numbers = int(shown.step[i]), float(shown.earlier[i]), float(shown.newest[i]), int(shown.tokens[i])
        single = oracle.decide(Proposal(*numbers, bool(shown.final[i]), truth), None)
        assert (single.action is Action.REGENERATE) == many.regenerate[i]
        assert single.break_even_tokens == many.break_even_tokens[i]


async def test_nobody_is_served_the_truth(catalogue: Catalogue) -> None:
    proposal = Proposal(1, 1.0, 0.5, 9, final=False)
    with pytest.raises(InputError, match="no planner serves it"):
        await LocalPlanner(catalogue).decide("oracle:0.002", proposal, None)
    with pytest.raises(InputError, match="true class"):
        catalogue.get("oracle:0.002").decide_many(_proposals(3), None)
    ids, columns = ("weak", "oracle:0.002"), ProposalColumns.gather([(proposal, None)] * 4)
    decided = decide_batch(catalogue, ids, np.array([0, 1, 0, 1]), columns)
    assert list(decided.refusals) == [1, 3]
    assert decided.decisions.actions.tolist() == [1, 0, 1, 0]


def test_carried_tokens_are_a_count() -> None:
    for spent in (-1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="spent_tokens"):
            Carry(None, Action.CONTINUE, spent)


def test_a_carry_batch_is_read_row_by_row(catalogue: Catalogue) -> None:
    n = 60
    shown, rng = _proposals(n), np.random.default_rng(3)
    carries = CarryBatch(rng.dirichlet([1, 1, 1], n), rng.random(n) < 0.5, rng.random(n) * 400)
    order = rng.permutation(n)
    for name in ("one-step-thr:0.4", "budget:300", "agg:0.002", "random:0.4"):
        policy = catalogue.get(name)
        shuffled = ProposalBatch(
            shown.step[order], shown.earlier[order], shown.newest[order], shown.tokens[order], shown.final[order]
        )
        moved = CarryBatch(carries.belief[order], carries.regenerated[order], carries.spent[order])
        expected = policy.decide_many(shown, carries).regenerate[order]
        assert (policy.decide_many(shuffled, moved).regenerate == expected).all()
