"""What a directory of artefacts offers: which policy is answered from which.

A directory is one artefact, or a folder of them: policy tables, learned policies and a budget table, each in a directory of its own. In a
folder, `active.json` says which lambda is served from which table; without it every lambda of every table is, and no two tables may have
the same. Learned policies have one lambda each, and no two the same; there is at most one budget table.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from kde.artefact import ArtefactKind, replace_file
from kde.errors import ArtefactError, InputError
from planner.batch import CataloguePolicy
from planner.budget import BUDGET, BudgetTable
from planner.policies.catalogue import Catalogue
from planner.policies.learned import LEARNED, LearnedPolicy
from planner.table import TABLE, PolicyTable

ACTIVE_FILE = "active.json"
KINDS = (TABLE, LEARNED, BUDGET)
"""What a directory may hold."""


class ActivePolicies(BaseModel):
    """The content of `active.json`.

    Attributes:
        schema_version: 1.
        tables: content hash of the table that answers, by lambda.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    schema_version: int = 1
    tables: Mapping[float, str]

    def save(self, folder: Path) -> None:
        """Write the file, atomically."""
        ordered = self.model_copy(update={"tables": dict(sorted(self.tables.items()))})
        replace_file(folder / ACTIVE_FILE, (ordered.model_dump_json(indent=2) + "\n").encode())


@dataclass(frozen=True, slots=True)
class Offer:
    """Checked artefacts and the policies they offer.

    Attributes:
        catalogue: the policies.
        tables: every table of the directory by content hash, on offer or not.
        places: their directories by content hash.
    """

    catalogue: Catalogue
    tables: Mapping[str, PolicyTable]
    places: Mapping[str, Path]

    @classmethod
    def load(cls, directory: Path, *, own: Mapping[str, CataloguePolicy] | None = None) -> "Offer":
        """Read and check every artefact of a directory; `own` are the caller's own policies by id (`Catalogue`).

        Raises:
            ArtefactError: one cannot be trusted, or there is none.
            InputError: two answer for one lambda or for budgets, or `active.json` names a table that is not there.
        """
        found = artefact_places(directory)
        loaded = {place: _load(place) for place in found[TABLE]}
        tables = {table.content_hash: table for table in loaded.values()}
        places = {table.content_hash: place for place, table in loaded.items()}
        active = _read_active(directory)
        chosen = _all_lambdas(directory, loaded) if active is None else _chosen(directory, active, tables)
        catalogue = Catalogue.of_versions(
            chosen, budget=_the_budget(directory, found[BUDGET]), learned=_learned(directory, found[LEARNED]), own=own
        )
        return cls(catalogue, tables, places)

    @property
    def active(self) -> ActivePolicies:
        """Which lambda is served from which table."""
        return ActivePolicies(tables={lam: table.content_hash for lam, table in self.catalogue.tables.items()})


def artefact_places(directory: Path) -> dict[ArtefactKind, list[Path]]:
    """The directories of artefacts by kind: the one named, or those in it.

    Raises:
        ArtefactError: the folder holds nothing that decides.
    """
    here = [kind for kind in KINDS if (directory / f"{kind.name}.json").exists()]
    if here:
        return {kind: [directory] if kind in here else [] for kind in KINDS}
    places = {
        kind: sorted(
            path.parent for path in directory.glob(f"*/{kind.name}.json") if not path.parent.name.startswith(".")
        )
        for kind in KINDS
    }
    if not any(places.values()):
        raise ArtefactError(
            directory / f"{TABLE.name}.json",
            "cannot be read (nor is it a folder of tables)",
            remedy="name a directory that holds a table, a learned policy or a budget table",
        )
    return places


def _load(place: Path) -> PolicyTable:
    """A table in memory of its own: what serves must not change, or be cut off, with a file that is overwritten in place."""
    return PolicyTable.load(place, fetch=Path.read_bytes)


def _learned(directory: Path, places: list[Path]) -> dict[float, LearnedPolicy]:
    owners: dict[float, Path] = {}
    policies: dict[float, LearnedPolicy] = {}
    for place in places:
        policy = LearnedPolicy.load(place, fetch=Path.read_bytes)
        if policy.lam in owners:
            remedy = f"{owners[policy.lam].name} and {place.name} both answer for it: keep one"
            raise InputError(directory, field="lambda of learned policies", value=policy.lam, remedy=remedy)
        owners[policy.lam], policies[policy.lam] = place, policy
    return policies


def _the_budget(directory: Path, places: list[Path]) -> BudgetTable | None:
    if len(places) > 1:
        names = ", ".join(place.name for place in places)
        raise InputError(directory, field="budget tables", value=names, remedy="keep one: it answers every budget")
    return BudgetTable.load(places[0], fetch=Path.read_bytes) if places else None


def _all_lambdas(directory: Path, loaded: Mapping[Path, PolicyTable]) -> dict[float, PolicyTable]:
    chosen: dict[float, PolicyTable] = {}
    owners: dict[float, Path] = {}
    for place, table in loaded.items():
        for entry in table.entries:
            if entry.lam in chosen:
                remedy = (
                    f"{owners[entry.lam].name} and {place.name} both answer for it: keep one, or write {ACTIVE_FILE}"
                )
                raise InputError(directory, field="lambda", value=entry.lam, remedy=remedy)
            chosen[entry.lam], owners[entry.lam] = table, place
    return chosen


def _chosen(directory: Path, active: ActivePolicies, tables: Mapping[str, PolicyTable]) -> dict[float, PolicyTable]:
    for lam, content_hash in active.tables.items():
        if content_hash not in tables or all(entry.lam != lam for entry in tables[content_hash].entries):
            remedy = "no table of the folder has this hash and this lambda"
            raise InputError(directory / ACTIVE_FILE, field=f"tables.{lam!r}", value=content_hash, remedy=remedy)
    return {lam: tables[content_hash] for lam, content_hash in active.tables.items()}


def _read_active(directory: Path) -> ActivePolicies | None:
    path = directory / ACTIVE_FILE
    try:
        active = ActivePolicies.model_validate_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValidationError as error:
        raise InputError.of_validation(path, error) from error
    if active.schema_version != 1:
        raise InputError(path, field="schema_version", value=active.schema_version, remedy="this version reads 1")
    return active
