import asyncio

import pytest

from inference.concurrency import for_each


async def test_no_more_than_allowed_run_at_once() -> None:
    running = most = 0
    done = []

    async def work(item: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        done.append(item)

    await for_each(range(20), work, concurrency=3)
    assert most == 3
    assert sorted(done) == list(range(20))


async def test_the_first_error_stops_the_rest_and_is_raised_as_it_is() -> None:
    cancelled = []

    async def work(item: int) -> None:
        if item == 2:
            raise KeyError(item)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(item)
            raise

    with pytest.raises(KeyError):
        await for_each(range(10), work, concurrency=3)
    assert cancelled == [0, 1]
