"""One process at a time."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kde.errors import InputError


@contextmanager
def held(lock: Path, *, place: Path, remedy: str) -> Iterator[None]:
    """Hold a lock on the file `lock`, which is created where it is missing, until the block or the process ends.

    Raises:
        InputError: another process holds it; the error names `place`, and says the `remedy`.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("ab") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(place, field="lock", value="held", remedy=remedy) from error
        yield
