import shutil
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.archive import Archive
from inference.journal import line_of
from inference.records import SCHEMA, Episode, episode_row, journal_of, read_episodes, read_journalled, write_part
from kde.errors import ArtefactError
from tests.inference.test_records import EPISODE


def numbered(number: int) -> Episode:
    return replace(EPISODE, problem_id=f"p{number}")


def ids(directory: Path) -> list[str]:
    return read_episodes(directory)["problem_id"].to_list()


def test_a_finished_run_is_parts_and_nothing_else(tmp_path: Path) -> None:
    directory = tmp_path / "episodes"
    with Archive(directory, part_episodes=4) as archive:
        for number in range(10):
            archive.append(numbered(number))
            assert ids(directory) == [f"p{i}" for i in range(number + 1)]
    assert [path.name for path in sorted(tmp_path.rglob("*"))] == [
        "episodes",
        "part-00001.parquet",
        "part-00002.parquet",
        "part-00003.parquet",
    ]
    frame = pl.read_parquet(directory / "*.parquet")
    assert frame.schema == SCHEMA
    assert frame["problem_id"].to_list() == [f"p{i}" for i in range(10)]


def test_what_a_kill_left_becomes_a_part_and_an_episode_in_both_is_taken_once(tmp_path: Path) -> None:
    directory = tmp_path / "episodes"
    write_part(directory, [numbered(0), numbered(1)])
    rows = [line_of(episode_row(numbered(number))) for number in (1, 2, 3)]
    journal_of(directory).write_bytes(b"".join(rows)[:-7])
    assert ids(directory) == ["p0", "p1", "p2"]
    with Archive(directory) as archive:
        assert ids(directory) == ["p0", "p1", "p2"]
        archive.append(numbered(3))
    assert pl.read_parquet(directory / "*.parquet")["problem_id"].to_list() == ["p0", "p1", "p2", "p3"]


def test_a_reader_sees_every_episode_while_they_move_into_a_part(tmp_path: Path) -> None:
    directory = tmp_path / "episodes"
    archive = Archive(directory)
    for number in range(3):
        archive.append(numbered(number))
    shutil.copy(journal_of(directory), tmp_path / "kept")
    with archive:
        pass
    shutil.copy(tmp_path / "kept", journal_of(directory))  # as between the part's appearance and the journal's end
    assert ids(directory) == ["p0", "p1", "p2"]


FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(
    st.builds(
        replace,
        st.just(EPISODE),
        problem=st.text(),
        solution=st.text(),
        seconds=FINITE,
        correct=st.sampled_from([None, True, False]),
        steps=st.tuples(
            st.builds(
                replace,
                st.just(EPISODE.steps[1]),
                text=st.text(),
                scores=st.lists(st.floats(0, 1), max_size=3).map(tuple),
                belief=st.none() | st.just((0.1, 0.2, 0.7)),
                break_even_tokens=st.none() | FINITE | st.just(float("inf")),
            )
        ),
    )
)
def test_an_episode_in_the_journal_is_the_episode(tmp_path_factory: pytest.TempPathFactory, episode: Episode) -> None:
    directory = tmp_path_factory.mktemp("run") / "episodes"
    journal_of(directory).write_bytes(line_of(episode_row(episode)))
    assert read_journalled(directory) == [episode]
    journalled = read_episodes(directory)
    with Archive(directory):
        pass
    assert pl.read_parquet(directory / "*.parquet").equals(journalled)


def test_other_versions_and_damage_are_refused(tmp_path: Path) -> None:
    directory = tmp_path / "episodes"
    journal_of(directory).write_bytes(line_of(b'{"problem_id":"p1"}'))
    with pytest.raises(ArtefactError, match="episodes.jsonl: was written by another version"):
        Archive(directory)
    journal_of(directory).write_bytes(line_of(episode_row(EPISODE)).replace(b"A:+1", b"A:+2"))
    with pytest.raises(ArtefactError, match="line 1 is damaged"):
        read_episodes(directory)
    journal_of(directory).unlink()
    write_part(directory, [EPISODE])
    part = directory / "part-00001.parquet"
    pl.read_parquet(part).with_columns(pl.lit(value=True).alias("complete")).write_parquet(part)
    with pytest.raises(ArtefactError, match=r"another version \(its columns differ: complete\)"):
        read_episodes(directory)
    part.write_bytes(part.read_bytes()[:-9])
    with pytest.raises(ArtefactError, match="cannot be read"):
        Archive(directory)
