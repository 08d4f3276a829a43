"""Bounded concurrency over a list of work."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from inference.turns import place_in_line

Item = TypeVar("Item")


async def for_each(items: Iterable[Item], work: Callable[[Item], Awaitable[None]], *, concurrency: int) -> None:
    """Do `work` on every item, `concurrency` at a time, in order of starting; those that started first go first where they compete.

    The first error cancels what is under way and is raised as it is.
    """
    waiting = enumerate(items)

    async def worker() -> None:
        for number, item in waiting:
            with place_in_line(number):
                await work(item)

    tasks = [asyncio.create_task(worker()) for _ in range(concurrency)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
