"""A study: every policy on the same problems with every seed; one durable run each, so that what is lost is made again and nothing twice.

OUT/study.json                       what it is
OUT/planner/                         what the policies decide from, where the study fits it itself
OUT/runs/POLICY/SEED/                the episodes
OUT/scores/weak-SEED.jsonl           the PRM's scores of M_w's own traces
OUT/grades.jsonl                     grades of the answers that a comparison of text or numbers leaves open
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from inference.cells import Cell
from inference.evaluate.grades import grade, graded, read_grades
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
        """The episodes of a policy with every seed; an answer that cannot be graded counts as wrong.

        Raises:
            InputError: not all of its problems are solved yet.
        """
        return self._graded(policy).with_columns(pl.col("correct").fill_null(value=False))

    def all_episodes(self) -> dict[str, pl.DataFrame]:
        """The episodes of every policy.

        Raises:
            InputError: not all of its problems are solved yet.
        """
        return {policy: self.episodes(policy) for policy in self.plan.policies}

    def grade(self, problems: Sequence[Problem], *, on_graded: Callable[[int, int], None]) -> None:
        """Judge the answers that are open yet; `on_graded` hears how many are, and of how many.

        Raises:
            InputError: not all of its problems are solved yet, or math-verify is not installed.
        """
        recorded = pl.concat(self._recorded(policy) for policy in self.plan.policies)
        grade(recorded, problems, self._grade_file, on_graded=on_graded)

    def ungradable(self) -> pl.DataFrame:
        """Policy, seed and problem of every episode whose answer cannot be graded.

        Raises:
            InputError: not all of its problems are solved yet.
        """
        frames = (self._graded(policy).filter(pl.col("correct").is_null()) for policy in self.plan.policies)
        return pl.concat(frame.select("policy", "seed", "problem_id") for frame in frames)

    def _graded(self, policy: str) -> pl.DataFrame:
        return graded(self._recorded(policy), read_grades(self._grade_file))

    def _recorded(self, policy: str) -> pl.DataFrame:
        """Episodes as they were recorded: with the grades that need no more than a comparison."""
        frames = []
        for seed in self.plan.seeds:
            frame = read_episodes(self._directory(policy, seed) / "episodes")
            if frame.height != self.plan.problems:
                remedy = f"{self.plan.problems} are asked: go on with the same `trim evaluate`"
                raise InputError(self._directory(policy, seed), field="episodes", value=frame.height, remedy=remedy)
            frames.append(frame)
        return pl.concat(frames)

    @property
    def _grade_file(self) -> Path:
        return self.out / "grades.jsonl"

    def _directory(self, policy: str, seed: int) -> Path:
        return self.out / "runs" / policy.replace(":", "-") / str(seed)
