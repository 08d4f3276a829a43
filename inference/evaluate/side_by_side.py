"""Several studies side by side: a planner that was fitted elsewhere, another benchmark, scores with noise.

Each family is measured in every study against the two models alone of that study. Differences are to the first study; where both are of the
same problems the same resamples of problems serve both, so that what is hard for all cancels; otherwise the resamples are independent.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

from inference.evaluate.comparison import Comparison, FamilyDraws
from inference.evaluate.plan import leaves
from inference.evaluate.results import Results
from inference.evaluate.study import Study
from inference.evaluate.summary import SCHEMA_VERSION, family_document
from kde.errors import ArtefactError

_NOT_COMPARED = {"schema_version", "policies", "seeds"}
"""Fields of a study's plan that say nothing about what it is a study of."""


@dataclass(frozen=True)
class LabelledStudy:
    """A finished study and what it is called here.

    Attributes:
        label: for people.
        study: in its directory.
        summary: what `trim evaluate` made of it.
    """

    label: str
    study: Study
    summary: Mapping[str, Any]

    @classmethod
    def load(cls, label: str, directory: Path) -> "LabelledStudy":
        """A study that `trim evaluate` has finished.

        Raises:
            ArtefactError: it is not finished, or of another version.
        """
        study, path = Study.load(directory), directory / "summary.json"
        remedy = "finish the study: run the same `trim evaluate` again"
        try:
            summary = json.loads(path.read_bytes())
        except (OSError, ValueError) as error:
            raise ArtefactError(path, f"cannot be read ({error})", remedy=remedy) from error
        if not isinstance(summary, dict) or summary.get("schema_version") != SCHEMA_VERSION:
            raise ArtefactError(path, "was written by another version", remedy=remedy)
        measured = [row["policy"] for row in summary["policies"]], summary["seeds"]
        if measured != (list(study.plan.policies), list(study.plan.seeds)):
            raise ArtefactError(path, "lacks policies or seeds that the study has taken up since", remedy=remedy)
        return cls(label, study, summary)

    @cached_property
    def results(self) -> Results:
        """What its problems came to."""
        return Results.of(self.study.all_episodes())

    @property
    def families(self) -> Mapping[str, Sequence[str]]:
        """Its step-level families and their members."""
        return {row["family"]: row["members"] for row in self.summary["families"]}

    @property
    def query_level(self) -> Sequence[Mapping[str, Any]]:
        """Its routers of whole questions, measured, where they were."""
        found = self.summary["query_level"]
        return [] if found is None else list(found["families"])

    def is_paired_with(self, other: "LabelledStudy") -> bool:
        """Whether both are of the same problems."""
        return self.study.plan.problems_sha256 == other.study.plan.problems_sha256


def side_by_side(studies: Sequence[LabelledStudy]) -> dict[str, Any]:
    """The table of the families that several studies have, with differences to the first study.

    Raises:
        InputError: a study's episodes are not all there.
    """
    first = studies[0]
    paired = {one.label: one.is_paired_with(first) for one in studies[1:]}
    seeds = {one.label: 0 if paired.get(one.label, True) else place for place, one in enumerate(studies)}
    draws = {one.label: _draws(one, seeds[one.label]) for one in studies}
    counts = Counter(name for one in studies for name in one.families)
    shared = [name for name, count in counts.items() if count > 1]
    return {
        "studies": [
            {"label": one.label, "problems": one.summary["problems"], "paired": paired.get(one.label)}
            for one in studies
        ],
        "what_differs": _what_differs(studies),
        "in_one_study_only": [name for name in counts if name not in shared],
        "families": [
            _row(name, label, draws, first.label) for name in shared for label in draws if name in draws[label]
        ],
        "query_level": [
            {"study": one.label, **row, "difference": None}
            for name in dict.fromkeys(row["family"] for one in studies for row in one.query_level)
            for one in studies
            for row in one.query_level
            if row["family"] == name
        ],
    }


def _draws(one: LabelledStudy, seed: int) -> dict[str, FamilyDraws]:
    comparison = Comparison(one.results, seed=seed)
    return {name: comparison.family(members) for name, members in one.families.items()}


def _row(name: str, label: str, draws: Mapping[str, Mapping[str, FamilyDraws]], first: str) -> dict[str, Any]:
    """A family in a study, and how it differs from the same one in the first study, if that has it."""
    here, there = draws[label][name], draws[first].get(name)
    difference = None if label == first or there is None else family_document(here.minus(there).metrics())
    return {"family": name, "study": label, **family_document(here.metrics()), "difference": difference}


def _what_differs(studies: Sequence[LabelledStudy]) -> dict[str, list[Any]]:
    """Fields of the plans that are not the same in all studies, in the order of the studies; None where one has no such field."""
    plans = [dict(leaves(one.study.plan.model_dump(mode="json", exclude=_NOT_COMPARED), "")) for one in studies]
    told = {field: [plan.get(field) for plan in plans] for field in dict.fromkeys(chain.from_iterable(plans))}
    return {field: values for field, values in told.items() if any(value != values[0] for value in values)}
