from dataclasses import asdict, replace
from pathlib import Path

from inference.ending import Ending
from inference.records import SCHEMA, StepRecord, read_episodes, write_part
from inference.step import Author, Stop
from tests.inference.made_episodes import MADE

WRITTEN = StepRecord(Author.WEAK, "A:+1", Stop.SEPARATOR, 5)
DECIDED = StepRecord(
    author=Author.STRONG,
    text="B:*3",
    stop=Stop.LENGTH,
    tokens=7,
    discarded_tokens=6,
    seed=2**31 - 1,
    scores=(0.9, 0.1),
    score_windows=2,
    action="regenerate",
    belief=(0.1, 0.2, 0.7),
    break_even_tokens=80.5,
    expected_strong_tokens=7.0,
    table_hash="ab",
    fallback=True,
    propose_seconds=0.25,
    score_seconds=0.5,
    decide_seconds=0.125,
    regenerate_seconds=1.0,
)
EPISODE = replace(
    MADE,
    policy="pomdp:0.002",
    seed=3,
    steps=(WRITTEN, DECIDED),
    solution="A:+1\n\nB:*3",
    ending=Ending.STEP_LIMIT,
    weak_tokens=11,
    strong_tokens=7,
    discarded_tokens=6,
    fallback_decisions=1,
)


def test_episodes_come_back_as_they_were(tmp_path: Path) -> None:
    write_part(tmp_path, [EPISODE, replace(EPISODE, problem_id="p2", correct=True)])
    write_part(tmp_path, [replace(EPISODE, problem_id="p3", steps=())])
    frame = read_episodes(tmp_path)
    assert frame["problem_id"].to_list() == ["p1", "p2", "p3"]
    assert frame["correct"].to_list() == [None, True, None]
    first, second = frame.row(0, named=True)["steps"]
    assert first == asdict(WRITTEN) | {"scores": []}
    assert second == asdict(DECIDED) | {"scores": [0.9, 0.1], "belief": [0.1, 0.2, 0.7]}


def test_no_parts_are_an_empty_frame_and_half_written_ones_are_not_seen(tmp_path: Path) -> None:
    assert read_episodes(tmp_path / "absent").schema == SCHEMA
    write_part(tmp_path, [EPISODE])
    (tmp_path / ".part-00002.parquet").write_bytes(b"PAR1 half")
    assert read_episodes(tmp_path).height == 1
    write_part(tmp_path, [replace(EPISODE, problem_id="p2")])
    assert read_episodes(tmp_path).height == 2
