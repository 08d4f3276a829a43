"""One writer of results at a time."""

from contextlib import AbstractContextManager
from pathlib import Path

from kde.lock import held


def exclusive(path: Path) -> AbstractContextManager[None]:
    """Hold a lock on `path`, which is created where it is missing; it ends with the block or with the process.

    Raises:
        InputError: another process holds it.
    """
    return held(path, place=path, remedy="another process writes here: wait for it, or choose another --out")
