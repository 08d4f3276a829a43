"""Scorers around a model: windows, noise, grades, records."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.conversation import Conversation, asked
from inference.engines.base import ContextFullError, EngineError
from inference.scorers.base import Scores
from inference.scorers.noise import NoisyScorer
from inference.scorers.recorded import RecordedScorer
from inference.scorers.self_evaluation import SelfEvaluationScorer, expected_grade
from inference.scorers.windows import windows
from kde.errors import InputError
from kde.traces import LabelledTrace, ScoredTrace

QUESTION = asked("q")


class Fixed:
    """Gives every step the score 0.8, the third one 1."""

    async def score(self, _question: Conversation, steps: Sequence[str]) -> Scores:
        return Scores(tuple(1.0 if place == 2 else 0.8 for place in range(len(steps))), windows=2)

    async def close(self) -> None:
        pass


@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=9),
    question=st.integers(0, 4),
    room=st.integers(9, 40),
)
def test_every_step_is_scored_once_behind_the_question_and_all_that_fits(
    lengths: list[int], question: int, room: int
) -> None:
    asked, context = [0] * question, question + room
    steps = [[place + 1] * length for place, length in enumerate(lengths)]
    found = windows(asked, steps, context=context, model="m")
    assert sum(window.scored for window in found) == len(steps)
    last = 0
    for window in found:
        last += window.scored
        first = last - window.steps
        assert window.ids == [*asked, *(token for step in steps[first:last] for token in step)]
        assert len(window.ids) <= context
        assert first == 0 or len(window.ids) + lengths[first - 1] > context
    assert (len(found) == 1) == (sum(lengths) <= room)
    assert all(window.scored == 1 for window in found[1:])


def test_a_step_that_does_not_fit_is_an_error_and_never_a_score() -> None:
    assert len(windows([1], [[2, 3]], context=3, model="m")) == 1
    with pytest.raises(ContextFullError, match="m: 4 tokens do not fit the model's context of 3"):
        windows([1], [[2], [3, 4, 5]], context=3, model="m")


async def test_noise_is_the_same_for_whoever_asks_again() -> None:
    steps = [f"s{n}" for n in range(5)]
    noisy = NoisyScorer(Fixed(), sigma=0.5, seed=1)
    whole = await noisy.score(QUESTION, steps)
    assert (await NoisyScorer(Fixed(), sigma=0.5, seed=1).score(QUESTION, steps[:4])).values == whole.values[:4]
    assert (await NoisyScorer(Fixed(), sigma=0.5, seed=2).score(QUESTION, steps)).values != whole.values
    assert (await noisy.score(asked("p"), steps)).values != whole.values
    assert (await noisy.score(QUESTION, ["t", *steps[1:]])).values[0] != whole.values[0]
    assert (whole.windows, whole.values[2]) == (2, 1.0)
    assert (await NoisyScorer(Fixed(), sigma=0.0, seed=1).score(QUESTION, ["a"])).values == pytest.approx((0.8,))


async def test_noise_is_gaussian_on_the_logit() -> None:
    noisy = NoisyScorer(Fixed(), sigma=0.5, seed=3)
    values = np.array([(await noisy.score(QUESTION, [str(n)])).values[0] for n in range(2000)])
    noise = np.log(values / (1 - values)) - math.log(4)
    assert abs(noise.mean()) < 0.05
    assert abs(noise.std() - 0.5) < 0.03


class Grading:
    """Answers with the number of steps that it is shown; remembers how often it was asked."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    async def first_token(self, question: Conversation) -> Mapping[str, float]:
        (message,) = question
        self.seen.append(message.content)
        return {"9": math.log(0.5), " 0": math.log(0.25), "nine": math.log(0.25)}

    async def close(self) -> None:
        pass


async def test_a_step_is_graded_once_and_keeps_its_grade() -> None:
    grader = Grading()
    scorer = SelfEvaluationScorer(grader)
    assert (await scorer.score(QUESTION, ["a"])).values == pytest.approx((2 / 3,))
    assert len((await scorer.score(QUESTION, ["a", "b"])).values) == 2
    assert len(grader.seen) == 2
    await scorer.score(QUESTION, ["c", "b"])  # another prefix, other grades
    assert len(grader.seen) == 4
    assert "Steps before it:\na\n\nLast step:\nb" in grader.seen[1]


def test_a_grade_is_the_expectation_over_the_digits() -> None:
    assert expected_grade({"7": 0.0}) == pytest.approx(7 / 9)
    assert expected_grade({"3": math.log(0.2), "6": math.log(0.6), "x": 0.0}) == pytest.approx((3 + 3 * 6) / 4 / 9)
    assert expected_grade({" 9": -1.0, "9": -1.0, "0": -50.0}) == pytest.approx(1)
    with pytest.raises(EngineError, match="no digit"):
        expected_grade({"yes": -0.1, "10": -1.0, "²": -2.0})


async def test_recorded_scores_are_found_by_their_text(tmp_path: Path) -> None:
    trace = LabelledTrace(id="t", generator="g", problem="q", steps=["a", "b"], final_answer_correct=True, label=-1)
    labels, file = tmp_path / "labels.jsonl", tmp_path / "scores.jsonl"
    labels.write_text(trace.model_dump_json() + "\n")
    record = ScoredTrace(id="t", prm="p", scores=[0.9, 0.3], text_sha256=trace.text_sha256)
    file.write_text(record.model_dump_json() + "\n")
    scorer = RecordedScorer(file, labels)
    assert await scorer.score(QUESTION, ["a"]) == ((0.9,), 1)
    assert await scorer.score(QUESTION, ["a", "b"]) == ((0.9, 0.3), 1)
    for question, steps in ((QUESTION, ["a", "c"]), (asked("other"), ["a"])):
        with pytest.raises(
            EngineError, match=f"step {len(steps)} '{steps[-1]}' of the problem '{question[0].content}'"
        ):
            await scorer.score(question, steps)
    file.write_text(record.model_copy(update={"id": "x"}).model_dump_json() + "\n")
    with pytest.raises(InputError, match="no labelled trace"):
        RecordedScorer(file, labels)
