"""Answers that only sympy can compare, in real processes that hang, are killed and replaced."""

import os
import signal
import threading
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from inference.grading import is_correct
from inference.problem_sets import read_problem_set
from inference.verification import OpenAnswer, verify_answers
from kde.errors import InputError

HANGS = OpenAnswer("2", "999999999!")
MADE = {
    OpenAnswer("2", "\\sqrt{4}"): True,
    OpenAnswer("5", "x=5"): True,
    OpenAnswer("\\frac{3}{4}", "0.75"): True,
    OpenAnswer("x^2+2x+1", "(x+1)^2"): True,
    OpenAnswer("\\{1,2,3\\}", "\\{3,2,1\\}"): True,
    OpenAnswer("x \\in [-2,7]", "[-2,7]"): True,
    OpenAnswer("(-\\infty,2)\\cup(3,\\infty)", "(3,\\infty)\\cup(-\\infty,2)"): True,
    OpenAnswer("[1,2)", "[1,2]"): False,
    OpenAnswer("p-q", "q-p"): False,
    OpenAnswer("\\sqrt{2}", "1.41"): False,
    OpenAnswer("\\text{Evelyn}", "Dan"): False,
    OpenAnswer("3", "?!"): None,
    OpenAnswer("7", ""): None,
}


def test_intervals_sets_fractions_and_formulas_and_one_that_would_hang() -> None:
    counted: list[None] = []
    found = verify_answers([HANGS, *MADE], seconds=5, on_verified=lambda: counted.append(None))
    assert found == [None, *MADE.values()]
    assert len(counted) == len(found)


def test_a_process_that_is_killed_costs_its_answer_alone() -> None:
    others_done = threading.Semaphore(0)

    def kill_the_busy_one() -> None:
        others_done.acquire()
        others_done.acquire()
        busy = max(psutil.Process().children(), key=lambda child: child.cpu_percent(interval=0.5))
        os.kill(busy.pid, signal.SIGKILL)

    thread = threading.Thread(target=kill_the_busy_one)
    thread.start()
    answers = [OpenAnswer("2", "4-2"), OpenAnswer("2", "1"), HANGS]
    assert verify_answers(answers, seconds=600, on_verified=others_done.release) == [True, False, None]
    thread.join()


def test_answers_of_benchmarks_are_equal_to_themselves_and_not_to_each_other(reference: Path) -> None:
    """Those that are no numbers; written otherwise, so that their text does not settle it."""
    problems = read_problem_set("math500", reference)
    known = [
        problem.answer for problem in problems if problem.answer and is_correct(problem.answer, "\\boxed{1}") is None
    ]
    assert len(known) > 80
    same = [OpenAnswer(answer, f"{answer} ") for answer in known[:30]]
    others = [OpenAnswer(one, other) for one, other in pairwise(known[:31])]
    verdicts = verify_answers([*same, *others])
    assert verdicts == [True] * 30 + [False] * 30


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inference.verification.find_spec", lambda name: None if name == "math_verify" else name)
    with pytest.raises(InputError, match=r"trim-routing\[evaluate\]"):
        verify_answers([HANGS])
    assert verify_answers([]) == []
