from dataclasses import replace
from pathlib import Path

import pytest

from inference.lab import generate_problems
from inference.lab.labelling import label_episodes, write_labels
from inference.lab.shipped import lab_problems
from inference.records import StepRecord, read_episodes, write_part
from inference.step import Author, Stop
from kde.errors import InputError
from kde.records import read_records
from kde.traces import LabelledTrace
from tests.inference.test_records import EPISODE


def test_episodes_become_labelled_traces(tmp_path: Path) -> None:
    first, second = generate_problems(2, seed=5)
    wrong = [*second.steps[:2], "nonsense", *second.steps[3:]]
    episodes = [
        replace(
            EPISODE, problem_id=made.id, steps=tuple(StepRecord(Author.WEAK, text, Stop.SEPARATOR, 7) for text in steps)
        )
        for made, steps in ((second, wrong), (first, first.steps))
    ]
    write_part(tmp_path / "episodes", episodes)
    traces = label_episodes(read_episodes(tmp_path / "episodes"), lab_problems(2, seed=5), generator="weak")
    assert [(trace.id, trace.label, trace.final_answer_correct) for trace in traces] == [
        (first.id, -1, True),
        (second.id, 2, True),
    ]
    assert traces[0].tokens == [7] * len(first.steps)
    write_labels(tmp_path / "labels.jsonl", traces)
    assert read_records(tmp_path / "labels.jsonl", LabelledTrace) == traces
    with pytest.raises(InputError, match="problem_id"):
        label_episodes(read_episodes(tmp_path / "episodes"), lab_problems(1, seed=5), generator="weak")


def test_an_episode_without_steps_has_nothing_to_label(tmp_path: Path) -> None:
    first, second = generate_problems(2, seed=5)
    written = tuple(StepRecord(Author.WEAK, text, Stop.SEPARATOR, 7) for text in first.steps)
    episodes = [replace(EPISODE, problem_id=first.id, steps=written), replace(EPISODE, problem_id=second.id, steps=())]
    write_part(tmp_path / "episodes", episodes)
    traces = label_episodes(read_episodes(tmp_path / "episodes"), lab_problems(2, seed=5), generator="weak")
    assert [trace.id for trace in traces] == [first.id]
