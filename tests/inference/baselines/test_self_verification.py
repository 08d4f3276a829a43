"""AutoMix's verifier: what is asked, how answers are read, and what is on disk."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from inference.baselines.cli import app
from inference.baselines.paired import PairedAnswers, Queries
from inference.baselines.self_verification import SelfVerifier, Verification, verdict, verification
from inference.baselines.verifying import verify_solutions
from inference.conversation import Conversation
from inference.engines.base import ContextFullError
from inference.evaluate.plan import StudyPlan
from inference.evaluate.query_level import self_verified, verification_file
from inference.evaluate.study import Study
from inference.problems import Problem
from inference.solutions import Solution
from inference.step import Step, Stop
from kde.errors import InputError
from tests.inference.runs import options, routed


class Scripted:
    """Says what the seed says: of three samples one vouches, one does not, and one says neither."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    async def propose(self, question: Conversation, steps: Sequence[Step], *, seed: int) -> Step:
        assert not steps
        if "too long" in question[-1].content:
            raise ContextFullError.of("scripted", tokens=9, context=8)
        self.asked.append(seed)
        said = ("The answer is correct.", "It is not what is asked. The answer is incorrect.", "Who knows?")[seed % 3]
        return Step(said, (), "", Stop.END, counted=5)

    async def prefill(self, question: Conversation, steps: Sequence[Step]) -> None:
        pass

    async def close(self) -> None:
        pass


def _solution(name: str, text: str = "1 + 1 = 2") -> Solution:
    return Solution(name, f"What is {name}?", (text, "So it is 2."), (5, 5), correct=True)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("The answer is correct.", True),
        ("**Incorrect**", False),
        ("It looks correct, but 2 + 2 = 4: the answer is INCORRECT", False),
        ("That the sum is incorrect is not so. The answer is correct", True),
        ("The answer is not correct.", False),
        ("I corrected it.", None),
        ("", None),
    ],
)
def test_the_last_word_counts(said: str, expected: bool | None) -> None:
    assert verdict(said) is expected


def test_the_worked_examples_show_both_verdicts_before_the_question() -> None:
    asked = verification("What is 1 + 1?", "2.")
    assert [message.role for message in asked] == ["user", "assistant"] * 3 + ["user"]
    assert {verdict(message.content) for message in asked if message.role == "assistant"} == {True, False}
    assert "What is 1 + 1?\n\nProposed answer:\n2.\n\n" in asked[-1].content


async def test_every_sample_is_drawn_once_and_the_same_for_the_same_seed() -> None:
    engine, again, other = Scripted(), Scripted(), Scripted()
    found = await SelfVerifier(engine, 90, seed=0).verify(_solution("p"), text_sha256="")
    assert len(set(engine.asked)) == 90
    assert (found.vouched, found.unread) == (
        [s % 3 for s in engine.asked].count(0),
        [s % 3 for s in engine.asked].count(2),
    )
    assert found.score == found.vouched / 90
    assert await SelfVerifier(again, 90, seed=0).verify(_solution("p"), text_sha256="") == found
    await SelfVerifier(other, 90, seed=1).verify(_solution("p"), text_sha256="")
    assert not set(other.asked) & set(engine.asked)


async def test_an_answer_that_does_not_fit_is_counted_as_unread() -> None:
    found = await SelfVerifier(Scripted(), 4, seed=0).verify(_solution("p", "too long"), text_sha256="")
    assert (found.vouched, found.unread, found.score) == (0, 4, 0)


async def test_a_file_goes_on_behind_a_torn_line_and_holds_one_set_of_answers(tmp_path: Path) -> None:
    solutions, out = [_solution(name) for name in "abcdef"], tmp_path / "verified.jsonl"
    whole = await verify_solutions(SelfVerifier(Scripted(), 3, 0), solutions, out, concurrency=2)
    lines = out.read_bytes().splitlines(keepends=True)
    out.write_bytes(b"".join(lines[:3]) + lines[3][:20])
    engine = Scripted()
    heard: list[None] = []
    again = await verify_solutions(
        SelfVerifier(engine, 3, 0), solutions, out, concurrency=2, on_verified=lambda: heard.append(None)
    )
    assert again == whole
    assert (len(engine.asked), len(heard)) == (9, 6)
    assert sorted(out.read_bytes().splitlines(keepends=True)) == sorted(lines)
    for verifier, changed in (
        (SelfVerifier(engine, 4, 0), solutions),
        (SelfVerifier(engine, 3, 0), [_solution("a", "3")]),
    ):
        with pytest.raises(InputError, match="choose another --out"):
            await verify_solutions(verifier, changed, out, concurrency=2)


@pytest.mark.parametrize("content", ["notes", '{"problem_id": "a"}\nhalf a l'])
async def test_a_file_of_something_else_is_refused_and_left_alone(content: str, tmp_path: Path) -> None:
    (tmp_path / "notes").write_text(content)
    with pytest.raises(InputError, match="line 1"):
        await verify_solutions(SelfVerifier(Scripted(), 3, 0), [_solution("a")], tmp_path / "notes", concurrency=1)
    assert (tmp_path / "notes").read_text() == content


def test_a_study_reads_what_was_verified(tmp_path: Path) -> None:
    asked = [Problem(id=f"p{place}", problem="q", answer="1") for place in range(3)]
    plan = StudyPlan.asking(benchmark="b", problems=asked, models={}, fit=None, policies=(), seeds=(1, 0))
    study, count = Study(tmp_path, plan), 3
    answers = PairedAnswers(Queries(("q",) * 6), np.zeros(6), np.ones(6), np.ones(6))
    assert self_verified(study, answers) is None
    vouched = {0: (0, 1, 2), 1: (2, 1, 0)}
    for seed, counts in vouched.items():
        path = verification_file(study, seed)
        path.parent.mkdir(exist_ok=True)
        rows = [
            Verification(problem_id=f"p{place}", text_sha256="", samples=2, vouched=of_it, unread=0)
            for place, of_it in enumerate(counts)
        ]
        path.write_text("".join(row.model_dump_json() + "\n" for row in rows[::-1]))
    found = self_verified(study, answers)
    assert found is not None
    assert found.queries.verified is not None
    assert found.queries.verified.tolist() == [0, 0.5, 1, 1, 0.5, 0]
    with pytest.raises(InputError, match="go on with the same"):
        self_verified(study, answers.take(np.arange(count)))


@pytest.mark.models
def test_the_labs_model_has_no_room_for_the_examples(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    routed(options(tmp_path / "weak", policy="weak", problems="3"))
    capsys.readouterr()
    command = ["verify", str(tmp_path / "weak"), "--lab", "--samples", "2", "--json"]
    app([*command, "--out", str(tmp_path / "verified.jsonl")], result_action="return_value")
    told = json.loads(capsys.readouterr().out)
    assert (told["answers"], told["vouched"], told["unread"]) == (3, 0, 1)
    with pytest.raises(InputError, match="greedy"):
        app([*command, "--temperature", "0", "--out", "x"], exit_on_error=False, print_error=False)
