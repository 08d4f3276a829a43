import asyncio

import numpy as np
import pytest

from inference.engines.base import EngineError
from inference.engines.bounded import Turns
from inference.turns import Line, ahead_of_need, place_in_line


async def test_no_more_than_allowed_are_inside() -> None:
    line, inside, most = Line(3), 0, 0

    async def work() -> None:
        nonlocal inside, most
        async with line.turn():
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(work() for _ in range(20)))
    assert (most, inside, line.waiting) == (3, 0, 0)


async def test_older_ones_go_first_and_what_nobody_waits_for_last() -> None:
    line, order = Line(1), []

    async def work(number: int, *, early: bool) -> None:
        with place_in_line(number):
            if early:
                with ahead_of_need():
                    await asyncio.create_task(enter((number, early)))  # a task inherits its place
            else:
                await enter((number, early))

    async def enter(who: tuple[int, bool]) -> None:
        async with line.turn():
            order.append(who)
            await asyncio.sleep(0)

    async with line.turn():
        tasks = [
            asyncio.create_task(work(n, early=e)) for n, e in [(3, False), (1, True), (2, False), (0, True), (1, False)]
        ]
        await asyncio.sleep(0.01)
        assert line.waiting == 5
    await asyncio.gather(*tasks)
    assert order == [(1, False), (2, False), (3, False), (0, True), (1, True)]


@pytest.mark.parametrize("seed", range(5))
async def test_a_turn_is_never_lost_to_somebody_who_left(seed: int) -> None:
    rng, line, done = np.random.default_rng(seed), Line(2), 0

    async def work() -> None:
        nonlocal done
        async with line.turn():
            await asyncio.sleep(rng.random() / 500)
        done += 1

    tasks = [asyncio.create_task(work()) for _ in range(60)]
    for task in [tasks[index] for index in rng.permutation(60)[:30]]:
        await asyncio.sleep(rng.random() / 500)
        task.cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert done == sum(end is None for end in ended) >= 30
    async with asyncio.timeout(1), line.turn(), line.turn():
        assert line.waiting == 0


async def test_a_long_line_does_not_make_a_call_late() -> None:
    turns = Turns("model", in_flight=1, deadline_seconds=0.5)

    async def call(seconds: float) -> None:
        async with turns.turn():
            await asyncio.sleep(seconds)

    await asyncio.gather(*(call(0.1) for _ in range(8)))
    with pytest.raises(EngineError, match=r"model: no answer within the deadline of 0\.5 s"):
        await call(5)
    await call(0)
