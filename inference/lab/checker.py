"""The exact checker: labels every step as ProcessBench does, from the problem's text alone.

The language has one right way to write each step, so a step is right if and only if it equals the canonical step from the
right value so far: a wrong label, operand, copied value, intermediate value or result, or any other text, is an error.
"""

from collections.abc import Sequence
from typing import TypedDict

from inference.lab.language import LabProblem, solve


class ProcessBenchRecord(TypedDict):
    """One labelled solution in ProcessBench's format (Zheng et al., 2024).

    `label` is the 0-based index of the first wrong step, -1 if none is wrong. `final_answer_correct` regards the answer
    alone: a solution that ends in the right box has it although a step may be wrong.
    """

    id: str
    generator: str
    problem: str
    steps: list[str]
    final_answer_correct: bool
    label: int


def first_error(problem: str, steps: Sequence[str]) -> int:
    """0-based index of the first wrong step, -1 if none is wrong.

    Steps are texts without their separator. A solution that stops before the answer has no wrong step for that (it may be
    a prefix); a step after the answer is wrong, as is a step out of order. A malformed step is wrong, never an exception.

    Raises:
        InputError: the problem is not one of the lab's language.
    """
    canonical = solve(problem, name="checked").steps
    for index, step in enumerate(steps):
        if index >= len(canonical) or step != canonical[index]:
            return index
    return -1


def final_answer_correct(problem: str, steps: Sequence[str]) -> bool:
    """Whether the last step is the canonical answer; an unfinished or empty solution is not correct.

    Raises:
        InputError: the problem is not one of the lab's language.
    """
    return bool(steps) and steps[-1] == solve(problem, name="checked").steps[-1]


def label_solution(problem: LabProblem, steps: Sequence[str], *, generator: str) -> ProcessBenchRecord:
    """The solution that `generator` (a model's name) wrote, with its label, in ProcessBench's format."""
    return ProcessBenchRecord(
        id=problem.id,
        generator=generator,
        problem=problem.problem,
        steps=list(steps),
        final_answer_correct=final_answer_correct(problem.problem, steps),
        label=first_error(problem.problem, steps),
    )
