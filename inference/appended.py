"""Files of JSON lines that a command appends to, and goes on with after it was stopped."""

import os
from collections.abc import Callable
from pathlib import Path

from kde.errors import InputError
from kde.records import AnyEntry, parse_lines


def held_rows(path: Path, kind: type[AnyEntry], check: Callable[[AnyEntry], None], *, what: str) -> list[AnyEntry]:
    """What is there already. A kill can leave the last line unfinished: it is cut off, and made again.

    Args:
        path: the file, which need not exist.
        kind: type of its rows.
        check: raises where a row does not belong to this run; nothing is cut off before all have passed.
        what: the rows, for people.

    Raises:
        InputError: it holds something else, and is left alone.
    """
    if not path.exists() or not path.stat().st_size:
        return []
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if not whole:
        remedy = f"this is no file of {what}: choose another --out"
        raise InputError(path, field="line 1", value=content[:80], remedy=remedy)
    rows = parse_lines(whole, kind, source=path)
    for row in rows:
        check(row)
    os.truncate(path, len(whole))
    return rows
