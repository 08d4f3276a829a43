import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.lab import final_answer_correct, first_error, generate_problems

PROBLEM = "Work mod 10.\nS:=7\nA:+5\nB:*3\nC:+2*7-8\nD:*7+4"
RIGHT = ("S:=7", "A:+5,7+5=2", "B:*3,2*3=6", "C:+2*7-8,6+2=8*7=6-8=8", "D:*7+4,8*7+4=0", "Answer: \\boxed{0}")


@pytest.mark.parametrize(
    ("index", "wrong"),
    [
        (0, "S:=8"),
        (1, "A:+5,7+5=3"),
        (1, "A:+5,6+5=1"),
        (1, "A:+6,7+6=3"),
        (1, "A:-5,7-5=2"),
        (1, "B:*3,7*3=1"),
        (2, "B:*3,2*3=6 "),
        (2, " B:*3,2*3=6"),
        (2, ""),
        (2, "B:*3,2*3"),
        (3, "C:+2*7-8,6+2=8*7=5-8=7"),
        (3, "C:+2*7-8,6+2=8*7=6-8=7"),
        (4, "D:*7+4,8*7+4=1"),
        (4, "Answer: \\boxed{8}"),
        (5, "Answer: \\boxed{1}"),
        (5, "Answer: 0"),
        (5, "so it is 0"),
    ],
)
def test_a_wrong_step_is_found_where_it_stands(index: int, wrong: str) -> None:
    steps = [*RIGHT[:index], wrong, *RIGHT[index + 1 :]]
    assert first_error(PROBLEM, steps) == index


def test_a_right_solution_and_each_of_its_prefixes_have_no_error() -> None:
    for length in range(len(RIGHT) + 1):
        assert first_error(PROBLEM, RIGHT[:length]) == -1
        assert final_answer_correct(PROBLEM, RIGHT[:length]) == (length == len(RIGHT))


def test_a_step_after_the_answer_is_wrong() -> None:
    assert first_error(PROBLEM, [*RIGHT, "Answer: \\boxed{0}"]) == len(RIGHT)


def test_a_right_answer_after_a_wrong_step_is_labelled_as_both() -> None:
    steps = [*RIGHT[:2], "B:*3,2*3=7", *RIGHT[3:]]
    assert (first_error(PROBLEM, steps), final_answer_correct(PROBLEM, steps)) == (2, True)


@given(st.integers(0, 2**31 - 1))
def test_canonical_solutions_are_right(seed: int) -> None:
    (made,) = generate_problems(1, seed=seed)
    assert first_error(made.problem, made.steps) == -1
    assert final_answer_correct(made.problem, made.steps)


@given(st.integers(0, 2**31 - 1), st.data())
def test_any_single_changed_character_is_found_at_its_step(seed: int, data: st.DataObject) -> None:
    (made,) = generate_problems(1, seed=seed)
    index = data.draw(st.integers(0, len(made.steps) - 1))
    step = made.steps[index]
    place = data.draw(st.integers(0, len(step) - 1))
    other = data.draw(st.sampled_from("0123456789+-*=:,AZ ").filter(lambda character: character != step[place]))
    steps = [*made.steps[:index], step[:place] + other + step[place + 1 :], *made.steps[index + 1 :]]
    assert first_error(made.problem, steps) == index


@given(st.lists(st.text(max_size=20), max_size=5))
def test_no_text_of_a_step_raises(steps: list[str]) -> None:
    assert -1 <= first_error(PROBLEM, steps) < max(len(steps), 1)
