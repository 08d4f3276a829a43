import asyncio

import numpy as np
import pytest

from inference.turns import Turns, ahead_of_need, place_in_line


async def test_no_more_than_allowed_are_inside() -> None:
    turns, inside, most = Turns(3), 0, 0

    async def work() -> None:
        nonlocal inside, most
        async with turns.turn():
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(work() for _ in range(20)))
    assert (most, inside, turns.waiting) == (3, 0, 0)


async def test_older_ones_go_first_and_what_nobody_waits_for_last() -> None:
    turns, order = Turns(1), []

    async def work(number: int, *, early: bool) -> None:
        with place_in_line(number):
            if early:
                with ahead_of_need():
                    await asyncio.create_task(enter((number, early)))  # a task inherits its place
            else:
                await enter((number, early))

    async def enter(who: tuple[int, bool]) -> None:
        async with turns.turn():
            order.append(who)
            await asyncio.sleep(0)

    async with turns.turn():
        tasks = [
            asyncio.create_task(work(n, early=e)) for n, e in [(3, False), (1, True), (2, False), (0, True), (1, False)]
        ]
        await asyncio.sleep(0.01)
        assert turns.waiting == 5
    await asyncio.gather(*tasks)
    assert order == [(1, False), (2, False), (3, False), (0, True), (1, True)]


@pytest.mark.parametrize("seed", range(5))
async def test_a_turn_is_never_lost_to_somebody_who_left(seed: int) -> None:
    rng, turns, done = np.random.default_rng(seed), Turns(2), 0

    async def work() -> None:
        nonlocal done
        async with turns.turn():
            await asyncio.sleep(rng.random() / 500)
        done += 1

    tasks = [asyncio.create_task(work()) for _ in range(60)]
    for task in [tasks[index] for index in rng.permutation(60)[:30]]:
        await asyncio.sleep(rng.random() / 500)
        task.cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert done == sum(end is None for end in ended) >= 30
    async with asyncio.timeout(1), turns.turn(), turns.turn():
        assert turns.waiting == 0
