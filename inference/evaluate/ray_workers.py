"""Worker actors on Ray; one that dies is started again, and goes on with its cell.

Every node must have this package installed, see the study's directory and the models' under the same path, and hold the API keys that the
engines name.
"""

import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager, redirect_stdout
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.progress import Progress

from inference.cells import Cell
from inference.evaluate.worker import MOST_LOSSES, Worker, Workplace, open_worker
from kde.errors import InputError, TrimError


class RayWorker:
    """An actor that is given cells, one at a time, and answers each with what went wrong, or with None.

    Args:
        place: what it opens for itself, when it gets its first cell.
        folder: where relative paths begin.
    """

    def __init__(self, place: Workplace, folder: str) -> None:
        os.chdir(folder)
        self._place, self._stack = place, AsyncExitStack()
        self._worker: Worker | None = None

    async def finish(self, cell: Cell) -> str | None:
        """Finish a cell."""
        if self._worker is None:
            try:
                self._worker = await self._stack.enter_async_context(open_worker(self._place, Progress(disable=True)))
            except TrimError as error:
                return str(error)
        return await self._worker.attempt(cell)

    async def close(self) -> None:
        """Release the models and end the planner."""
        await self._stack.aclose()


def finish_on_ray(
    place: Workplace, cells: Sequence[Cell], progress: Progress, *, workers: int, address: str | None
) -> None:
    """Finish cells by `workers` actors of one CPU each, on a cluster that exists, or on one that is started here.

    Raises:
        InputError: Ray is not installed, the cluster is not there, or it has not so many CPUs.
        TrimError: a model or the planner does not answer, or refuses; or a cell has lost one worker after another.
    """
    with _cluster(address, workers) as ray:
        from ray.util import ActorPool  # noqa: PLC0415  an extra

        if ray.cluster_resources().get("CPU", 0) < workers:
            remedy = f"the cluster has {ray.cluster_resources().get('CPU', 0):g} CPUs, and a worker takes one"
            raise InputError("evaluate", field="--workers", value=workers, remedy=remedy)
        actor = ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=MOST_LOSSES - 1)(RayWorker)
        here = replace(place, logs=place.logs.absolute(), planner=place.planner and place.planner.absolute())
        actors = [actor.remote(here, str(Path.cwd())) for _ in range(workers)]
        task = progress.add_task("cells", total=len(cells), note="")
        pool = ActorPool(actors)
        try:
            for complaint in pool.map_unordered(
                lambda worker, cell: worker.finish.remote(cell), [_absolute(cell) for cell in cells]
            ):
                if complaint is not None:
                    raise TrimError(complaint)
                progress.update(task, advance=1)
        except ray.exceptions.RayActorError as error:
            told = " ".join(str(error).split())[:200]
            raise TrimError(f"a cell has lost {MOST_LOSSES} Ray workers ({told}); the same command goes on") from error
        ray.get([worker.close.remote() for worker in actors])


def _absolute(cell: Cell) -> Cell:
    return replace(cell, directory=cell.directory.absolute(), scores=cell.scores and cell.scores.absolute())


@contextmanager
def _cluster(address: str | None, workers: int) -> Iterator[Any]:
    """Ray, connected."""
    if find_spec("ray") is None:
        remedy = "pip install 'trim-routing[ray]', on this machine and on every node"
        raise InputError("evaluate", field="ray", value="not installed", remedy=remedy)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray  # noqa: PLC0415  an extra

    started: dict[str, Any] = {"address": "local", "num_cpus": workers, "include_dashboard": False}
    settings = started if address is None else {"address": address}
    with redirect_stdout(sys.stderr):  # Ray tells of lost workers on standard output, which belongs to results
        try:
            ray.init(**settings, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
            told = " ".join(str(error).split())[:200]
            remedy = f"it does not answer ({told}): start it by `ray start --head`, or leave --address out"
            raise InputError("evaluate", field="--address", value=address, remedy=remedy) from error
        try:
            yield ray
        finally:
            ray.shutdown()
