"""A cell: one policy on one list of problems with one seed. Each is a run of its own, durable and resumable."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from rich.progress import Progress

from inference.ending import Limits
from inference.engines.settings import EnginesFile
from inference.episode import EpisodeSettings, Truth
from inference.fleet import Fleet
from inference.problems import Problem
from inference.progress import EpisodeTally
from inference.records import read_episodes
from inference.route import describe_run, fingerprint_of, route
from inference.runner import Run
from planner.decision import Planner


@dataclass(frozen=True, slots=True)
class Cell:
    """What is run.

    Attributes:
        directory: of the run.
        policy: policy id.
        seed: of the sampling.
        problems: what is solved.
        scores: file that takes the PRM's scores of the finished traces, where one model alone wrote them; None for none.
    """

    directory: Path
    policy: str
    seed: int
    problems: Sequence[Problem]
    scores: Path | None = None


@dataclass(frozen=True, slots=True)
class CellRunner:
    """What cells are run with.

    Attributes:
        engines: settings of the models.
        fleet: the models.
        limits: of every episode.
        concurrency: problems in flight.
        progress: gets a row a cell.
        truth: for oracles.
    """

    engines: EnginesFile
    fleet: Fleet
    limits: Limits
    concurrency: int
    progress: Progress
    truth: Truth | None = None

    async def episodes(self, cell: Cell, planner: Planner) -> pl.DataFrame:
        """The episodes of a cell; those that are not on disk yet are made. SpecReason's steps are graded by M_s, not by the PRM.

        Raises:
            TrimError: a model or the planner does not answer, or the directory holds another run.
        """
        graded = cell.policy.startswith("specreason:")
        models = (self.engines.graded_by("strong") if graded else self.engines).describe()
        settings = EpisodeSettings(cell.policy, cell.seed, self.limits, fingerprint_of(models))
        run = Run(cell.directory, await describe_run(planner, settings, models), cell.problems)
        done = len(cell.problems) - len(run.remaining())
        tally = EpisodeTally(self.progress, cell.policy, total=len(cell.problems), done=done)
        await route(
            run,
            self.fleet,
            planner,
            settings,
            concurrency=self.concurrency,
            scorer=self.fleet.base_grader if graded else None,
            truth=self.truth,
            on_episode=tally.add,
        )
        return read_episodes(run.episodes)
