"""Sweeps that lose workers, or are killed as a whole, end with what an undisturbed one ends with."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import polars as pl
import psutil
import pytest
from polars.testing import assert_frame_equal
from rich.progress import Progress

from inference.cells import Cell
from inference.evaluate.executors import Executor, finish_cells
from inference.evaluate.local_workers import finish_in_processes
from inference.evaluate.plan import StudyPlan
from inference.evaluate.study import Study
from inference.evaluate.worker import Workplace
from inference.fleet import EngineKind, engines_at
from inference.lab.shipped import lab_places, lab_problems
from inference.vllm_server import free_port
from kde.errors import InputError, TrimError
from tests.inference.runs import TRIM, ids, wait_for, without_times

pytestmark = pytest.mark.models
PROBLEMS = lab_problems(12, seed=3)
POLICIES = ("random:0.5",)
ENGINES = engines_at(lab_places(), EngineKind.TRANSFORMERS, {"max_step_tokens": 64})


def study_in(out: Path) -> Study:
    plan = StudyPlan.asking(
        benchmark="p.jsonl",
        problems=PROBLEMS,
        models=ENGINES.describe(),
        fit=None,
        policies=POLICIES,
        seeds=(0,),
    )
    return Study.of(out, plan)


def finish(
    out: Path, *, workers: int = 1, executor: Executor = Executor.LOCAL, address: str | None = None
) -> dict[str, pl.DataFrame]:
    study, place = study_in(out), Workplace(ENGINES, planner=None, logs=out / "logs", concurrency=4, truth=None)
    cells = list(study.cells(PROBLEMS))
    finish_cells(place, cells, Progress(disable=True), executor=executor, workers=workers, address=address)
    return study.all_episodes()


def command(out: Path, problems: Path, *more: str) -> list[str]:
    """The same sweep as a user starts it."""
    problems.write_text("".join(problem.model_dump_json() + "\n" for problem in PROBLEMS))
    places = [part for name, place in lab_places().items() for part in (f"--{name}", place)]
    options = ["--problems", str(problems), "--max-step-tokens", "64", "--concurrency", "4", "--out", str(out)]
    return [*TRIM, "evaluate", *places, *options, "--policies", *POLICIES, *more, "--json"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pl.DataFrame]:
    return finish(tmp_path_factory.mktemp("undisturbed"))


def assert_same(found: dict[str, pl.DataFrame], expected: dict[str, pl.DataFrame], out: Path) -> None:
    assert found.keys() == expected.keys()
    for policy, frame in found.items():
        assert_frame_equal(without_times(frame), without_times(expected[policy]), abs_tol=1e-4)
    on_disk = pl.concat(pl.read_parquet(part) for part in (out / "runs").glob("*/0/episodes/*.parquet"))
    assert on_disk.select("policy", "problem_id").is_unique().all()
    assert on_disk.height == len(PROBLEMS) * len(expected)
    scored = [json.loads(line)["problem_id"] for line in (out / "scores" / "weak-0.jsonl").read_text().splitlines()]
    assert sorted(scored) == sorted(problem.id for problem in PROBLEMS)


def at_work_in(run: Path) -> psutil.Process:
    """The process that holds the journal of a run."""
    for process in psutil.process_iter():
        try:
            if any(file.path.startswith(str(run)) for file in process.open_files()):
                return process
        except psutil.Error:
            continue
    raise AssertionError("nobody is at work")


@contextmanager
def killing_who_works_in(run: Path) -> Iterator[list[int]]:
    """While the block runs, kill -9 the worker of a cell in the middle of it; who was killed."""
    killed: list[int] = []

    def kill() -> None:
        wait_for(run, 3)
        worker = at_work_in(run)
        assert worker.pid != os.getpid()
        worker.kill()
        killed.append(worker.pid)
        assert len(ids(run)) < len(PROBLEMS)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        thread.join()
        assert killed


def test_a_worker_that_is_killed_is_replaced(undisturbed: dict[str, pl.DataFrame], tmp_path: Path) -> None:
    before = set(psutil.Process().children())
    with killing_who_works_in(tmp_path / "runs" / "random-0.5" / "0"):
        found = finish(tmp_path, workers=2)
    assert_same(found, undisturbed, tmp_path)
    left = [" ".join(process.cmdline()) for process in set(psutil.Process().children()) - before]
    assert all("resource_tracker" in command for command in left)


@pytest.mark.slow
def test_a_sweep_that_is_killed_as_a_whole_goes_on(undisturbed: dict[str, pl.DataFrame], tmp_path: Path) -> None:
    out = tmp_path / "study"
    sweep = subprocess.Popen(command(out, tmp_path / "p.jsonl", "--workers", "2"), stdout=subprocess.PIPE)
    wait_for(out / "runs" / "random-0.5" / "0", 3, lambda: sweep.poll() is None)
    workers = psutil.Process(sweep.pid).children(recursive=True)
    assert len(workers) >= 2
    os.kill(sweep.pid, signal.SIGKILL)
    sweep.communicate()
    psutil.wait_procs(workers, timeout=30)
    assert not any(worker.is_running() for worker in workers)
    before = {run: run.stat().st_mtime_ns for run in out.glob("runs/*/0/episodes/*.parquet")}
    assert_same(finish(out, workers=2), undisturbed, out)
    assert all(run.stat().st_mtime_ns == written for run, written in before.items())


@pytest.fixture
def ray_cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Two nodes of one CPU each, every process a real one, behind a token of their own."""
    pytest.importorskip("ray", reason="the extra trim-routing[ray] is not installed")
    port = free_port()
    ray = str(Path(sys.executable).with_name("ray"))
    for name, value in (("RAY_USAGE_STATS_ENABLED", "0"), ("RAY_AUTH_MODE", "token"), ("RAY_AUTH_TOKEN", uuid4().hex)):
        monkeypatch.setenv(name, value)

    def start(*more: str) -> "subprocess.Popen[str]":
        command = [ray, "start", *more, "--num-cpus=1", "--block"]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    nodes = [start("--head", f"--port={port}", "--include-dashboard=false")]
    try:
        while not _listens(port):
            assert nodes[0].poll() is None, nodes[0].stdout
            time.sleep(0.5)
        nodes.append(start(f"--address=127.0.0.1:{port}"))
        status = [ray, "status", "--address", f"127.0.0.1:{port}"]
        while b"/2.0 CPU" not in subprocess.run(status, capture_output=True, check=False).stdout:
            assert nodes[1].poll() is None, nodes[1].communicate()[0]
            time.sleep(1)
        yield f"127.0.0.1:{port}"
    finally:
        alive = [node for node in nodes if node.poll() is None]
        started = [child for node in alive for child in psutil.Process(node.pid).children(recursive=True)]
        for node in reversed(nodes):
            node.terminate()
            node.communicate(timeout=60)
        for process in psutil.wait_procs(started, timeout=20)[1]:
            process.kill()


def _listens(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.slow
def test_a_ray_worker_that_is_killed_is_replaced(
    ray_cluster: str, undisturbed: dict[str, pl.DataFrame], tmp_path: Path
) -> None:
    out = tmp_path / "study"
    more = ("--executor", "ray", "--address", ray_cluster, "--workers")
    many = subprocess.run(command(out, tmp_path / "p.jsonl", *more, "3"), capture_output=True, text=True, check=False)
    assert many.returncode == 2
    assert "--workers is 3; the cluster has 2 CPUs" in many.stderr
    with killing_who_works_in(out / "runs" / "random-0.5" / "0"):
        done = subprocess.run(
            command(out, tmp_path / "p.jsonl", *more, "2"), capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stderr
    assert [row["policy"] for row in json.loads(done.stdout)["policies"]] == list(undisturbed)
    assert_same(study_in(out).all_episodes(), undisturbed, out)


def test_a_cell_that_kills_every_worker_ends_the_sweep(tmp_path: Path) -> None:
    class Deadly(list[object]):
        def __reduce__(self) -> tuple[object, ...]:
            return os._exit, (9,)

    place = Workplace(ENGINES, planner=None, logs=tmp_path / "logs", concurrency=4, truth=None)
    cells = [Cell(tmp_path / "run", "weak", 0, Deadly())]  # type: ignore[arg-type]
    with pytest.raises(TrimError, match="3 workers died one after another"):
        finish_in_processes(place, cells, Progress(disable=True), workers=1)


def test_what_a_worker_is_refused_ends_the_sweep(tmp_path: Path) -> None:
    place = Workplace(ENGINES, planner=None, logs=tmp_path / "logs", concurrency=4, truth=None)
    cells = [Cell(tmp_path / "run", "pomdp:0.002", 0, PROBLEMS)]
    with pytest.raises(TrimError, match="this planner has no policy table"):
        finish_in_processes(place, cells, Progress(disable=True), workers=1)


def test_ray_is_asked_for_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="give --executor ray"):
        finish(tmp_path, address="127.0.0.1:6379")
    monkeypatch.setattr("inference.evaluate.ray_workers.find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"trim-routing\[ray\]"):
        finish(tmp_path, executor=Executor.RAY)


def test_what_keeps_a_worker_from_opening_is_said_as_it_is(tmp_path: Path) -> None:
    place = Workplace(ENGINES, planner=tmp_path / "nothing", logs=tmp_path / "logs", concurrency=4, truth=None)
    with pytest.raises(TrimError, match=r"planner did not start.*nothing"):
        finish_in_processes(place, list(study_in(tmp_path).cells(PROBLEMS)), Progress(disable=True), workers=2)
