"""What query-level routers cost, and what they can reach."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.baselines.oracle import oracle_region
from inference.baselines.paired import PairedAnswers, Queries
from inference.baselines.query_curve import query_curve
from inference.baselines.smoothie import distances_to_truth
from kde.errors import InputError
from kde.samples import Array

rows = st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(1, 9)), min_size=1, max_size=6)


def paired(found: list[tuple[bool, bool, int]]) -> PairedAnswers:
    weak, strong, tokens = (np.array(column, dtype=float) for column in zip(*found, strict=True))
    return PairedAnswers(Queries(("q",) * len(found)), weak, strong, tokens)


@given(rows)
def test_no_order_of_questions_leaves_the_oracles_region(found: list[tuple[bool, bool, int]]) -> None:
    answers = paired(found)
    region = oracle_region(answers)
    assert (region.best >= region.worst - 1e-12).all()
    gains = answers.strong_correct - answers.weak_correct
    for order in map(list, permutations(range(len(found)))):
        cost = np.r_[0, answers.strong_tokens[order].cumsum()] / answers.strong_tokens.sum()
        accuracy = answers.weak_correct.mean() + np.r_[0, gains[order].cumsum()] / len(found)
        assert (accuracy <= np.interp(cost, region.c, region.best) + 0.05).all()  # the grid has 101 points
        assert (np.interp(region.c, cost, accuracy) <= region.best + 1e-9).all()
        assert (np.interp(region.c, cost, accuracy) >= region.worst - 1e-9).all()


def test_a_perfect_ranking_gains_all_of_it_first() -> None:
    answers = paired([(False, True, 1), (True, True, 1), (True, True, 1), (False, False, 1)])
    best = query_curve(answers, np.array([4.0, 1, 2, 3]), seed=0)
    assert best.cpt["95%"].value == pytest.approx(0.25, abs=0.02)
    assert best.area.value == pytest.approx(0.875, abs=1e-3)
    worst = query_curve(answers, np.array([1.0, 4, 3, 2]), seed=0)
    assert worst.area.value == pytest.approx(0.125, abs=1e-3)


def test_alike_questions_go_together_as_a_random_mix() -> None:
    answers = paired([(False, True, 1), (True, True, 3), (True, False, 2), (False, True, 2)])
    flat = query_curve(answers, np.zeros(4), seed=0)
    np.testing.assert_allclose(flat.pgr, flat.c, atol=1e-12)
    assert flat.area.value == pytest.approx(0.5)


def test_without_a_gap_there_is_nothing_to_recover() -> None:
    with pytest.raises(InputError, match="must be better"):
        query_curve(paired([(True, True, 1), (True, False, 1)]), np.zeros(2), seed=0)


def generated(noise: tuple[float, ...], count: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(5)
    truth = rng.normal(size=(count, 16))
    answers = np.stack([truth + scale * rng.normal(size=truth.shape) for scale in noise])
    questions = truth / np.linalg.norm(truth, axis=1, keepdims=True)
    return answers, questions


def test_smoothie_finds_every_generators_distance_to_the_truth() -> None:
    answers, questions = generated((0.2, 0.6, 1.2, 0.9), 400)
    found = distances_to_truth(answers, questions, neighbours=400)
    np.testing.assert_allclose(found[:, 0], [16 * scale**2 for scale in (0.2, 0.6, 1.2, 0.9)], rtol=0.15, atol=0.3)
    assert (distances_to_truth(answers, questions, neighbours=20)[0] < 4).mean() > 0.9


def test_smoothie_with_two_generators_says_that_it_cannot() -> None:
    answers, questions = generated((0.2, 0.6), 10)
    with pytest.raises(InputError, match="three or more generators"):
        distances_to_truth(answers, questions, neighbours=5)
    with pytest.raises(InputError, match="neighbours"):
        distances_to_truth(np.concatenate([answers, answers[:1]]), questions, neighbours=11)
