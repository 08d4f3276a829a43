"""The solutions that a run of one model alone has made."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from inference.problems import Problem
from inference.records import read_episodes
from kde.errors import InputError


@dataclass(frozen=True, slots=True)
class Solution:
    """A solution that is known by its final answer; it has no steps where time or context ended it before the first.

    Attributes:
        tokens: of each step.
        correct: whether its final answer is right; None where nobody knows.
    """

    problem_id: str
    problem: str
    steps: tuple[str, ...]
    tokens: tuple[int, ...]
    correct: bool | None


def solutions_of(run: Path, problems: Sequence[Problem]) -> list[Solution]:
    """Solutions of the episodes in the directory of a run, in the order of their ids.

    Raises:
        InputError: there are none, one is by both models, or one's problem is not among `problems`.
    """
    texts = {problem.id: problem.problem for problem in problems}
    found = []
    for episode in read_episodes(run / "episodes").sort("problem_id").iter_rows(named=True):
        name, steps = episode["problem_id"], episode["steps"]
        if name not in texts:
            raise InputError(run, field="problem_id", value=name, remedy="give the problems of this run")
        if len({step["author"] for step in steps}) > 1:
            remedy = "both models wrote it: name a run of weak or of strong alone"
            raise InputError(run, field=f"authors of {name}", value="weak and strong", remedy=remedy)
        tokens = tuple(step["tokens"] for step in steps)
        found.append(Solution(name, texts[name], tuple(step["text"] for step in steps), tokens, episode["correct"]))
    if not found:
        raise InputError(run, field="episodes", value=0, remedy="name a directory that `trim route` finished")
    return found


def answers_of(run: Path) -> list[Solution]:
    """As `solutions_of`, with the problems as the run has them on record.

    Raises:
        InputError: there are none, or one is by both models.
    """
    episodes = read_episodes(run / "episodes")
    asked = zip(episodes["problem_id"], episodes["problem"], strict=True)
    return solutions_of(run, [Problem(id=name, problem=text) for name, text in asked])
