from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from inference.conversation import Conversation
from inference.ending import Ending
from inference.engines.base import EngineError
from inference.records import StepRecord, write_part
from inference.scorers.base import Scores
from inference.scoring import labelled_job, score_traces, solution_job
from inference.solutions import Solution, answers_of
from inference.step import Author, Stop
from kde.errors import InputError
from kde.prefixes import match_scores
from kde.records import read_records
from kde.traces import AnsweredTrace, LabelledTrace, ScoredTrace
from tests.inference.made_episodes import MADE

TRACES = [
    LabelledTrace(id=f"t{i}", generator="g", problem=f"{i}", steps=["a", "b"], final_answer_correct=True, label=-1)
    for i in range(20)
]


class Counting:
    """A scorer that counts what it is asked, and fails from some call on."""

    def __init__(self, calls: int) -> None:
        self.left, self.asked = calls, 0

    async def score(self, _question: Conversation, steps: Sequence[str]) -> Scores:
        if not self.left:
            raise EngineError("gone")
        self.left -= 1
        self.asked += 1
        return Scores((0.5,) * len(steps), windows=len(steps))

    async def close(self) -> None:
        pass


async def test_nothing_is_scored_twice_after_a_stop(tmp_path: Path) -> None:
    out = tmp_path / "scores.jsonl"
    with pytest.raises(EngineError):
        await score_traces(Counting(7), labelled_job(TRACES, prm="p"), out, concurrency=2)
    with out.open("a") as stream:
        stream.write('{"id": "t7", "prm": "p", "sco')  # what a kill leaves
    second = Counting(100)
    await score_traces(second, labelled_job(TRACES, prm="p"), out, concurrency=2)
    assert second.asked == 13
    records = read_records(out, ScoredTrace)
    assert sorted(scored.id for scored in records) == sorted(trace.id for trace in TRACES)
    assert {scored.windows for scored in records} == {2}
    third = Counting(0)
    await score_traces(third, labelled_job(TRACES, prm="p"), out)
    assert third.asked == 0


async def test_one_file_holds_one_prm(tmp_path: Path) -> None:
    await score_traces(Counting(3), labelled_job(TRACES[:3], prm="p"), tmp_path / "s.jsonl")
    with pytest.raises(InputError, match="prm is 'p'"):
        await score_traces(Counting(9), labelled_job(TRACES, prm="q"), tmp_path / "s.jsonl")


@pytest.mark.parametrize(
    "content", ['{"id": "t1", "label": 2}\n', '{"id": "t1", "label": 2}\n{"id"', "notes", '{"id": "t1"']
)
async def test_a_file_of_something_else_is_refused_and_left_alone(tmp_path: Path, content: str) -> None:
    path = tmp_path / "s.jsonl"
    path.write_text(content)
    with pytest.raises(InputError, match="line 1"):
        await score_traces(Counting(9), labelled_job(TRACES, prm="p"), path)
    assert path.read_text() == content


async def test_scores_of_another_text_are_not_taken_for_this_ones(tmp_path: Path) -> None:
    await score_traces(Counting(9), labelled_job(TRACES[:3], prm="p"), tmp_path / "s.jsonl")
    changed = [TRACES[0].model_copy(update={"steps": ["a", "c"]}), *TRACES[1:]]
    with pytest.raises(InputError, match="another text"):
        await score_traces(Counting(9), labelled_job(changed, prm="p"), tmp_path / "s.jsonl")
    with pytest.raises(InputError, match="another text"):
        match_scores(changed[:3], read_records(tmp_path / "s.jsonl", ScoredTrace), source="s")


async def test_solutions_become_answered_traces_and_are_not_scored_twice(tmp_path: Path) -> None:
    solutions = [Solution(f"p{n}", f"{n}", ("a", "b"), (3, 4), correct=n % 2 == 0) for n in range(6)]
    out = tmp_path / "answered.jsonl"
    with pytest.raises(EngineError):
        await score_traces(Counting(2), solution_job(solutions, prm="p"), out)
    second = Counting(100)
    await score_traces(second, solution_job(solutions, prm="p"), out)
    assert second.asked == 4
    found = {trace.problem_id: trace for trace in read_records(out, AnsweredTrace)}
    assert found.keys() == {f"p{n}" for n in range(6)}
    assert found["p3"].windows == 2
    assert (found["p3"].scores, found["p3"].tokens, found["p3"].final_answer_correct) == ([0.5, 0.5], [3, 4], False)


async def test_a_solution_without_steps_is_no_ones_and_has_nothing_to_score(tmp_path: Path) -> None:
    step = StepRecord(Author.WEAK, "a", Stop.END, 2)
    episodes = [replace(MADE, problem_id="p1", steps=(step,)), replace(MADE, problem_id="p2", ending=Ending.CONTEXT)]
    write_part(tmp_path / "episodes", episodes)
    solutions = answers_of(tmp_path)
    assert [(solution.problem_id, solution.steps) for solution in solutions] == [("p1", ("a",)), ("p2", ())]
    job = solution_job(solutions, prm="p")
    assert job.without_steps == 1
    await score_traces(Counting(9), job, tmp_path / "scores.jsonl")
    assert [trace.problem_id for trace in read_records(tmp_path / "scores.jsonl", AnsweredTrace)] == ["p1"]
