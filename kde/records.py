"""Files of typed records with unique keys: JSONL or a JSON array, gzipped where the name ends in `.gz`."""

import gzip
import zlib
from abc import abstractmethod
from collections.abc import Hashable, Iterable, Iterator
from io import BytesIO
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from kde.errors import InputError

LONGEST_LINE = 1 << 26
"""Bytes of one JSONL record; a longer line is no record of ours, and is not read to its end."""
LARGEST_ARRAY = 1 << 29
"""Bytes of a JSON array, which has to be in memory as a whole."""


class Entry(BaseModel):
    """One record of a file; fields that it does not name are left alone."""

    model_config = {"frozen": True, "strict": True}

    @property
    @abstractmethod
    def key(self) -> Hashable:
        """What no two records of a file share."""


class Record(Entry):
    """A record that is known by its id."""

    id: str = Field(min_length=1)

    @property
    def key(self) -> Hashable:
        """The id."""
        return self.id


AnyEntry = TypeVar("AnyEntry", bound=Entry)


def read_records(path: Path, record: type[AnyEntry]) -> list[AnyEntry]:
    r"""Read the records of a file; lines end at "\n" and nowhere else.

    Raises:
        InputError: the file cannot be read or is empty; or, naming the line or entry, it is not a record, or its key is repeated.
    """
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as stream:
            if stream.read(1) == b"[":
                return _unique(_array_entries(b"[" + stream.read(LARGEST_ARRAY), record, path), path)
            stream.seek(0)
            return _unique(_line_entries(iter(lambda: stream.readline(LONGEST_LINE), b""), record, path), path)
    except gzip.BadGzipFile as error:
        raise InputError(path, field="file", value=str(error), remedy="name a readable file of records") from error
    except (EOFError, zlib.error) as error:
        raise InputError(path, field="file", value=str(error), remedy="it is truncated: fetch it again") from error
    except OSError as error:
        raise InputError(path, field="file", value=error.strerror, remedy="name a readable file of records") from error


def parse_lines(content: bytes, record: type[AnyEntry], *, source: Path) -> list[AnyEntry]:
    """The records in the JSONL `content`; as `read_records`, with `source` naming it in errors."""
    return _unique(_line_entries(BytesIO(content), record, source), source)


def _line_entries(lines: Iterable[bytes], record: type[AnyEntry], source: Path) -> Iterator[tuple[str, AnyEntry]]:
    for number, line in enumerate(lines, start=1):
        place = f"line {number}"
        if len(line) == LONGEST_LINE:
            raise InputError(source, field=place, value=line[:40], remedy=f"a record has at most {LONGEST_LINE} bytes")
        try:
            yield place, record.model_validate_json(line.removesuffix(b"\n"))
        except ValidationError as error:
            raise InputError.of_validation(source, error, prefix=place) from error


def _array_entries(content: bytes, record: type[AnyEntry], source: Path) -> Iterator[tuple[str, AnyEntry]]:
    if len(content) > LARGEST_ARRAY:
        remedy = f"a JSON array has at most {LARGEST_ARRAY} bytes: write JSONL, one record a line"
        raise InputError(source, field="file", value=f"more than {LARGEST_ARRAY} bytes", remedy=remedy)
    try:
        entries = TypeAdapter(list[record]).validate_json(content)  # type: ignore[valid-type]
    except ValidationError as error:
        raise InputError.of_validation(source, error, prefix="entry") from error
    return ((f"entry {index}", entry) for index, entry in enumerate(entries))


def _unique(entries: Iterable[tuple[str, AnyEntry]], source: Path) -> list[AnyEntry]:
    places: dict[Hashable, str] = {}
    found: list[AnyEntry] = []
    for place, entry in entries:
        if entry.key in places:
            remedy = f"{places[entry.key]} has it already: ids are unique"
            raise InputError(source, field=f"{place}, id", value=entry.key, remedy=remedy)
        places[entry.key] = place
        found.append(entry)
    if not found:
        raise InputError(source, field="file", value="", remedy="it is empty: give one record a line")
    return found
