"""`trim route` as a user runs it, with real models, a real planner and real kills."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from inference.lab.shipped import lab_places, lab_problems
from inference.records import read_episodes
from planner.table import PolicyTable
from tests.planner.servers import start

pytestmark = pytest.mark.models
TRIM = [sys.executable, "-m", "inference"]


def route(out: Path, *options: str, policy: str = "thr:0.5", problems: str = "12") -> list[str]:
    return [*TRIM, "route", "--lab", "--problems", problems, "--policy", policy, "--out", str(out), "--json", *options]


def run(command: list[str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)


def wait_for_parts(process: "subprocess.Popen[str]", out: Path, least: int) -> None:
    while read_episodes(out / "episodes").height < least:
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)


def test_a_routed_run_is_recorded_and_graded(tmp_path: Path) -> None:
    done = run(route(tmp_path / "R"))
    summary = json.loads(done.stdout)
    assert summary["episodes"] == 12
    frame = pl.read_parquet(tmp_path / "R" / "episodes")
    answers = {problem.id: problem.answer for problem in lab_problems(12, seed=0)}
    for row in frame.iter_rows(named=True):
        assert row["correct"] == row["solution"].endswith(f"\\boxed{{{answers[row['problem_id']]}}}")
        strong = sum(step["tokens"] for step in row["steps"] if step["author"] == "strong")
        assert row["strong_tokens"] == strong
        discarded = sum(step["discarded_tokens"] for step in row["steps"])
        weak = sum(step["tokens"] for step in row["steps"] if step["author"] == "weak")
        assert row["weak_tokens"] == weak + discarded
        for number, step in enumerate(row["steps"], start=1):
            assert len(step["scores"]) == number
            assert (step["action"] == "regenerate") == (step["scores"][-1] < 0.5) == (step["author"] == "strong")


def test_the_same_seed_gives_the_same_episodes_whatever_the_concurrency(tmp_path: Path) -> None:
    for name, concurrency in (("a", "1"), ("b", "12")):
        assert run(route(tmp_path / name, "--concurrency", concurrency)).returncode == 0
    first, second = (
        read_episodes(tmp_path / name / "episodes").sort("problem_id")["solution"].to_list() for name in "ab"
    )
    assert first == second


def test_a_run_killed_half_way_resumes_to_every_problem_once(tmp_path: Path) -> None:
    command = route(tmp_path, "--concurrency", "32", problems="96")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for_parts(process, tmp_path, 32)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    before = read_episodes(tmp_path / "episodes")["problem_id"].to_list()
    assert 32 <= len(before) < 96
    assert json.loads(run(command).stdout)["episodes"] == 96
    after = read_episodes(tmp_path / "episodes")["problem_id"].to_list()
    assert after[: len(before)] == before
    assert sorted(after) == sorted(problem.id for problem in lab_problems(96, seed=0))


def test_sigterm_keeps_everything_that_is_finished(tmp_path: Path) -> None:
    command = route(tmp_path, "--concurrency", "32", problems="96")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for_parts(process, tmp_path, 32)
    time.sleep(0.5)
    process.terminate()
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "Traceback" not in errors
    assert read_episodes(tmp_path / "episodes").height > 32


def test_another_table_does_not_go_on_with_a_run(tmp_path: Path, table_directory: Path, table: PolicyTable) -> None:
    options = ["--tables", str(table_directory)]
    assert run(route(tmp_path / "R", *options, policy="pomdp:0.002", problems="4")).returncode == 0
    replace(table, pomdp=replace(table.pomdp, p_strong=0.9)).save(tmp_path / "other")
    done = run(route(tmp_path / "R", "--tables", str(tmp_path / "other"), policy="pomdp:0.002", problems="4"))
    assert done.returncode == 2
    assert "run.json: table is" in done.stderr


def test_a_model_alone_needs_no_other_place(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text(lab_problems(1, seed=0)[0].model_dump_json() + "\n")
    options = ["--problems", str(tmp_path / "p.jsonl"), "--policy", "strong", "--strong", lab_places()["strong"]]
    done = run([*TRIM, "route", *options, "--out", str(tmp_path / "R"), "--json"])
    assert json.loads(done.stdout)["episodes"] == 1


def test_without_a_planner_the_run_stops_with_one_line_and_resumes(tmp_path: Path, table_directory: Path) -> None:
    planner, ready = start(table_directory)
    address = ready["listening"]
    command = route(tmp_path, "--concurrency", "32", "--server", address, policy="pomdp:0.002", problems="96")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for_parts(process, tmp_path, 32)
    os.kill(planner.pid, signal.SIGKILL)
    planner.communicate()
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output) == (2, "")
    told = [line for line in errors.splitlines() if line.startswith("trim: ")]
    assert told == [errors.splitlines()[-1]]
    assert f"planner {address}: no answer" in told[0]
    kept = read_episodes(tmp_path / "episodes").height
    assert 32 <= kept < 96
    planner, _ = start(table_directory, listen=address)
    try:
        assert json.loads(run(command).stdout)["episodes"] == 96
    finally:
        os.kill(planner.pid, signal.SIGTERM)
        planner.communicate(timeout=20)
    frame = read_episodes(tmp_path / "episodes")
    assert frame["problem_id"].n_unique() == 96
    hashes = frame["steps"].explode().struct.field("table_hash").unique().to_list()
    assert hashes == [ready["table_hash"]]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--problems", "3", "--policy", "thr:0.5"], "3"),
        (["--lab", "--problems", "2", "--policy", "nobody"], "nobody"),
        (["--lab", "--problems", "2", "--policy", "pomdp:0.1"], "--tables"),
        (["--lab", "--problems", "2", "--policy", "thr:0.5", "--weak", "/nowhere"], "/nowhere"),
        (["--problems", "p.jsonl", "--policy", "thr:0.5"], "p.jsonl"),
        (["--lab", "--problems", "2", "--policy", "thr:0.5", "--temperature", "-1"], "temperature"),
        (
            ["--lab", "--problems", "2", "--policy", "thr:0.5", "--server", "a:1", "--tables", "T"],
            "one of --server and --tables",
        ),
        (["--lab", "--problems", "2", "--policy", "thr:0.5", "--concurrency", "0"], "concurrency"),
        (["--lab", "--problems", "0", "--policy", "thr:0.5"], "problems"),
    ],
)
def test_errors_are_one_line_and_status_two(arguments: list[str], complaint: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [*TRIM, "route", *arguments, "--out", "R"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert complaint in done.stderr
    assert len([line for line in done.stderr.splitlines() if "trim: " in line]) == 1
    assert "Traceback" not in done.stderr
