"""JSONL files of typed records with unique ids."""

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, Field, ValidationError

from kde.errors import InputError


class Record(BaseModel):
    """One line of a JSONL file; fields that a record does not name are left alone."""

    model_config = {"frozen": True, "strict": True}

    id: str = Field(min_length=1)


AnyRecord = TypeVar("AnyRecord", bound=Record)


def read_jsonl(path: Path, record: type[AnyRecord]) -> list[AnyRecord]:
    r"""Read the records of a file; lines end at "\n" and nowhere else.

    Raises:
        InputError: the file cannot be read or is empty; or, naming the line, it is not a record, or its id is repeated.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(path, field="file", value=error.strerror, remedy="name a readable JSONL file") from error
    return parse_jsonl(content, record, source=path)


def parse_jsonl(content: bytes, record: type[AnyRecord], *, source: Path) -> list[AnyRecord]:
    """The records in `content`; as `read_jsonl`, with `source` naming it in errors."""
    records: list[AnyRecord] = []
    seen: dict[str, int] = {}
    for number, line in enumerate(content.removesuffix(b"\n").split(b"\n") if content else (), start=1):
        try:
            parsed = record.model_validate_json(line)
        except ValidationError as error:
            raise InputError.of_validation(source, error, prefix=f"line {number}") from error
        if parsed.id in seen:
            remedy = f"line {seen[parsed.id]} has it already: ids are unique"
            raise InputError(source, field=f"line {number}, id", value=parsed.id, remedy=remedy)
        seen[parsed.id] = number
        records.append(parsed)
    if not records:
        raise InputError(source, field="file", value="", remedy="it is empty: give one record a line")
    return records
