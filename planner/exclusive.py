"""One process at a time in a folder of unfinished work."""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kde.errors import InputError


@contextmanager
def exclusive(folder: Path, *, what: str) -> Iterator[None]:
    """Create the folder and hold it until the block or the process ends; without parts, its sub-folders, it is not left behind.

    Raises:
        InputError: another process holds it; `what` says what that does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("ab") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            remedy = f"{what} is running: wait for it, or choose another --out"
            raise InputError(folder, field="lock", value="held", remedy=remedy) from error
        try:
            yield
        finally:
            if not any(folder.glob("*/")):
                shutil.rmtree(folder, ignore_errors=True)
