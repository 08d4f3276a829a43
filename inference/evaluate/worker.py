"""A worker of a study: models and a planner of its own, through which it finishes one cell after another."""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.progress import Progress

from inference.cells import Cell, CellRunner
from inference.ending import Limits
from inference.engines.settings import EnginesFile
from inference.episode import Truth
from inference.evaluate.planner_folder import read_offer
from inference.fleet import open_fleet
from inference.planner_process import planner_process
from inference.route import fingerprint_of
from inference.scoring import score_traces, solution_job
from inference.solutions import solutions_of
from kde.errors import TrimError
from planner.client import PlannerClient
from planner.decision import Carry, Decision, Planner, Proposal
from planner.local import LocalPlanner

MOST_LOSSES = 3
"""Workers that a cell may lose; more, and it is the cell that kills them."""


@dataclass(frozen=True, slots=True)
class Workplace:
    """What a worker opens for itself.

    Attributes:
        engines: settings of the models.
        planner: folder of what policies decide from; None where they need nothing.
        logs: directory of the logs of what is started.
        concurrency: problems in flight.
        truth: for oracles; None where nobody knows.
    """

    engines: EnginesFile
    planner: Path | None
    logs: Path
    concurrency: int
    truth: Truth | None


@dataclass(frozen=True, slots=True)
class StudyPlanner:
    """Asks the service, except for what no wire carries: the oracle and TRIM-Seq are asked here.

    Attributes:
        service: for every other policy.
        local: for those two.
    """

    service: Planner
    local: Planner

    async def decide(self, policy: str, proposal: Proposal, carry: Carry | None) -> Decision:
        """Decide under the named policy."""
        planner = self.local if policy.startswith(("oracle:", "seq:")) else self.service
        return await planner.decide(policy, proposal, carry)


@dataclass(frozen=True, slots=True)
class Worker:
    """An open worker.

    Attributes:
        runner: of the models.
        planner: decides.
    """

    runner: CellRunner
    planner: Planner

    async def finish(self, cell: Cell) -> None:
        """Make the episodes of a cell that are not on disk yet, and their scores where the cell asks for them.

        Raises:
            TrimError: a model or the planner does not answer, or refuses.
        """
        await self.runner.episodes(cell, self.planner)
        if cell.scores is None:
            return
        cell.scores.parent.mkdir(parents=True, exist_ok=True)
        solutions = solutions_of(cell.directory, cell.problems)
        task = self.runner.progress.add_task("PRM scores", total=len(solutions), note="")
        job = solution_job(solutions, prm=self._prm())
        await score_traces(
            self.runner.fleet.scorer, job, cell.scores, on_trace=partial(self.runner.progress.advance, task)
        )

    async def attempt(self, cell: Cell) -> str | None:
        """Finish a cell where errors have to cross processes: what a `TrimError` said, or None."""
        try:
            await self.finish(cell)
        except TrimError as error:
            return str(error)
        return None

    def _prm(self) -> str:
        """What files of scores call the scorer: its weights and its noise are part of it."""
        return f"scorer@{fingerprint_of({'scorer': self.runner.engines.describe()['scorer']})}"


@asynccontextmanager
async def open_worker(place: Workplace, progress: Progress) -> AsyncIterator[Worker]:
    """Open the models and serve the planner for as long as the block lasts.

    Raises:
        TrimError: the planner or a server of a model did not start.
    """
    async with AsyncExitStack() as stack:
        fleet = await stack.enter_async_context(open_fleet(place.engines, place.logs))
        runner = CellRunner(place.engines, fleet, Limits(), place.concurrency, progress, place.truth)
        if place.planner is None:
            yield Worker(runner, LocalPlanner(None))
            return
        log = place.logs / f"planner-{os.getpid()}.log"
        address = await stack.enter_async_context(planner_process(place.planner, log=log))
        client = await stack.enter_async_context(PlannerClient(address))
        yield Worker(runner, StudyPlanner(client, LocalPlanner(read_offer(place.planner).catalogue)))


def lost_again(cell: Cell) -> TrimError:
    """What is said when the workers of a cell keep dying."""
    told = f"{MOST_LOSSES} workers died one after another (out of memory?)"
    return TrimError(f"{cell.directory}: {told}; what is finished is kept, and the same command goes on")
