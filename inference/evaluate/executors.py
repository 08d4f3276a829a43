"""What finishes the cells of a study: a worker in this process, worker processes of this machine, or actors on Ray.

A cell is finished by one worker at a time, and its directory remembers every episode. So a worker that is lost loses nothing but the
episodes under way: another goes on with its cell, and no episode is made twice.
"""

import asyncio
from collections.abc import Sequence
from enum import StrEnum

from rich.progress import Progress

from inference.cells import Cell
from inference.evaluate.local_workers import finish_in_processes
from inference.evaluate.ray_workers import finish_on_ray
from inference.evaluate.worker import Workplace, open_worker
from kde.errors import InputError


class Executor(StrEnum):
    """Where the workers are."""

    LOCAL = "local"
    """On this machine: this process, or several."""
    RAY = "ray"
    """On a Ray cluster."""


def finish_cells(
    place: Workplace,
    cells: Sequence[Cell],
    progress: Progress,
    *,
    executor: Executor,
    workers: int,
    address: str | None,
) -> None:
    """Finish what is not on disk yet.

    Args:
        place: what every worker opens for itself.
        cells: what is run.
        progress: shows how far it is.
        executor: where the workers are.
        workers: how many.
        address: of a Ray cluster that exists; None starts one on this machine.

    Raises:
        TrimError: a model or the planner does not answer, or refuses; or a cell has lost one worker after another.
        InputError: Ray is not installed or not there, or an address is given without it.
    """
    if executor is Executor.RAY:
        finish_on_ray(place, cells, progress, workers=workers, address=address)
        return
    if address is not None:
        remedy = "it is of a Ray cluster: give --executor ray"
        raise InputError("evaluate", field="--address", value=address, remedy=remedy)
    if workers == 1:
        asyncio.run(_finish_here(place, cells, progress))
    else:
        finish_in_processes(place, cells, progress, workers=workers)


async def _finish_here(place: Workplace, cells: Sequence[Cell], progress: Progress) -> None:
    async with open_worker(place, progress) as worker:
        for cell in cells:
            await worker.finish(cell)
