"""The exact checker: labels every step as ProcessBench does, from the problem's text alone.

The language has one right way to write each step, so a step is right if and only if it equals the canonical step from the
right value so far: a wrong label, operand, copied value, intermediate value or result, or any other text, is an error.
"""

from collections.abc import Sequence

from inference.lab.language import solve
from kde.samples import StepClass


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


def true_class(problem: str, steps: Sequence[str]) -> StepClass:
    """Class of a partial solution whose last step has just been proposed.

    Raises:
        InputError: the problem is not one of the lab's language.
    """
    error = first_error(problem, steps)
    if error < 0:
        return StepClass.CORRECT
    return StepClass.RECOVERABLE if error == len(steps) - 1 else StepClass.DERAILED


def final_answer_correct(problem: str, steps: Sequence[str]) -> bool:
    """Whether the last step is the canonical answer; an unfinished or empty solution is not correct.

    Raises:
        InputError: the problem is not one of the lab's language.
    """
    return bool(steps) and steps[-1] == solve(problem, name="checked").steps[-1]
