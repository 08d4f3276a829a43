"""`trim route` as a user runs it, with real models, a real planner and real kills."""

import json
import os
import signal
import subprocess
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from inference.lab.shipped import lab_places, lab_problems
from inference.records import read_episodes
from kde.errors import InputError, TrimError
from planner.table import PolicyTable
from tests.inference.runs import (
    TRIM,
    ids,
    once_finished,
    options,
    routed,
    started,
    started_behind,
    wait_for,
    without_times,
)
from tests.planner.servers import start, stop

pytestmark = pytest.mark.models
MANY = 40
ALL = sorted(problem.id for problem in lab_problems(MANY, seed=0))


def many(out: Path, *more: str) -> list[str]:
    return options(out, "--concurrency", "8", "--max-steps", "3", *more, problems=str(MANY))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    out = tmp_path_factory.mktemp("undisturbed")
    assert routed(many(out))["episodes"] == MANY
    return read_episodes(out / "episodes")


def test_a_routed_run_is_recorded_and_graded(tmp_path: Path) -> None:
    assert routed(options(tmp_path))["episodes"] == 12
    problems = {problem.id: problem for problem in lab_problems(12, seed=0)}
    for row in read_episodes(tmp_path / "episodes").iter_rows(named=True):
        problem = problems[row["problem_id"]]
        assert row["problem"] == problem.problem
        assert row["correct"] == row["solution"].endswith(f"\\boxed{{{problem.answer}}}")
        assert row["ending"] == "answer"
        strong = sum(step["tokens"] for step in row["steps"] if step["author"] == "strong")
        assert row["strong_tokens"] == strong
        discarded = sum(step["discarded_tokens"] for step in row["steps"])
        weak = sum(step["tokens"] for step in row["steps"] if step["author"] == "weak")
        assert row["weak_tokens"] == weak + discarded
        for number, step in enumerate(row["steps"], start=1):
            assert len(step["scores"]) == number
            assert step["score_windows"] == 1
            assert (step["action"] == "regenerate") == (step["scores"][-1] < 0.5) == (step["author"] == "strong")
            assert (step["regenerate_seconds"] > 0) == (step["author"] == "strong")


def test_two_hundred_episodes_at_once(tmp_path: Path) -> None:
    short = ("--concurrency", "200", "--max-steps", "2")
    summary = routed(options(tmp_path, *short, problems="200"))
    assert summary["episodes"] == len(set(ids(tmp_path))) == 200
    assert summary["endings"] == {"step_limit": 200}
    assert summary["session"]["most_under_way"]["weak"] == 200
    assert set(summary["latency_seconds"]) == {"weak", "strong", "scorer", "planner"}
    assert summary["session"]["steps_per_second"] * summary["session"]["seconds"] == pytest.approx(400)
    assert not list(tmp_path.glob("*.jsonl"))


def test_a_run_killed_half_way_resumes_to_the_run_it_would_have_been(undisturbed: pl.DataFrame, tmp_path: Path) -> None:
    process = started(many(tmp_path))
    wait_for(tmp_path, 5, lambda: process.poll() is None)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    before = ids(tmp_path)
    assert 5 <= len(before) < MANY
    assert (tmp_path / "episodes.jsonl").exists()
    summary = routed(many(tmp_path))
    assert (summary["episodes"], summary["session"]["problems"]) == (MANY, MANY - len(before))
    frame = pl.read_parquet(tmp_path / "episodes" / "*.parquet")
    assert frame["problem_id"].to_list()[: len(before)] == before
    assert sorted(frame["problem_id"]) == ALL
    assert_frame_equal(without_times(frame), without_times(undisturbed), check_row_order=True, abs_tol=1e-4)


def test_the_lab_brings_its_own_planner_for_any_price(tmp_path: Path) -> None:
    found = {}
    for price in ("0.0005", "0.05"):
        summary = routed(options(tmp_path / price, policy=f"pomdp:{price}", problems="16"))
        assert summary["episodes"] == 16
        assert len(json.loads((tmp_path / price / "run.json").read_text())["table"]) == 64
        found[price] = summary["strong_tokens"]
    assert found["0.0005"] > found["0.05"]
    with pytest.raises(InputError, match="lambda"):
        routed(options(tmp_path / "negative", policy="pomdp:-1"))
    with pytest.raises(InputError, match="LAMBDA"):
        routed(options(tmp_path / "nonsense", policy="pomdp:cheap"))


def test_a_run_that_is_interrupted_keeps_what_is_finished_and_goes_on(
    undisturbed: pl.DataFrame, tmp_path: Path
) -> None:
    for begin, signals in ((started_behind, (signal.SIGHUP, signal.SIGTERM)), (started, (signal.SIGINT,))):
        before = len(ids(tmp_path))
        process = begin(many(tmp_path))
        for number in signals:
            wait_for(tmp_path, len(ids(tmp_path)) + 5)
            process.send_signal(number)
        _, errors = process.communicate(timeout=60)
        assert process.returncode != 0
        assert "Traceback" not in errors
        assert before + 5 <= pl.read_parquet(tmp_path / "episodes" / "*.parquet").height < MANY
        assert not (tmp_path / "episodes.jsonl").exists()
    assert routed(many(tmp_path))["episodes"] == MANY
    frame = read_episodes(tmp_path / "episodes")
    assert_frame_equal(without_times(frame), without_times(undisturbed), abs_tol=1e-4)


def test_another_table_does_not_go_on_with_a_run(tmp_path: Path, table_directory: Path, table: PolicyTable) -> None:
    routed(options(tmp_path / "R", "--tables", str(table_directory), policy="pomdp:0.002", problems="2"))
    replace(table, pomdp=replace(table.pomdp, p_strong=0.9)).save(tmp_path / "other")
    other = options(tmp_path / "R", "--tables", str(tmp_path / "other"), policy="pomdp:0.002", problems="2")
    with pytest.raises(InputError, match="run.json: table is"):
        routed(other)


def test_a_model_alone_needs_no_other_place(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text(lab_problems(1, seed=0)[0].model_dump_json() + "\n")
    alone = ["--problems", str(tmp_path / "p.jsonl"), "--policy", "strong", "--strong", lab_places()["strong"]]
    summary = routed([*alone, "--out", str(tmp_path / "R"), "--json"])
    assert summary["episodes"] == summary["strong_steps_share"] == 1
    assert set(summary["latency_seconds"]) == {"strong"}
    assert summary["planner_share"] == 0


def test_models_may_come_from_a_file_and_problems_from_a_benchmark(tmp_path: Path, reference: Path) -> None:
    places = lab_places()
    models = "".join(
        f'[{name}]\nbackend = "transformers"\nmodel = "{places[place]}"\n'
        for name, place in (("weak", "weak"), ("strong", "strong"), ("scorer", "prm"))
    )
    models += 'kind = "prm"\n'
    (tmp_path / "engines.toml").write_text(models)
    asked = ["--problems", "gsm8k", "--data", str(reference), "--limit", "2", "--max-steps", "2", "--json"]
    engines = ["--engines", str(tmp_path / "engines.toml")]
    summary = routed([*asked, *engines, "--policy", "thr:0.5", "--out", str(tmp_path / "R")])
    assert ids(tmp_path / "R") == ["gsm8k/1", "gsm8k/2"]
    assert summary["graded"] == 2
    with pytest.raises(InputError, match="--weak is 'w'; .*engines.toml says where the models are"):
        routed([*asked, *engines, "--weak", "w", "--policy", "thr:0.5", "--out", str(tmp_path / "R")])


def test_without_a_planner_the_run_stops_with_one_line_and_resumes(tmp_path: Path, table_directory: Path) -> None:
    planner, ready = start(table_directory)
    address = ready["listening"]
    short = ("--concurrency", "8", "--max-steps", "3", "--server", address)
    command = options(tmp_path, *short, policy="pomdp:0.002", problems=str(MANY))
    stopping = once_finished(tmp_path, 5, planner.kill)
    with stopping, pytest.raises(TrimError, match=f"^planner {address}: no answer .* run the same command again$"):
        routed(command)
    planner.communicate()
    assert 5 <= len(ids(tmp_path)) < MANY
    planner, _ = start(table_directory, listen=address)
    try:
        assert routed(command)["episodes"] == MANY
    finally:
        assert stop(planner) == 0
    assert sorted(ids(tmp_path)) == ALL
    hashes = read_episodes(tmp_path / "episodes")["steps"].explode().struct.field("table_hash").unique().to_list()
    assert hashes == [ready["table_hash"]]


def test_a_declared_fallback_carries_the_run_on_and_is_marked(tmp_path: Path, table_directory: Path) -> None:
    planner, ready = start(table_directory)
    address = ready["listening"]
    short = ("--concurrency", "8", "--max-steps", "3", "--server", address)
    command = options(tmp_path, *short, policy="pomdp:0.002", problems="24")
    with once_finished(tmp_path, 4, planner.kill):
        summary = routed([*command, "--fallback", "thr:0.4"])
    planner.communicate()
    frame = read_episodes(tmp_path / "episodes")
    assert summary["episodes"] == frame["problem_id"].n_unique() == 24
    steps = frame["steps"].explode().struct.unnest()
    marked = steps.filter("fallback")
    assert summary["fallback_decisions"] == frame["fallback_decisions"].sum() == marked.height > 0
    assert steps.height > marked.height
    for scores, action, table_hash in marked.select("scores", "action", "table_hash").iter_rows():
        assert (action == "regenerate") == (scores[-1] < 0.4)
        assert table_hash == ""
    assert set(steps.filter(~pl.col("fallback"))["table_hash"]) == {ready["table_hash"]}
    with pytest.raises(TrimError, match="does not start without it"):
        routed([*options(tmp_path / "new", "--server", address, policy="pomdp:0.002"), "--fallback", "continue"])


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--problems", "3", "--policy", "thr:0.5"], "3: file"),
        (["--lab", "--problems", "2", "--policy", "nobody"], "nobody"),
        (["--lab", "--problems", "\u00b2", "--policy", "thr:0.5"], "\u00b2: file"),
        (["--lab", "--problems", "2", "--policy", "@p.json"], "p.json: cannot be read"),
        (["--lab", "--problems", "2", "--policy", "agg:0.1"], "--tables"),
        (["--lab", "--problems", "2", "--policy", "thr:0.5", "--weak", "/nowhere"], "/nowhere"),
        (["--problems", "p.jsonl", "--policy", "thr:0.5"], "p.jsonl"),
        (["--problems", "gsm8k", "--policy", "thr:0.5", "--data", "D"], "D/bench/gsm8k_test.jsonl"),
        (["--lab", "--problems", "2", "--policy", "thr:0.5", "--engines", "E.toml"], "--lab is True"),
        (["--problems", "aime", "--policy", "thr:0.5", "--engines", "E.toml"], "TRIM_DATA"),
        (["--lab", "--problems", "2", "--policy", "thr:0.5", "--fallback", "continue"], "--server"),
        (["--lab", "--problems", "2", "--policy", "thr:0.5", "--server", "a:1", "--fallback", "x"], "'x'"),
        (["--lab", "--problems", "2", "--policy", "thr:0.5", "--temperature", "-1"], "temperature"),
        (
            ["--lab", "--problems", "2", "--policy", "thr:0.5", "--server", "a:1", "--tables", "T"],
            "one of --server and --tables",
        ),
        (["--lab", "--problems", "0", "--policy", "thr:0.5"], "problems"),
    ],
)
def test_errors_say_what_to_do(
    arguments: list[str], complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TRIM_DATA", raising=False)
    with pytest.raises(TrimError) as error:
        routed([*arguments, "--out", "R"])
    assert complaint in str(error.value)
    assert "\n" not in str(error.value)


def test_errors_are_one_line_and_status_two(tmp_path: Path) -> None:
    command = [*TRIM, "route", "--lab", "--problems", "2", "--policy", "nobody", "--out", str(tmp_path / "R")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("trim: ")
    assert done.stderr.count("\n") == 1


def test_a_run_of_another_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"policy": "thr:0.5", "seed": 0, "max_steps": 30}))
    with pytest.raises(TrimError, match="schema_version is None, and this version writes 2; choose another --out"):
        routed(options(tmp_path, problems="2"))
