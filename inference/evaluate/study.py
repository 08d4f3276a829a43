"""A study: every policy on the same problems with every seed; one durable run each, so that what is lost is made again and nothing twice.

OUT/study.json                       what it is
OUT/planner/                         what the policies decide from
OUT/runs/POLICY/SEED/                the episodes
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from pydantic import BaseModel, ConfigDict, ValidationError

from inference.cells import Cell, CellRunner
from inference.problems import Problem, fingerprint
from inference.records import read_episodes
from kde.artefact import replace_file
from kde.errors import ArtefactError, InputError
from planner.decision import Planner

STUDY_FILE = "study.json"


class StudyPlan(BaseModel):
    """What is compared; the content of `study.json`.

    Attributes:
        schema_version: 1.
        policies: ids, `weak` and `strong` among them.
        seeds: of the sampling.
        problems: how many.
        problems_sha256: which.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = 1
    policies: tuple[str, ...]
    seeds: tuple[int, ...]
    problems: int
    problems_sha256: str


@dataclass(frozen=True, slots=True)
class Study:
    """A study in its directory.

    Attributes:
        out: the directory.
        plan: what is compared.
    """

    out: Path
    plan: StudyPlan

    @classmethod
    def of(cls, out: Path, problems: Sequence[Problem], policies: Sequence[str], seeds: Sequence[int]) -> "Study":
        """A study of these problems; a directory holds one, which may grow by policies and seeds.

        Raises:
            InputError: the directory holds a study of other problems.
            ArtefactError: its `study.json` cannot be read.
        """
        plan = StudyPlan(
            policies=tuple(dict.fromkeys(("weak", "strong", *policies))),
            seeds=tuple(seeds),
            problems=len(problems),
            problems_sha256=fingerprint(problems),
        )
        if (out / STUDY_FILE).exists():
            found = cls.load(out).plan
            if found.problems_sha256 != plan.problems_sha256:
                remedy = "this directory holds a study of other problems: choose another --out"
                raise InputError(out / STUDY_FILE, field="problems", value=found.problems, remedy=remedy)
            policies = tuple(dict.fromkeys((*found.policies, *plan.policies)))
            plan = plan.model_copy(update={"policies": policies, "seeds": tuple(sorted({*found.seeds, *plan.seeds}))})
        return cls(out, plan)

    @classmethod
    def load(cls, out: Path) -> "Study":
        """The study that a directory holds.

        Raises:
            ArtefactError: it holds none, or one of another version.
        """
        path = out / STUDY_FILE
        try:
            return cls(out, StudyPlan.model_validate_json(path.read_bytes()))
        except (OSError, ValidationError) as error:
            told = " ".join(str(error).split())[:160]
            remedy = "name a directory that `trim evaluate` wrote"
            raise ArtefactError(path, f"cannot be read ({told})", remedy=remedy) from error

    def cells(self, problems: Sequence[Problem]) -> Iterator[Cell]:
        """Its cells: all policies with the first seed, then with the next."""
        for seed in self.plan.seeds:
            for policy in self.plan.policies:
                yield Cell(self._directory(policy, seed), policy, seed, problems)

    async def finish(self, problems: Sequence[Problem], runner: CellRunner, planner: Planner) -> None:
        """Run what is not on disk yet.

        Raises:
            TrimError: a model or the planner does not answer.
        """
        self.out.mkdir(parents=True, exist_ok=True)
        replace_file(self.out / STUDY_FILE, (json.dumps(self.plan.model_dump(), indent=2) + "\n").encode())
        for cell in self.cells(problems):
            await runner.episodes(cell, planner)

    def episodes(self, policy: str) -> pl.DataFrame:
        """The episodes of a policy with every seed.

        Raises:
            InputError: not all of its problems are solved yet.
        """
        frames = []
        for seed in self.plan.seeds:
            frame = read_episodes(self._directory(policy, seed) / "episodes")
            if frame.height != self.plan.problems:
                remedy = f"{self.plan.problems} are asked: go on with the same `trim evaluate`"
                raise InputError(self._directory(policy, seed), field="episodes", value=frame.height, remedy=remedy)
            frames.append(frame)
        return pl.concat(frames)

    def all_episodes(self) -> dict[str, pl.DataFrame]:
        """The episodes of every policy.

        Raises:
            InputError: not all of its problems are solved yet.
        """
        return {policy: self.episodes(policy) for policy in self.plan.policies}

    def _directory(self, policy: str, seed: int) -> Path:
        return self.out / "runs" / policy.replace(":", "-") / str(seed)
