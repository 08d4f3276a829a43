import numpy as np
import pytest

from inference.lab import first_error
from inference.lab.language import solve, training_rng
from inference.lab.steps import Line
from inference.lab.train.planted import ERROR_RATES, misread_line, plant

SOLUTIONS = [plant(training_rng(0, 9, index)) for index in range(400)]


def test_the_first_planted_error_is_what_the_checker_finds() -> None:
    for solution in SOLUTIONS:
        flags = [bool(wrong) for wrong in solution.wrong]
        assert first_error(solution.problem, solution.steps) == (flags.index(True) if any(flags) else -1)


def test_errors_carry_on_consistently() -> None:
    for solution in SOLUTIONS:
        for before, after, wrong in zip(solution.steps, solution.steps[1:-1], solution.wrong[1:-1], strict=False):
            if not wrong:
                assert after.split(",")[1][0] == before[-1]


def test_as_many_errors_as_the_rates_say_whatever_the_operation() -> None:
    flags = np.array([bool(wrong) for solution in SOLUTIONS for wrong in solution.wrong])
    assert flags.mean() == pytest.approx(np.mean(ERROR_RATES), abs=0.02)


def test_the_marked_places_are_where_a_step_departs_from_what_was_right() -> None:
    for solution in SOLUTIONS:
        canonical = solve(solution.problem, name="twin").steps
        first = next((index for index, wrong in enumerate(solution.wrong) if wrong), None)
        if first is not None:
            step, right = solution.steps[first], canonical[first]
            departs = next(place for place, (one, other) in enumerate(zip(step, right, strict=False)) if one != other)
            assert departs == solution.wrong[first][0]


def test_misreadings_leave_out_or_make_up_operations() -> None:
    rng = training_rng(0, 10)
    line = Line("A", "+2*7-8")
    expressions = {misread_line(rng, line)[0].expression for _ in range(200)}
    assert {"+2", "+2*7"} < expressions
    assert {len(expression) for expression in expressions} == {2, 4, 6, 8, 10}
