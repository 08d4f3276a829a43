"""Where a step ends."""

from collections.abc import Sequence

import pytest

from inference.engines.pieces import Piece, decode_step
from inference.step import Step, Stop, is_degenerate


async def step_of(texts: list[tuple[str, Stop]], limit: int = 100) -> tuple[Step, list[tuple[int, int, int]]]:
    """The step of a model that writes these pieces of two tokens each, and what it was asked: pieces before, limit, seed."""
    asked: list[tuple[int, int, int]] = []

    async def decode(pieces: Sequence[Piece], limit: int, seed: int) -> Piece:
        asked.append((len(pieces), limit, seed))
        text, stop = texts[len(asked) - 1]
        return Piece(text, (len(asked), 0), stop, 2)

    return await decode_step(decode, limit=limit, seed=7, vocabulary="v"), asked


SEPARATOR = Stop.SEPARATOR


async def test_a_step_that_says_something_is_taken_as_it_is() -> None:
    for stop in (Stop.SEPARATOR, Stop.END, Stop.LENGTH):
        step, asked = await step_of([("So 1.", stop)])
        assert step == Step("So 1.", (1, 0), "v", stop)
        assert asked == [(0, 100, 7)]


async def test_decoding_goes_on_behind_text_that_says_nothing_and_its_tokens_count() -> None:
    step, asked = await step_of([("", SEPARATOR), (" --- ", SEPARATOR), ("So.", SEPARATOR)])
    assert step == Step("So.", (1, 0, 2, 0, 3, 0), "v", Stop.SEPARATOR)
    assert step.tokens == 6
    assert asked == [(0, 100, 7), (1, 98, 8), (2, 96, 9)]


async def test_three_further_tries_and_no_more() -> None:
    step, asked = await step_of([(".", SEPARATOR)] * 9)
    assert (step.stop, len(step.token_ids), len(asked)) == (Stop.DEGENERATE, 8, 4)
    assert step.ends_answer
    assert step.separator == ""


async def test_nothing_ends_an_answer_or_fills_a_step_as_it_is() -> None:
    assert (await step_of([("", Stop.END)]))[0].stop is Stop.END
    assert (await step_of([("", Stop.LENGTH)]))[0].stop is Stop.LENGTH
    step, asked = await step_of([("", SEPARATOR)] * 9, limit=4)
    assert (step.stop, len(asked)) == (Stop.LENGTH, 2)


async def test_an_engine_without_ids_counts() -> None:
    async def decode(pieces: Sequence[Piece], _limit: int, _seed: int) -> Piece:
        return Piece("a" if pieces else "", (), Stop.SEPARATOR, 5)

    step = await decode_step(decode, limit=100, seed=0, vocabulary="")
    assert (step.token_ids, step.tokens) == ((), 10)


@pytest.mark.parametrize("text", ["", " \n\t", "---", "...", "$$", "\\[", " . "])
def test_text_without_a_letter_or_a_digit_is_degenerate(text: str) -> None:
    assert is_degenerate(text)


@pytest.mark.parametrize("text", ["x", "1", "- 2", "∴ q", "数"])
def test_text_with_one_is_not(text: str) -> None:
    assert not is_degenerate(text)
