import pytest

from inference.grading import boxed_answer, is_correct


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Answer: \\boxed{7}", "7"),
        ("\\boxed{\\frac{1}{2}} is it", "\\frac{1}{2}"),
        ("first \\boxed{1}, then \\boxed{2}", "2"),
        ("first \\boxed{1}, then \\boxed{2", "1"),
        ("\\boxed{ 4 }", "4"),
        ("\\boxed{}", ""),
        ("\\boxed{", None),
        ("no box", None),
        ("", None),
    ],
)
def test_the_last_complete_box_counts(text: str, answer: str | None) -> None:
    assert boxed_answer(text) == answer


def test_grades_are_letter_for_letter() -> None:
    assert is_correct(" 7 ", "Answer: \\boxed{7}")
    assert not is_correct("7", "Answer: \\boxed{07}")
    assert not is_correct("7", "Answer: 7")
