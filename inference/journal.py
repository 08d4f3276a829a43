"""A file of JSON lines that is appended to, one finished thing a line, and survives kills and power cuts.

A line is `{"crc32":"xxxxxxxx","row":...}`. It is handed to the system at once, so that a killed process loses nothing, and reaches the
disk within about a second. What an interrupted write leaves behind the last line end was never whole and is not read; anything else
that does not carry its checksum is damage.
"""

import os
import re
import threading
import zlib
from pathlib import Path
from types import TracebackType
from typing import Self

from kde.errors import ArtefactError

_SYNC_SECONDS = 1.0
_LINE = re.compile(rb'\{"crc32":"([0-9a-f]{8})","row":(.*)\}', re.DOTALL)


class Journal:
    """The appending end; a context manager. What an interrupted write left is cut off when it opens.

    Args:
        path: the file; it is created where it is missing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        self._written = whole_length(path.read_bytes())
        os.ftruncate(self._file, self._written)
        sync_directory(path.parent)
        self._synced = self._written
        self._failed: OSError | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._keep_synced, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def append(self, row: bytes) -> None:
        """Add one row of JSON. A row that the disk does not take leaves no trace.

        Raises:
            OSError: the system does not take it, or did not take an earlier one to the disk.
        """
        if self._failed is not None:
            raise self._failed
        view = memoryview(line_of(row))
        length = len(view)
        try:
            while view:
                view = view[os.write(self._file, view) :]
        except OSError:
            os.ftruncate(self._file, self._written)
            raise
        self._written += length

    def close(self) -> None:
        """Wait until everything is on the disk.

        Raises:
            OSError: it does not get there.
        """
        self._closing.set()
        self._thread.join()
        os.close(self._file)
        if self._failed is not None:
            raise self._failed

    def _keep_synced(self) -> None:
        """What is written goes to the disk once a second, however busy the run is; and at the end."""
        closing = False
        while not closing and self._failed is None:
            closing = self._closing.wait(_SYNC_SECONDS)
            written = self._written
            if written == self._synced:
                continue
            try:
                os.fsync(self._file)
            except OSError as error:
                self._failed = error
            self._synced = written


def line_of(row: bytes) -> bytes:
    """The line that holds a row of JSON."""
    return b'{"crc32":"%08x","row":%b}\n' % (zlib.crc32(row), row)


def whole_length(content: bytes) -> int:
    """Bytes of the lines that are whole: what follows was cut short by whatever ended the process."""
    return content.rfind(b"\n") + 1


def read_journal(path: Path) -> list[bytes]:
    """The rows of a journal, in order; none where it does not exist. An unfinished last line is no row.

    Raises:
        ArtefactError: a line does not carry its checksum.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    rows = []
    for number, line in enumerate(content[: whole_length(content)].split(b"\n")[:-1], start=1):
        found = _LINE.fullmatch(line)
        if found is None or int(found[1], 16) != zlib.crc32(found[2]):
            raise ArtefactError(
                path,
                f"line {number} is damaged (its checksum is another)",
                remedy="remove the line: its problem is solved again",
            )
        rows.append(found[2])
    return rows


def sync_directory(directory: Path) -> None:
    """A new file is only as durable as the entry of its name."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
