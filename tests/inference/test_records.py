from dataclasses import replace
from pathlib import Path

from inference.records import SCHEMA, Episode, StepRecord, read_episodes, write_part
from inference.step import Author

WRITTEN = StepRecord(author=Author.WEAK, text="A:+1", tokens=5)
DECIDED = StepRecord(
    author=Author.STRONG,
    text="B:*3",
    tokens=7,
    discarded_tokens=6,
    scores=(0.9, 0.1),
    action="regenerate",
    belief=(0.1, 0.2, 0.7),
    break_even_tokens=80.5,
    expected_strong_tokens=7.0,
    table_hash="ab",
)
EPISODE = Episode("p1", "pomdp:0.002", 3, (WRITTEN, DECIDED), "A:+1\n\nB:*3", True, None, 11, 7, 6, 0.5, 0.1, 0.01, "v")


def test_episodes_come_back_as_they_were(tmp_path: Path) -> None:
    write_part(tmp_path, [EPISODE, replace(EPISODE, problem_id="p2", correct=True)])
    write_part(tmp_path, [replace(EPISODE, problem_id="p3", steps=())])
    frame = read_episodes(tmp_path)
    assert frame["problem_id"].to_list() == ["p1", "p2", "p3"]
    assert frame["correct"].to_list() == [None, True, None]
    first = frame.row(0, named=True)["steps"]
    assert first[0] == {
        "author": "weak",
        "text": "A:+1",
        "tokens": 5,
        "discarded_tokens": 0,
        "scores": [],
        "table_hash": "",
    } | dict.fromkeys(("action", "belief", "break_even_tokens", "expected_strong_tokens"))
    assert first[1]["belief"] == [0.1, 0.2, 0.7]


def test_no_parts_are_an_empty_frame_and_half_written_ones_are_not_seen(tmp_path: Path) -> None:
    assert read_episodes(tmp_path / "absent").schema == SCHEMA
    write_part(tmp_path, [EPISODE])
    (tmp_path / ".part-00002.parquet").write_bytes(b"PAR1 half")
    assert read_episodes(tmp_path).height == 1
    write_part(tmp_path, [replace(EPISODE, problem_id="p2")])
    assert read_episodes(tmp_path).height == 2
