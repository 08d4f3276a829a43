"""The routing problem that is trained on where none is named: the paper's, on the training problems of MATH.

Weak Qwen2.5-1.5B-Instruct, strong Qwen2.5-7B-Instruct, scored by Qwen2.5-Math-PRM-7B: reflected Scott KDE of the class samples that the
paper's authors released, integrated over cells of 0.05, their step accuracies and their hazard; every step has 60 tokens.
"""

from pathlib import Path

from planner.pomdp import RoutingPOMDP
from planner.problem import read_problem

MATH_TRAIN = Path(__file__).with_name("math_train")


def math_train() -> tuple[RoutingPOMDP, str]:
    """The shipped problem and its content hash.

    Raises:
        ArtefactError: its files are damaged.
    """
    return read_problem(MATH_TRAIN)
