import json
from pathlib import Path
from typing import Any

import pytest

from kde.errors import InputError
from kde.prefixes import class_samples, match_scores
from kde.records import read_records
from kde.samples import StepClass
from kde.traces import LabelledTrace, ScoredTrace


def _record(**changes: Any) -> dict[str, Any]:
    record = {
        "id": "a",
        "generator": "g",
        "problem": "p",
        "steps": ["1", "2", "3"],
        "final_answer_correct": False,
        "label": 1,
    }
    return record | changes


def _file(path: Path, *records: dict[str, Any], tail: str = "") -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records) + tail)
    return path


def test_prefixes_fall_into_classes_around_the_first_error() -> None:
    wrong = LabelledTrace.model_validate(_record())
    assert [wrong.class_at(i) for i in range(3)] == [StepClass.CORRECT, StepClass.RECOVERABLE, StepClass.DERAILED]
    right = LabelledTrace.model_validate(_record(label=-1))
    assert {right.class_at(i) for i in range(3)} == {StepClass.CORRECT}


def test_features_are_the_least_earlier_and_the_newest_score() -> None:
    traces = [LabelledTrace.model_validate(_record())]
    samples = class_samples(match_scores(traces, [ScoredTrace(id="a", prm="p", scores=[0.9, 0.2, 0.6])], source="s"))
    assert samples.by_class[StepClass.CORRECT].features.tolist() == [[1.0, 0.9]]
    assert samples.by_class[StepClass.RECOVERABLE].features.tolist() == [[0.9, 0.2]]
    assert samples.by_class[StepClass.DERAILED].features.tolist() == [[0.2, 0.6]]


@pytest.mark.parametrize(
    ("records", "tail", "complaint"),
    [
        ([_record(label=3)], "", "line 1: .*|line 1 .*label 3 is beyond"),
        ([_record(label=-2)], "", "line 1, label"),
        ([_record(steps=[])], "", "line 1, steps"),
        ([_record(), _record()], "", "line 2, id"),
        ([_record()], '{"id": "b", "gener', "line 2"),
        ([{"generator": "g"}], "", "line 1, id"),
        ([], "", "empty"),
        ([_record(tokens=[1, 2])], "", "2 token counts for 3 steps"),
    ],
)
def test_bad_labels_name_their_line(tmp_path: Path, records: list[dict[str, Any]], tail: str, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        read_records(_file(tmp_path / "l.jsonl", *records, tail=tail), LabelledTrace)


@pytest.mark.parametrize("score", [-0.1, 1.1, float("nan"), float("inf")])
def test_scores_outside_the_unit_interval_are_refused(tmp_path: Path, score: float) -> None:
    with pytest.raises(InputError, match=r"line 1, scores\.1"):
        read_records(_file(tmp_path / "s.jsonl", {"id": "a", "prm": "p", "scores": [0.5, score]}), ScoredTrace)


def test_labels_and_scores_must_belong_together() -> None:
    trace = LabelledTrace.model_validate(_record())
    with pytest.raises(InputError, match="no labelled trace has scores"):
        match_scores([trace], [], source="s")
    with pytest.raises(InputError, match="scores of a"):
        match_scores([trace], [ScoredTrace(id="a", prm="p", scores=[0.5] * 4)], source="s")
    with pytest.raises(InputError, match="belong to no labelled trace"):
        match_scores([trace], [ScoredTrace(id=i, prm="p", scores=[0.5]) for i in ("a", "b")], source="s")
