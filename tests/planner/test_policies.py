from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kde.errors import InputError
from kde.filter import UNIFORM_PRIOR, BeliefFilter, Features, FilterKind, posterior, predict
from planner.batch import CarryBatch, ProposalBatch
from planner.decision import Action, Carry, Proposal, UnknownPolicyError
from planner.policies.catalogue import Catalogue
from planner.pomdp import Transitions
from planner.table import PolicyTable

unit = st.floats(0, 1)


def _proposal(
    step: int = 1, earlier: float = 1.0, newest: float = 0.5, tokens: int = 40, final: bool = False
) -> Proposal:
    return Proposal(step, earlier, newest, tokens, final)


def test_weak_and_strong_ignore_what_they_see() -> None:
    catalogue = Catalogue(None)
    assert catalogue.get("weak").decide(_proposal(newest=0.0), None).action is Action.CONTINUE
    assert catalogue.get("strong").decide(_proposal(newest=1.0), None).action is Action.REGENERATE


@given(unit, unit)
def test_a_threshold_regenerates_below_it(threshold: float, score: float) -> None:
    decision = Catalogue(None).get(f"thr:{threshold!r}").decide(_proposal(newest=score), None)
    assert (decision.action is Action.REGENERATE) == (score < threshold)
    assert decision.belief is None


@given(unit, unit, st.sampled_from(list(Action)), st.tuples(unit, unit))
def test_the_bayes_belief_is_the_array_filters(
    table: PolicyTable, earlier: float, newest: float, action: Action, cuts: tuple[float, float]
) -> None:
    low, high = sorted(cuts)
    before = (low, high - low, 1 - high)
    decision = Catalogue(table).get("pomdp:0.002").decide(_proposal(2, earlier, newest), Carry(before, action))
    q = before[0] if action is Action.CONTINUE else 0.97 * (before[0] + before[2])
    i, j = (min(int(score * 10), 9) for score in (earlier, newest))
    expected = posterior(predict(q, 0.85), table.pomdp.cells[:, i, j], cells=100)
    assert decision.belief == pytest.approx(expected.tolist(), abs=1e-12)
    assert sum(decision.belief or ()) == pytest.approx(1)


@given(unit, unit)
def test_the_memoryless_belief_forgets(table: PolicyTable, earlier: float, newest: float) -> None:
    policy = Catalogue(table).get("pomdp-memoryless:0.002")
    carry = Carry((0.0, 1.0, 0.0), Action.CONTINUE)
    decision = policy.decide(_proposal(2, earlier, newest), carry)
    i, j = (min(int(score * 10), 9) for score in (earlier, newest))
    assert decision.belief == pytest.approx(
        posterior(UNIFORM_PRIOR, table.pomdp.cells[:, i, j], cells=100).tolist(), abs=1e-12
    )


def test_regeneration_happens_where_it_is_worth_its_price(table: PolicyTable) -> None:
    policy = Catalogue(table).get("pomdp:0.002")
    actions = set()
    for newest in np.linspace(0, 1, 21):
        for tokens in (1, 20, 60, 100, 500):
            decision = policy.decide(_proposal(newest=float(newest), tokens=tokens), None)
            assert decision.expected_strong_tokens == pytest.approx(5 + 1.1 * tokens)
            assert decision.break_even_tokens is not None
            assert decision.advantage == pytest.approx(0.002 * (decision.break_even_tokens - 5 - 1.1 * tokens))
            assert (decision.action is Action.REGENERATE) == (decision.break_even_tokens > 5 + 1.1 * tokens)
            actions.add(decision.action)
    assert len(actions) == 2


def test_a_derailed_trace_is_not_worth_anything(table: PolicyTable) -> None:
    carry = Carry((0.0, 1.0, 0.0), Action.CONTINUE)
    decision = Catalogue(table).get("pomdp:0.0005").decide(_proposal(2, 0.1, 0.1, tokens=1), carry)
    assert decision.action is Action.CONTINUE
    assert decision.break_even_tokens == pytest.approx(0, abs=1e-3)


def test_the_belief_must_be_carried(table: PolicyTable) -> None:
    policy = Catalogue(table).get("pomdp:0.002")
    for carry in (None, Carry(None, Action.CONTINUE)):
        with pytest.raises(InputError, match="belief"):
            policy.decide(_proposal(2), carry)
    with pytest.raises(InputError, match="carry"):
        policy.decide(_proposal(1), Carry((1.0, 0.0, 0.0), Action.CONTINUE))


@pytest.mark.parametrize(
    "policy_id", ["", "pomdp", "pomdp:", "pomdp:x", "pomdp:0.1", "thr:", "agg:1", "weak:1", "WEAK"]
)
def test_unknown_policies_are_refused(table: PolicyTable, policy_id: str) -> None:
    with pytest.raises(UnknownPolicyError):
        Catalogue(table).get(policy_id)


@pytest.mark.parametrize("policy_id", ["thr:1.1", "thr:-0.1", "thr:nan"])
def test_thresholds_lie_in_the_unit_interval(policy_id: str) -> None:
    with pytest.raises(InputError, match="threshold"):
        Catalogue(None).get(policy_id)


def test_a_planner_without_a_table_says_so() -> None:
    with pytest.raises(UnknownPolicyError, match="--tables"):
        Catalogue(None).get("pomdp:0.002")


@pytest.mark.parametrize(
    ("scores", "tokens", "field"),
    [
        ((), 1, "scores"),
        ((0.5, float("nan")), 1, r"scores\[1\]"),
        ((1.5,), 1, r"scores\[0\]"),
        ((0.5,), 0, "token_count"),
    ],
)
def test_bad_proposals_are_named(scores: tuple[float, ...], tokens: int, field: str) -> None:
    with pytest.raises(InputError, match=field):
        Proposal.from_scores(scores, tokens=tokens, final=False)


@pytest.mark.parametrize("belief", [(0.5, 0.5, 0.5), (1.5, -0.5, 0.0), (float("nan"), 0.5, 0.5)])
def test_bad_beliefs_are_refused(belief: tuple[float, float, float]) -> None:
    with pytest.raises(InputError, match="belief"):
        Carry(belief, Action.CONTINUE)


@pytest.mark.parametrize("policy_id", ["pomdp:0.002", "pomdp-memoryless:0.0005", "thr:0.4", "weak", "strong"])
@pytest.mark.parametrize("transitions", list(Transitions))
def test_many_decisions_are_the_single_ones(table: PolicyTable, policy_id: str, transitions: Transitions) -> None:
    by_step = replace(
        table.pomdp, p_weak=(0.7, 0.75, 0.8, 0.85, 0.9, 0.95), p_strong=(0.99,) * 5 + (0.96,), transitions=transitions
    )
    policy = Catalogue(replace(table, pomdp=by_step)).get(policy_id)
    rng = np.random.default_rng(1)
    n = 400
    step = rng.integers(1, 9, n)  # some beyond the table's last step
    earlier = np.where(step == 1, 1.0, rng.random(n).round(1))
    batch = ProposalBatch(step, earlier, rng.random(n).round(2), rng.integers(1, 300, n), rng.random(n) < 0.3)
    carries = CarryBatch(rng.dirichlet([1, 1, 1], n), rng.random(n) < 0.5, rng.integers(0, 400, n) / 2)
    found = policy.decide_many(batch, carries)
    for i in range(n):
        proposal = Proposal(
            int(step[i]), float(earlier[i]), float(batch.newest[i]), int(batch.tokens[i]), bool(batch.final[i])
        )
        b0, b1, b2 = carries.belief[i].tolist()
        carry = Carry((b0, b1, b2), Action.REGENERATE if carries.regenerated[i] else Action.CONTINUE, carries.spent[i])
        single = policy.decide(proposal, carry if step[i] > 1 else None)
        assert found.regenerate[i] == (single.action is Action.REGENERATE)
        if single.belief is None:
            assert found.belief is found.break_even_tokens is None
            continue
        assert found.belief is not None
        assert found.break_even_tokens is not None
        assert found.expected_strong_tokens is not None
        assert tuple(found.belief[i].tolist()) == single.belief
        assert found.break_even_tokens[i] == single.break_even_tokens
        assert found.expected_strong_tokens[i] == single.expected_strong_tokens


def test_many_decisions_need_what_one_needs(table: PolicyTable) -> None:
    policy = Catalogue(table).get("pomdp:0.002")
    one = np.ones(2)
    first = ProposalBatch(np.array([1, 1]), one, one / 2, one * 40, np.array([False, True]))
    assert policy.decide_many(first, None).belief is not None
    with pytest.raises(InputError, match="belief"):
        policy.decide_many(replace(first, step=np.array([1, 2])), None)


def test_a_table_is_read_with_its_own_filter(table: PolicyTable) -> None:
    tempered = BeliefFilter(kind=FilterKind.TEMPERED, features=Features.NEWEST, exponent=0.5)
    filtered = Catalogue(replace(table, pomdp=replace(table.pomdp, filter=tempered)))
    as_if = Catalogue(replace(table, pomdp=replace(table.pomdp, cells=tempered.observation_cells(table.pomdp.cells))))
    proposal, carry = _proposal(2, 0.7, 0.3), Carry((0.6, 0.3, 0.1), Action.CONTINUE)
    expected = as_if.get("pomdp:0.002").decide(proposal, carry)
    assert filtered.get("pomdp:0.002").decide(proposal, carry).belief == pytest.approx(expected.belief)
    plain = Catalogue(table).get("pomdp:0.002").decide(proposal, carry)
    assert filtered.get("pomdp:0.002").decide(proposal, carry).belief != plain.belief
    forgetful = Catalogue(replace(table, pomdp=replace(table.pomdp, filter=BeliefFilter(kind=FilterKind.MEMORYLESS))))
    memoryless = Catalogue(table).get("pomdp-memoryless:0.002").decide(proposal, carry)
    assert forgetful.get("pomdp:0.002").decide(proposal, carry).belief == memoryless.belief
    assert filtered.get("pomdp-memoryless:0.002").decide(proposal, carry).belief == memoryless.belief
