"""What a directory of tables offers: which lambda is answered from which table.

A directory is one policy table, or a folder of them. In a folder, `active.json` says which lambda is served from which table; without
it every lambda of every table is, and no two tables may have the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from kde.artefact import replace_file
from kde.errors import ArtefactError, InputError
from planner.policies.catalogue import Catalogue
from planner.table import TABLE, PolicyTable

ACTIVE_FILE = "active.json"
_TABLE_FILE = f"{TABLE.name}.json"


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
    """Checked tables and the policies they offer.

    Attributes:
        catalogue: the policies.
        tables: every table of the directory by content hash, on offer or not.
        places: their directories by content hash.
    """

    catalogue: Catalogue
    tables: Mapping[str, PolicyTable]
    places: Mapping[str, Path]

    @classmethod
    def load(cls, directory: Path) -> "Offer":
        """Read and check every table of a directory.

        Raises:
            ArtefactError: a table cannot be trusted, or there is none.
            InputError: two tables answer for one lambda, or `active.json` names a table that is not there.
        """
        loaded = {place: _load(place) for place in table_places(directory)}
        tables = {table.content_hash: table for table in loaded.values()}
        places = {table.content_hash: place for place, table in loaded.items()}
        active = _read_active(directory)
        chosen = _all_lambdas(directory, loaded) if active is None else _chosen(directory, active, tables)
        return cls(Catalogue.of_versions(chosen), tables, places)

    @property
    def active(self) -> ActivePolicies:
        """Which lambda is served from which table."""
        return ActivePolicies(tables={lam: table.content_hash for lam, table in self.catalogue.tables.items()})


def table_places(directory: Path) -> list[Path]:
    """The directories of tables: the one named, or those in it.

    Raises:
        ArtefactError: the folder holds no table.
    """
    if (directory / _TABLE_FILE).exists() or not directory.is_dir():
        return [directory]
    places = sorted(path.parent for path in directory.glob(f"*/{_TABLE_FILE}") if not path.parent.name.startswith("."))
    if not places:
        raise ArtefactError(
            directory / _TABLE_FILE,
            "cannot be read (nor is it a folder of tables)",
            remedy="name a directory that holds a table",
        )
    return places


def _load(place: Path) -> PolicyTable:
    """A table in memory of its own: what serves must not change, or be cut off, with a file that is overwritten in place."""
    return PolicyTable.load(place, fetch=Path.read_bytes)


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
