import pytest

from inference.ending import Ending, Limits, ending_of
from inference.step import Step, Stop


def step(text: str, stop: Stop = Stop.SEPARATOR) -> Step:
    return Step(text, (1,), "v", stop)


@pytest.mark.parametrize(
    ("steps", "ending"),
    [
        ([], None),
        ([step("a")], None),
        ([step("a", Stop.LENGTH)], None),
        ([step("a"), step(r"so \boxed{1}")], Ending.ANSWER),
        ([step(r"\boxed{1}", Stop.END)], Ending.ANSWER),
        ([step(r"\boxed{1", Stop.END)], Ending.END),
        ([step("", Stop.DEGENERATE)], Ending.DEGENERATE),
        ([step("a")] * 3, None),
        ([step("a")] * 4, Ending.REPEATED),
        ([step("a"), step("b"), *[step("a")] * 3], None),
        ([step("a"), step("a", Stop.LENGTH)] * 2, Ending.REPEATED),
        ([step(str(i)) for i in range(6)], None),
        ([step(str(i)) for i in range(7)], Ending.STEP_LIMIT),
        ([*(step(str(i)) for i in range(6)), step("x", Stop.END)], Ending.END),
    ],
)
def test_an_episode_ends_where_the_rules_say(steps: list[Step], ending: Ending | None) -> None:
    assert ending_of(steps, Limits(max_steps=7, max_repeats=3)) is ending


def test_a_single_repetition_may_be_too_many() -> None:
    limits = Limits(max_repeats=1)
    assert ending_of([step("a"), step("b")], limits) is None
    assert ending_of([step("b"), step("b")], limits) is Ending.REPEATED
