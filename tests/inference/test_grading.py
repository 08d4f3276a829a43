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


@pytest.mark.parametrize(
    ("answer", "boxed", "grade"),
    [
        (" 7 ", "7", True),
        ("7", "8", False),
        ("7", "A7", False),
        ("7", "", False),
        ("18", "18.0", True),
        ("2,125", "2125", True),
        ("1,450,000", "\\$1{,}450{,}000", True),
        ("1,3,5", "1,3,5", True),
        ("1,3,5", "135", None),
        ("0.5", "\\frac{1}{2}", True),
        ("-1/2", "-\\dfrac{1}{2}", True),
        ("\\frac{1}{0}", "1", None),
        ("4.5e33", "4.5e33", True),
        ("4.5e33", "4.5e32", False),
        ("9", "9e999999999", False),
        ("90^\\circ", "90", True),
        ("20", "20\\%", True),
        ("\\text{Evelyn}", "Evelyn", True),
        ("\\text{Evelyn}", "Dan", None),
        ("$2n$", "2n", True),
        ("\\left( 3, \\frac{\\pi}{2} \\right)", "(3,\\frac{\\pi}{2})", True),
        ("5", "x=5", None),
        ("2", "\\sqrt{4}", None),
        ("2", "4-2", None),
        ("\\sqrt{2}", "1.41", None),
        ("B", "(B)", True),
        ("B", "\\text{(B)}", True),
        ("B", "B.", True),
        ("B", "C", False),
        ("B", "b", None),
        ("7", "B", False),
    ],
)
def test_grades(answer: str, boxed: str, grade: bool | None) -> None:
    assert is_correct(answer, f"so \\boxed{{{boxed}}}") is grade


def test_a_solution_without_a_box_is_wrong() -> None:
    assert is_correct("7", "Answer: 7") is False
    assert is_correct("\\sqrt{2}", "\\sqrt{2}") is False


@pytest.mark.parametrize("boxed", ["1" * 5000, "1" * 5000 + "/7", f"\\frac{{{'1' * 5000}}}{{7}}"])
def test_a_number_that_is_too_long_to_be_read_is_not_right(boxed: str) -> None:
    assert not is_correct("5", f"\\boxed{{{boxed}}}")
