import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.journal import Journal, line_of, read_journal
from kde.errors import ArtefactError

ROWS = st.lists(st.dictionaries(st.text(), st.text() | st.floats(allow_nan=False) | st.none(), max_size=3), max_size=6)


def rows_of(documents: list[dict[str, object]]) -> list[bytes]:
    return [json.dumps(document).encode() for document in documents]


@given(ROWS, ROWS, st.data())
def test_any_cut_leaves_every_whole_row_and_can_be_written_on(
    tmp_path_factory: pytest.TempPathFactory,
    before: list[dict[str, object]],
    after: list[dict[str, object]],
    data: st.DataObject,
) -> None:
    path = tmp_path_factory.mktemp("journal") / "rows.jsonl"
    lines = [line_of(row) for row in rows_of(before)]
    content = b"".join(lines)
    cut = data.draw(st.integers(0, len(content)))
    path.write_bytes(content[:cut])
    whole = sum(len(b"".join(lines[: count + 1])) <= cut for count in range(len(lines)))
    assert read_journal(path) == rows_of(before)[:whole]
    with Journal(path) as journal:
        for row in rows_of(after):
            journal.append(row)
    assert read_journal(path) == rows_of(before)[:whole] + rows_of(after)
    assert [json.loads(line)["row"] for line in path.read_text().splitlines()] == before[:whole] + after


@given(st.data())
def test_a_damaged_line_is_refused_wherever_the_damage_is(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("journal") / "rows.jsonl"
    content = bytearray(b"".join(line_of(row) for row in rows_of([{"a": "b"}, {"c": 1.5}, {}])))
    place = data.draw(st.integers(0, len(content) - 2))  # without its last line end the last line was never finished
    content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    with pytest.raises(ArtefactError, match="line [123] is damaged .* solved again"):
        read_journal(path)


def test_what_is_appended_outlives_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    code = f"""
import os, signal
from pathlib import Path
from inference.journal import Journal
journal = Journal(Path({str(path)!r}))
for number in range(100):
    journal.append(b'%d' % number)
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    assert read_journal(path) == [b"%d" % number for number in range(100)]


def test_a_row_that_the_disk_does_not_take_leaves_no_trace(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    with Journal(path) as journal:
        journal.append(b"1")
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 40, before[1]))
        try:
            with pytest.raises(OSError, match="large"):
                journal.append(b'"' + b"x" * 100 + b'"')
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        journal.append(b"2")
    assert read_journal(path) == [b"1", b"2"]


def test_rows_are_on_the_disk_a_second_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    really = os.fsync

    def watched(file: int) -> None:
        synced.append(os.fstat(file).st_size)
        really(file)

    monkeypatch.setattr(os, "fsync", watched)
    journal = Journal(tmp_path / "rows.jsonl")
    synced.clear()
    journal.append(b"1")
    journal._thread.join(1.5)
    assert synced == [len(line_of(b"1"))]
    journal.close()
    assert len(synced) == 1
