"""What a study is: the content of its `study.json`, and what may change when it goes on."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from inference.lab.language import Mix
from inference.problems import Problem, fingerprint
from kde.errors import ArtefactError, InputError

STUDY_FILE = "study.json"
_ABSENT = object()


class Fit(BaseModel):
    """How a study's own planner is fitted on the lab.

    Attributes:
        calibration: problems that the two models solve for it.
        lambdas: prices of its table.
        mix: of those problems' operations.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    calibration: int
    lambdas: tuple[float, ...]
    mix: Mix


class StudyPlan(BaseModel):
    """What is compared.

    Attributes:
        schema_version: 2.
        benchmark: what the problems are called.
        problems: how many.
        problems_sha256: which.
        models: description of M_w, M_s and the scorer, its noise included.
        fit: how the planner is fitted; None where it was given.
        planner: content hash of the artefact behind each policy or kind of policy that the planner answers.
        policies: ids, `weak` and `strong` among them.
        seeds: of the sampling.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[2] = 2
    benchmark: str
    problems: int
    problems_sha256: str
    models: dict[str, Any]
    fit: Fit | None
    planner: dict[str, str] = Field(default_factory=dict)
    policies: tuple[str, ...]
    seeds: tuple[int, ...]

    @classmethod
    def asking(
        cls,
        *,
        benchmark: str,
        problems: Sequence[Problem],
        models: Mapping[str, Any],
        fit: Fit | None,
        policies: Sequence[str],
        seeds: Sequence[int],
    ) -> "StudyPlan":
        """A plan for these problems, models and policies; the two models alone are always among the policies."""
        return cls(
            benchmark=benchmark,
            problems=len(problems),
            problems_sha256=fingerprint(problems),
            models=dict(models),
            fit=fit,
            policies=tuple(dict.fromkeys(("weak", "strong", *policies))),
            seeds=tuple(seeds),
        )

    @classmethod
    def read(cls, directory: Path) -> "StudyPlan":
        """The plan of the study in a directory.

        Raises:
            ArtefactError: it holds none, or one of another version.
        """
        path = directory / STUDY_FILE
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            told = " ".join(str(error).split())[:160]
            remedy = "name a directory that this version of `trim evaluate` wrote"
            raise ArtefactError(path, f"cannot be read ({told})", remedy=remedy) from error

    def going_on(self, found: "StudyPlan", directory: Path) -> "StudyPlan":
        """This plan with what the study in the directory has already: it may grow by policies and seeds, and by nothing else.

        Raises:
            InputError: the study there is of other problems or models, or its planner is fitted otherwise.
        """
        path = directory / STUDY_FILE
        if found.problems_sha256 != self.problems_sha256:
            told = f"{found.benchmark}, {found.problems}"
            remedy = "this directory holds a study of other problems: choose another --out"
            raise InputError(path, field="problems", value=told, remedy=remedy)
        kept = {"models", "fit"}
        _refuse_change(path, found.model_dump(mode="json", include=kept), self.model_dump(mode="json", include=kept))
        return self.model_copy(
            update={
                "planner": found.planner,
                "policies": tuple(dict.fromkeys((*found.policies, *self.policies))),
                "seeds": tuple(sorted({*found.seeds, *self.seeds})),
            }
        )

    def decided_by(self, planner: Mapping[str, str], directory: Path) -> "StudyPlan":
        """This plan with the planner that answers; it may answer more than before.

        Args:
            planner: content hash by policy or kind of policy.
            directory: of the study.

        Raises:
            InputError: it is not the planner that the study began with.
        """
        for name, was in self.planner.items():
            if planner.get(name) != was:
                remedy = f"this planner has {planner.get(name)!r}: go on with the one that the study began with, or choose another --out"
                raise InputError(directory / STUDY_FILE, field=f"planner.{name}", value=was, remedy=remedy)
        return self.model_copy(update={"planner": dict(planner)})


def _refuse_change(path: Path, found: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    was, now = dict(leaves(found, "")), dict(leaves(asked, ""))
    for field in sorted(was.keys() | now.keys()):
        if was.get(field, _ABSENT) != now.get(field, _ABSENT):
            remedy = f"you ask for {now.get(field)!r}: repeat the settings to go on, or choose another --out"
            raise InputError(path, field=field, value=was.get(field), remedy=remedy)


def leaves(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Every value of nested mappings that is not a mapping itself, with its place: names with points between them."""
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from leaves(inner, f"{place}.{name}" if place else name)
    else:
        yield place, value
