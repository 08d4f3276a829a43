"""What finishes the cells of a study: a worker in this process."""

import asyncio
from collections.abc import Sequence

from rich.progress import Progress

from inference.cells import Cell
from inference.evaluate.worker import Workplace, open_worker


def finish_here(place: Workplace, cells: Sequence[Cell], progress: Progress) -> None:
    """One cell after another, in this process.

    Raises:
        TrimError: a model or the planner does not answer, or refuses.
    """

    async def finish() -> None:
        async with open_worker(place, progress) as worker:
            for cell in cells:
                await worker.finish(cell)

    asyncio.run(finish())
