import gzip
import json
from pathlib import Path

import pytest

from kde.errors import InputError
from kde.records import LONGEST_LINE, parse_lines, read_records
from kde.traces import AnsweredTrace, ScoredTrace

ROWS = [{"id": name, "prm": "p", "scores": [0.5, 1]} for name in "abc"]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("s.jsonl", LINES.encode()),
        ("s.jsonl", LINES.rstrip("\n").encode()),
        ("s.json", json.dumps(ROWS, indent=1).encode()),
        ("s.jsonl.gz", gzip.compress(LINES.encode(), mtime=0)),
        ("s.json.gz", gzip.compress(json.dumps(ROWS).encode(), mtime=0)),
    ],
)
def test_lines_and_arrays_are_read_alike(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert [row.id for row in read_records(tmp_path / name, ScoredTrace)] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("s.jsonl", b"", "empty"),
        ("s.json", b"[]", "empty"),
        ("s.jsonl", LINES.encode()[:-9], "line 3"),
        ("s.json", json.dumps(ROWS).encode()[:-9], "entry"),
        ("s.jsonl", (LINES + LINES[:40]).encode(), "line 4"),
        ("s.jsonl", (LINES + LINES).encode(), "line 4, id"),
        ("s.json", json.dumps(ROWS + ROWS[:1]).encode(), "entry 3, id"),
        ("s.json", json.dumps([{"id": "a", "prm": "p"}]).encode(), "entry, 0.scores"),
        ("s.jsonl.gz", gzip.compress(LINES.encode(), mtime=0)[:-12], "truncated"),
        ("s.jsonl.gz", LINES.encode(), "file"),
        ("s.jsonl", b"\xff\xfe\x00", "line 1"),
    ],
)
def test_bad_files_are_named_with_the_place(tmp_path: Path, name: str, content: bytes, complaint: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=complaint) as caught:
        read_records(tmp_path / name, ScoredTrace)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_huge_line_is_not_read_to_its_end(tmp_path: Path) -> None:
    with (tmp_path / "huge.jsonl").open("wb") as stream:
        stream.truncate(LONGEST_LINE * 40)
    with pytest.raises(InputError, match="line 1.* at most"):
        read_records(tmp_path / "huge.jsonl", ScoredTrace)


def test_a_missing_file_and_a_directory_are_named(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.jsonl", tmp_path):
        with pytest.raises(InputError, match="readable"):
            read_records(path, ScoredTrace)


def test_one_trace_may_be_scored_by_several_prms_and_one_problem_solved_by_several_candidates(tmp_path: Path) -> None:
    twice = [ROWS[0], ROWS[0] | {"prm": "q"}]
    assert len(parse_lines(b"\n".join(json.dumps(row).encode() for row in twice), ScoredTrace, source=tmp_path)) == 2
    candidates = [{"problem_id": "a", "candidate": n, "scores": [0.5]} for n in (0, 1, 1)]
    lines = b"\n".join(json.dumps(row).encode() for row in candidates)
    with pytest.raises(InputError, match=r"line 3, id is \('a', 1\)"):
        parse_lines(lines, AnsweredTrace, source=tmp_path)
