"""One process at a time."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kde.errors import InputError


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold a lock on `path`, which is created where it is missing; it ends with the block or with the process.

    Raises:
        InputError: another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                path,
                field="lock",
                value="held",
                remedy="another process writes here: wait for it, or choose another --out",
            ) from error
        yield
