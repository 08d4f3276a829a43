import asyncio
from collections.abc import Sequence

import pytest

from inference.batching import Batcher


async def test_everyone_gets_their_own_answer_in_batches_no_larger_than_allowed() -> None:
    sizes: list[int] = []

    def square(batch: Sequence[int]) -> list[int]:
        sizes.append(len(batch))
        return [x * x for x in batch]

    batcher = Batcher(square, largest=8)
    assert await asyncio.gather(*(batcher.ask(x) for x in range(50))) == [x * x for x in range(50)]
    assert max(sizes) == 8
    assert len(sizes) == 7
    await batcher.close()


async def test_an_error_reaches_everyone_in_its_batch_and_nobody_else() -> None:
    def invert(batch: Sequence[int]) -> list[float]:
        return [1 / x for x in batch]

    batcher = Batcher(invert, largest=2)
    answers = await asyncio.gather(*(batcher.ask(x) for x in (1, 2, 0, 4, 5, 8)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [float, float, ZeroDivisionError, ZeroDivisionError, float, float]
    assert await batcher.ask(4) == 0.25
    await batcher.close()


async def test_a_caller_who_leaves_does_not_disturb_the_others() -> None:
    started, go_on = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(batch: Sequence[int]) -> list[int]:
        loop.call_soon_threadsafe(started.set)
        asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result()
        return list(batch)

    batcher = Batcher(slow, largest=4)
    leaving, staying = asyncio.create_task(batcher.ask(1)), asyncio.create_task(batcher.ask(2))
    await started.wait()
    late = asyncio.create_task(batcher.ask(3))
    leaving.cancel()
    go_on.set()
    assert list(await asyncio.gather(staying, late)) == [2, 3]
    with pytest.raises(asyncio.CancelledError):
        await leaving
    await batcher.close()


async def test_a_model_that_answers_too_little_leaves_nobody_waiting() -> None:
    batcher: Batcher[int, int] = Batcher(lambda batch: list(batch)[1:], largest=4)
    answers = await asyncio.gather(*(batcher.ask(x) for x in range(3)), return_exceptions=True)
    assert [str(answer) for answer in answers] == ["2 answers to 3 requests"] * 3
    await batcher.close()


async def test_closing_leaves_nobody_waiting() -> None:
    batcher: Batcher[int, int] = Batcher(list, largest=2)
    asked = [asyncio.create_task(batcher.ask(x)) for x in range(6)]
    await asyncio.sleep(0)
    await batcher.close()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert all(answer == x or isinstance(answer, asyncio.CancelledError) for x, answer in enumerate(answers))
    assert any(isinstance(answer, asyncio.CancelledError) for answer in answers)
