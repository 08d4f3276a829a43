"""First escalations on recorded traces."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kde.errors import InputError
from kde.samples import StepClass
from planner.cli.replay import app
from planner.decision import Action, Proposal
from planner.policies.catalogue import Catalogue
from planner.table import PolicyTable
from planner.trace_replay import RecordedTrace, first_escalation, replay_traces

PLAIN = Catalogue(None)
TRACES = [
    {"id": "a", "problem": "p", "steps": ["x", "y", "z"], "label": 1, "final_answer_correct": False},
    {"id": "b", "problem": "p", "steps": ["x", "y"], "label": -1, "final_answer_correct": True},
    {"id": "c", "problem": "q", "steps": ["x", "y"], "label": 0, "final_answer_correct": False},
    {"id": "d", "problem": "r", "steps": ["x"], "label": -1, "final_answer_correct": True},
]
SCORES = {"a": [0.9, 0.2, 0.1], "b": [0.4, 0.9], "c": [0.8, 0.3], "d": [0.9]}


def write(path: Path, rows: list[dict[str, object]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture
def labels(tmp_path: Path) -> str:
    return write(tmp_path / "labels.jsonl", [{**trace, "generator": "g"} for trace in TRACES])


@pytest.fixture
def scores(tmp_path: Path) -> str:
    return write(tmp_path / "scores.jsonl", [{"id": name, "scores": values} for name, values in SCORES.items()])


def test_first_escalations_by_hand(labels: str, scores: str, capsys: pytest.CaptureFixture[str]) -> None:
    app(
        ["traces", scores, "--labels", labels, "--policy", "thr:0.5", "thr:0.1", "--json"], result_action="return_value"
    )
    told = json.loads(capsys.readouterr().out)
    half, none = told["policies"]
    assert half["traces"] == 4
    assert half["escalated"]["value"] == 0.75
    assert half["escalated"]["low"] < 0.75 < half["escalated"]["high"]
    assert half["by_step"] == {"1": 1, "2": 2}  # b for nothing, a at its error, c a step too late
    assert {name: found["value"] for name, found in half["by_class"].items()} == pytest.approx(
        {"S0": 1 / 3, "S1": 1 / 3, "S2": 1 / 3}
    )
    assert (half["of_right"]["value"], half["of_wrong"]["value"]) == (0.5, 1)
    assert (none["escalated"]["value"], none["by_step"], none["by_class"]) == (0, {}, None)
    assert told["not_known"].keys() == {"accuracy", "strong-tokens", "later-steps"}


def test_people_get_a_table(labels: str, scores: str, capsys: pytest.CaptureFixture[str]) -> None:
    app(["traces", scores, "--labels", labels, "--policy", "thr:0.5"], result_action="return_value")
    assert "First escalations in 4 traces" in capsys.readouterr().out


@pytest.mark.parametrize("measure", ["accuracy", "strong-tokens", "later-steps"])
def test_what_is_not_on_record_is_refused_with_the_reason(labels: str, scores: str, measure: str) -> None:
    options = ["traces", scores, "--labels", labels, "--policy", "thr:0.5", "--measure", measure]
    with pytest.raises(InputError, match="not what would have happened"):
        app(options, result_action="return_value")


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.floats(0, 1))
def test_a_threshold_escalates_the_first_score_below_it(values: list[float], threshold: float) -> None:
    trace = RecordedTrace("t", 0, tuple(values), complete=True)
    expected = next((place for place, value in enumerate(values) if value < threshold), None)
    for family in ("thr", "one-step-thr"):
        assert first_escalation(trace, PLAIN.get(f"{family}:{threshold!r}")) == expected


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(1, 90)), min_size=1, max_size=6))
def test_a_table_decides_as_on_a_live_trace(table: PolicyTable, steps: list[tuple[float, int]]) -> None:
    values, tokens = zip(*steps, strict=True)
    policy = Catalogue(table).get("pomdp:0.002")
    found = first_escalation(RecordedTrace("t", 0, values, complete=True, tokens=tokens), policy)
    carry = None
    for place in range(len(values) if found is None else found + 1):
        final = place == len(values) - 1
        seen = Proposal.from_scores(values[: place + 1], tokens=tokens[place], final=final)
        decision = policy.decide(seen, carry)
        assert (decision.action is Action.REGENERATE) == (place == found)
        carry = decision.carry


def test_what_a_policy_goes_by_must_be_on_record(table: PolicyTable) -> None:
    bare = RecordedTrace("t", 0, (0.9, 0.1), complete=True)
    with pytest.raises(InputError, match="goes by token counts"):
        replay_traces([bare], Catalogue(table).get("pomdp:0.002"))
    counted = RecordedTrace("t", 0, (0.9, 0.1), complete=True, tokens=(20, 20))
    with pytest.raises(InputError, match="the oracle sees the true class"):
        replay_traces([counted], Catalogue(table).get("oracle:0.002"))
    known = (StepClass.CORRECT, StepClass.RECOVERABLE)
    labelled = RecordedTrace("t", 0, (0.9, 0.1), complete=True, tokens=(20, 20), classes=known)
    assert first_escalation(labelled, Catalogue(table).get("oracle:0.002")) == 1
