"""One process at a time in a folder of unfinished work."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kde.lock import held


@contextmanager
def exclusive(folder: Path, *, what: str) -> Iterator[None]:
    """Create the folder and hold it until the block or the process ends; without parts, its sub-folders, it is not left behind.

    Raises:
        InputError: another process holds it; `what` says what that does.
    """
    remedy = f"{what} is running: wait for it, or choose another --out"
    with held(folder / "lock", place=folder, remedy=remedy):
        try:
            yield
        finally:
            if not any(folder.glob("*/")):
                shutil.rmtree(folder, ignore_errors=True)
