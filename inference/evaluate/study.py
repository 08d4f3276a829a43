"""A study: every policy on the same problems with every seed; one durable run each, so that what is lost is made again and nothing twice.

OUT/study.json                       what it is
OUT/planner/                         what the policies decide from, where the study fits it itself
OUT/runs/POLICY/SEED/                the episodes
OUT/scores/weak-SEED.jsonl           the PRM's scores of M_w's own traces
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from inference.cells import Cell
from inference.evaluate.plan import STUDY_FILE, StudyPlan
from inference.problems import Problem
from inference.records import read_episodes
from kde.artefact import replace_file
from kde.errors import InputError


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
    def of(cls, out: Path, plan: StudyPlan) -> "Study":
        """The study of a plan; a directory holds one, which may grow by policies and seeds.

        Raises:
            InputError: the directory holds another study.
            ArtefactError: its `study.json` cannot be read.
        """
        if (out / STUDY_FILE).exists():
            plan = plan.going_on(StudyPlan.read(out), out)
        return cls(out, plan)

    @classmethod
    def load(cls, out: Path) -> "Study":
        """The study that a directory holds.

        Raises:
            ArtefactError: it holds none, or one of another version.
        """
        return cls(out, StudyPlan.read(out))

    def decided_by(self, planner: Mapping[str, str]) -> "Study":
        """The study with the planner that answers: content hashes by policy or kind of policy.

        Raises:
            InputError: the study began with another planner.
        """
        return replace(self, plan=self.plan.decided_by(planner, self.out))

    def begin(self) -> None:
        """Put on record what the study is."""
        self.out.mkdir(parents=True, exist_ok=True)
        replace_file(self.out / STUDY_FILE, (json.dumps(self.plan.model_dump(), indent=2) + "\n").encode())

    def cells(self, problems: Sequence[Problem]) -> Iterator[Cell]:
        """Its cells: all policies with the first seed, then with the next."""
        for seed in self.plan.seeds:
            for policy in self.plan.policies:
                scores = self.score_file(seed) if policy == "weak" else None
                yield Cell(self._directory(policy, seed), policy, seed, problems, scores)

    def score_file(self, seed: int) -> Path:
        """Where the PRM's scores of M_w's traces with a seed are."""
        return self.out / "scores" / f"weak-{seed}.jsonl"

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
