import asyncio
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from inference.problems import Problem
from inference.records import Episode, read_episodes
from inference.runner import Run
from kde.errors import ArtefactError, InputError
from tests.inference.test_records import EPISODE

PROBLEMS = [Problem(id=f"p{i}", problem="x") for i in range(100)]


async def _solve(problem: Problem) -> Episode:
    await asyncio.sleep(0)
    return replace(EPISODE, problem_id=problem.id)


async def test_a_run_that_stops_keeps_what_is_finished_and_goes_on(tmp_path: Path) -> None:
    async def fail_late(problem: Problem) -> Episode:
        if problem.id == "p70":
            raise InputError("planner", field="x", value=1, remedy="gone")
        return await _solve(problem)

    run = Run(tmp_path, {"policy": "thr:0.5"}, PROBLEMS)
    with pytest.raises(InputError, match="gone"):
        await run.finish(fail_late, concurrency=5)
    kept = read_episodes(run.episodes)["problem_id"].to_list()
    assert len(kept) >= 65
    again = Run(tmp_path, {"policy": "thr:0.5"}, PROBLEMS)
    assert len(again.remaining()) == 100 - len(kept)
    seen: list[str] = []
    await again.finish(_solve, concurrency=5, on_episode=lambda episode: seen.append(episode.problem_id))
    assert not set(seen) & set(kept)
    assert sorted(read_episodes(run.episodes)["problem_id"]) == sorted(problem.id for problem in PROBLEMS)


@pytest.mark.parametrize(
    ("settings", "problems", "field"),
    [
        ({"policy": "thr:0.6"}, PROBLEMS, "policy"),
        ({"policy": "thr:0.5", "seed": 1}, PROBLEMS, "seed"),
        ({"policy": "thr:0.5"}, PROBLEMS[:9], "problems"),
    ],
)
async def test_another_run_in_the_same_place_is_refused(
    tmp_path: Path, settings: dict[str, object], problems: list[Problem], field: str
) -> None:
    started = Run(tmp_path, {"policy": "thr:0.5"}, PROBLEMS)
    Run(tmp_path, settings, problems)  # nothing is claimed before it runs
    await started.finish(_solve, concurrency=5)
    with pytest.raises(InputError, match=field):
        Run(tmp_path, settings, problems)


async def test_two_processes_do_not_work_on_one_run(tmp_path: Path) -> None:
    run = Run(tmp_path, {}, PROBLEMS)
    take = "from pathlib import Path; from inference.lock import exclusive"
    hold = f"{take}\nwith exclusive(Path({str(tmp_path / '.lock')!r})): print(flush=True); input()"
    command = [sys.executable, "-c", hold]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:  # noqa: ASYNC220
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(InputError, match="another process"):
            await run.finish(_solve, concurrency=5)
        other.communicate("\n")
    await run.finish(_solve, concurrency=5)
    assert read_episodes(run.episodes).height == 100


def test_broken_files_are_refused(tmp_path: Path) -> None:
    for content in ("{", "[]"):
        (tmp_path / "run.json").write_text(content)
        with pytest.raises(ArtefactError, match="JSON"):
            Run(tmp_path, {}, PROBLEMS)
    (tmp_path / "run.json").unlink()
    run = Run(tmp_path, {}, PROBLEMS)
    run.episodes.mkdir()
    (run.episodes / "part-00001.parquet").write_bytes(b"PAR1")
    with pytest.raises(ArtefactError, match="solved again"):
        run.remaining()
