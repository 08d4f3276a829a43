"""Metrics of policies and of families, with intervals."""

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.baselines.paired import PairedAnswers, Queries
from inference.evaluate.comparison import Comparison
from inference.evaluate.families import FAMILIES, Offered, all_policies, family_of, left_out, parameter_of
from inference.evaluate.results import Results
from kde.errors import InputError


def results(count: int = 400) -> Results:
    difficulty = np.random.default_rng(0).random(count)
    correct = {
        "weak": difficulty < 0.4,
        "strong": difficulty < 0.9,
        "thr:0.2": difficulty < 0.6,
        "thr:0.8": difficulty < 0.8,
    }
    tokens = {"weak": 0.0, "strong": 100.0, "thr:0.2": 10.0, "thr:0.8": 50.0}
    return Results(
        problems=tuple(f"{place:04}" for place in range(count)),
        correct={name: values.astype(float) for name, values in correct.items()},
        strong_tokens={name: np.full(count, value) for name, value in tokens.items()},
    )


def test_a_policys_metrics_by_hand() -> None:
    found = results()
    weak, strong, low = (found.correct[name].mean() for name in ("weak", "strong", "thr:0.2"))
    policy = Comparison(found, seed=0).policy("thr:0.2")
    assert policy.accuracy.value == pytest.approx(low)
    assert policy.c.value == pytest.approx(0.1)
    assert policy.pgr.value == pytest.approx((low - weak) / (strong - weak))
    assert policy.ibc is not None
    assert policy.ibc.value == pytest.approx((low - weak) / 10)
    ends = [Comparison(found, seed=0).policy(name).pgr for name in ("weak", "strong")]
    assert [number for end in ends for number in (end.low, end.value, end.high)] == pytest.approx([0, 0, 0, 1, 1, 1])


def test_intervals_hold_the_value_and_shrink_with_more_problems() -> None:
    widths = []
    for count in (200, 5000):
        policy = Comparison(results(count), seed=1).policy("thr:0.2")
        accuracy = policy.accuracy
        assert accuracy.low < accuracy.value < accuracy.high
        binomial = math.sqrt(accuracy.value * (1 - accuracy.value) / count)
        assert accuracy.high - accuracy.low == pytest.approx(2 * 1.96 * binomial, rel=0.12)
        widths.append(policy.pgr.high - policy.pgr.low)
    assert widths[1] < widths[0] / 3


def test_what_needs_no_gap_is_measured_on_every_resample() -> None:
    place = np.arange(40)
    found = Results(
        problems=tuple(f"{number:04}" for number in place),
        correct={"weak": (place < 20).astype(float), "strong": (place >= 18).astype(float)},
        strong_tokens={"weak": np.zeros(40), "strong": np.where(place < 18, 30.0, 10.0)},
    )
    weak, strong = (Comparison(found, seed=0).policy(name) for name in ("weak", "strong"))
    for accuracy in (weak.accuracy, strong.accuracy):  # a gap of 0.05 is there in six resamples of ten
        binomial = math.sqrt(accuracy.value * (1 - accuracy.value) / 40)
        assert accuracy.high - accuracy.value == pytest.approx(1.96 * binomial, abs=0.03)
        assert accuracy.value - accuracy.low == pytest.approx(1.96 * binomial, abs=0.03)
    spread = 1.96 * found.strong_tokens["strong"].std() / math.sqrt(40)
    assert strong.strong_tokens.high - strong.strong_tokens.value == pytest.approx(spread, abs=0.6)


def test_results_are_means_over_seeds_and_what_cannot_be_graded_is_not_right() -> None:
    frame = pl.DataFrame(
        {"problem_id": ["b", "a", "b", "a"], "correct": [True, None, False, True], "strong_tokens": [4, 1, 2, 1]}
    )
    found = Results.of({"weak": frame, "strong": frame})
    assert found.problems == ("a", "b")
    assert found.correct["weak"].tolist() == [0.5, 0.5]
    assert found.strong_tokens["strong"].tolist() == [1, 3]
    with pytest.raises(InputError, match="same problems"):
        Results.of({"weak": frame, "strong": frame.head(1)})


def test_a_family_compared_with_itself_differs_by_nothing_and_pairing_narrows() -> None:
    found = results()
    here, again, elsewhere = (Comparison(found, seed=seed).family(["thr:0.2", "thr:0.8"]) for seed in (0, 0, 1))
    paired, unpaired = here.minus(again).metrics(), here.minus(elsewhere).metrics()
    assert (paired.cpt[0.5].low, paired.cpt[0.5].high) == (0, 0)
    assert unpaired.cpt[0.5].low < unpaired.cpt[0.5].value < unpaired.cpt[0.5].high
    assert math.isnan(paired.cpt[0.95].value)  # neither gets there
    assert (paired.cpt[0.95].low, paired.cpt[0.95].high) == (-math.inf, math.inf)


def test_a_family_is_measured_on_its_envelope() -> None:
    found = results()
    family = Comparison(found, seed=0).family(["thr:0.2", "thr:0.8"]).metrics()
    weak, strong, low, high = (found.correct[name].mean() for name in ("weak", "strong", "thr:0.2", "thr:0.8"))
    reached = (low - weak) / (strong - weak), (high - weak) / (strong - weak)
    expected = 0.1 + 0.4 * (0.5 - reached[0]) / (reached[1] - reached[0])
    assert family.cpt[0.5].value == pytest.approx(expected)
    assert family.cpt[0.5].low < expected < family.cpt[0.5].high
    assert family.cpt[0.95].value == math.inf
    assert family.budgeted[0.10].value == pytest.approx(low)
    assert family.budgeted[0.30].value == pytest.approx(low + (high - low) / 2)


def test_a_router_that_knows_nothing_pays_in_proportion_and_one_that_knows_less() -> None:
    found = results()
    count = len(found.problems)
    queries = Queries(("q",) * count)
    answers = PairedAnswers(queries, found.correct["weak"], found.correct["strong"], found.strong_tokens["strong"])
    comparison, problem = Comparison(found, seed=0), np.arange(count)
    blind = comparison.query_level(answers, problem, np.zeros(count))
    assert [blind.cpt[target].value for target in (0.5, 0.8, 0.95)] == pytest.approx([0.5, 0.8, 0.95])
    assert blind.delta_ibc.value == pytest.approx(0)
    knowing = comparison.query_level(answers, problem, answers.strong_correct - answers.weak_correct)
    gap = (answers.strong_correct - answers.weak_correct).mean()
    assert knowing.cpt[0.8].value == pytest.approx(0.8 * gap)


def test_seeds_of_a_problem_are_drawn_together() -> None:
    found = results(60)
    answers = PairedAnswers(
        Queries(("q",) * 120),
        np.repeat(found.correct["weak"], 2),
        np.repeat(found.correct["strong"], 2),
        np.repeat(found.strong_tokens["strong"], 2),
    )
    problem, scores = np.repeat(np.arange(60), 2), np.repeat(np.random.default_rng(1).random(60), 2)
    once = PairedAnswers(
        Queries(("q",) * 60),
        *(column[::2] for column in (answers.weak_correct, answers.strong_correct, answers.strong_tokens)),
    )
    comparison = Comparison(found, seed=0)
    twice_found = comparison.query_level(answers, problem, scores)
    once_found = comparison.query_level(once, np.arange(60), scores[::2])
    assert twice_found.cpt[0.5].low == pytest.approx(once_found.cpt[0.5].low)
    assert twice_found.cpt[0.5].high == pytest.approx(once_found.cpt[0.5].high)


def test_the_two_models_alone_must_be_there_and_differ() -> None:
    found = results()
    with pytest.raises(InputError, match="two models alone"):
        Comparison(
            Results(found.problems, {"weak": found.correct["weak"]}, {"weak": found.strong_tokens["weak"]}), seed=0
        )
    same = {**found.correct, "strong": found.correct["weak"]}
    with pytest.raises(InputError, match="M_s alone must be better"):
        Comparison(Results(found.problems, same, found.strong_tokens), seed=0)


@given(st.sampled_from(FAMILIES), st.floats(0, 1))
def test_every_policy_has_its_family(family: object, setting: float) -> None:
    prefix, name, parameter = (getattr(family, field) for field in ("prefix", "name", "parameter"))
    assert family_of(f"{prefix}:{setting!r}") == name
    assert parameter_of(f"{prefix}:{setting!r}") == parameter


def test_all_policies_are_named_once() -> None:
    offered = Offered(tables=(0.001, 0.002), most_tokens=100.0, truth=True)
    found = all_policies(offered)
    assert len(set(found)) == len(found)
    assert {"weak", "strong", "rsd", "pomdp:0.001", "oracle:0.002", "budget:5"} <= set(found)
    assert not any(policy.startswith("agg") for policy in found)
    assert left_out(found, offered).keys() == {"TRIM-Agg", "TRIM-Seq"}
    alone = all_policies(Offered())
    needing_nothing = {"weak", "strong", "rsd", "random", "thr", "one-step-thr", "specreason"}
    assert {policy.partition(":")[0] for policy in alone} == needing_nothing
    assert len(left_out(alone, Offered())) == 6
