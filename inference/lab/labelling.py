"""Labelled traces from finished runs on lab problems, by the exact checker."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from inference.lab.checker import final_answer_correct, first_error
from inference.problems import Problem
from kde.artefact import replace_file
from kde.errors import InputError
from kde.traces import LabelledTrace


def label_episodes(episodes: pl.DataFrame, problems: Sequence[Problem], *, generator: str) -> list[LabelledTrace]:
    """One labelled trace an episode, in the order of their ids; an episode without steps has nothing to label.

    Raises:
        InputError: an episode's problem is not among `problems`.
    """
    texts = {problem.id: problem.problem for problem in problems}
    traces = []
    for episode in episodes.sort("problem_id").iter_rows(named=True):
        if episode["problem_id"] not in texts:
            raise InputError(
                "episodes", field="problem_id", value=episode["problem_id"], remedy="give the problems of this run"
            )
        problem, steps = texts[episode["problem_id"]], [step["text"] for step in episode["steps"]]
        if not steps:
            continue
        traces.append(
            LabelledTrace(
                id=episode["problem_id"],
                generator=generator,
                problem=problem,
                steps=steps,
                final_answer_correct=final_answer_correct(problem, steps),
                label=first_error(problem, steps),
                tokens=[step["tokens"] for step in episode["steps"]],
            )
        )
    return traces


def write_labels(path: Path, traces: Sequence[LabelledTrace]) -> None:
    """Write labelled traces as JSONL, atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, "".join(trace.model_dump_json() + "\n" for trace in traces).encode())
