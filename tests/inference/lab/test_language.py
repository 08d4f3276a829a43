import itertools

import pytest

from inference.lab import HELD_OUT_SEEDS, Mix, Operation, generate_problems
from inference.lab.language import MIXES, OPERATION_SHARES, draw_problem, parse_problem, solve, training_rng
from kde.errors import InputError


def test_a_problem_solved_by_hand() -> None:
    made = solve("Work mod 10.\nS:=7\nA:+5\nB:*3\nC:-8\nD:+2*7-8\nE:*7+4", name="by-hand")
    assert made.steps == (
        "S:=7",
        "A:+5,7+5=2",
        "B:*3,2*3=6",
        "C:-8,6-8=8",
        "D:+2*7-8,8+2=0*7=0-8=2",
        "E:*7+4,2*7+4=8",
        "Answer: \\boxed{8}",
    )
    assert made.answer == "8"
    assert made.operations == tuple(
        Operation(kind) for kind in ["start", "add", "times", "minus", "chain", "mix2", "answer"]
    )


def test_a_seed_always_makes_the_same_problems_and_a_longer_stream_begins_with_a_shorter_one() -> None:
    assert generate_problems(20, seed=5) == generate_problems(30, seed=5)[:20]


def test_golden_problem_of_a_seed() -> None:
    (made,) = generate_problems(1, seed=1)
    assert made.id == "lab-1-00000"
    assert made.problem == "Work mod 10.\nS:=5\nA:*7-5\nB:+1\nC:*9-5\nD:-3\nE:*9\nF:*3+5"
    assert made.answer == "2"


def test_another_mix_has_problems_and_names_of_its_own() -> None:
    standard, hard = (generate_problems(200, seed=1, mix=mix) for mix in Mix)
    assert hard[0].id == "lab-hard-1-00000"
    assert len({made.problem for made in standard} & {made.problem for made in hard}) <= 3


def test_streams_of_different_seeds_share_almost_nothing() -> None:
    streams = [{made.problem for made in generate_problems(300, seed=seed)} for seed in range(3)]
    assert max(len(one & other) for one, other in itertools.combinations(streams, 2)) <= 3


def test_no_held_out_problem_is_ever_trained_on() -> None:
    rng = training_rng(0, 1)
    trained = {draw_problem(rng, OPERATION_SHARES, held_out=False) for _ in range(3000)}
    assert not trained & {made.problem for made in generate_problems(500, seed=0)}


@pytest.mark.parametrize("mix", Mix)
def test_operations_come_in_the_shares_of_their_mix(mix: Mix) -> None:
    operations = [kind for made in generate_problems(1000, seed=9, mix=mix) for kind in made.operations[1:-1]]
    for kind, share in MIXES[mix].items():
        assert operations.count(kind) / len(operations) == pytest.approx(share, abs=0.03)


@pytest.mark.parametrize("seed", [-1, HELD_OUT_SEEDS.stop])
def test_seeds_reserved_for_training_are_refused(seed: int) -> None:
    with pytest.raises(InputError, match="seed"):
        generate_problems(1, seed=seed)


@pytest.mark.parametrize(
    "problem",
    [
        "",
        "Work mod 10.",
        "Work mod 10.\nS:=7\nB:+5",
        "Work mod 10.\nS:=7\nA:*4",
        "Work mod 10.\nS:=7\nA:+5\n",
        "Work mod 10.\nS:=12\nA:+5",
        "What is 2 + 2?",
    ],
)
def test_other_texts_are_not_problems(problem: str) -> None:
    with pytest.raises(InputError, match="problem"):
        parse_problem(problem)
