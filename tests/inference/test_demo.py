"""The whole pipeline, small: real models, a planner process, a kill in the middle."""

import hashlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from inference.lab import CHECKPOINTS
from inference.records import read_episodes
from kde.model import ObservationModel
from kde.records import read_records
from kde.traces import ScoredTrace
from planner.table import PolicyTable

pytestmark = pytest.mark.models
DEMO = [sys.executable, "-m", "inference", "demo", "--problems", "60", "--calibration", "150"]
DEMO += ["--threshold", "0.5", "--lambda", "0.002", "0.016", "--json"]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demo")
    command = [*DEMO, "--out", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while not read_episodes(out / "evaluation" / "thr-0.5" / "episodes").height:
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    done = subprocess.run(command, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout) == json.loads((out / "summary.json").read_text())
    return out


def test_the_summary_has_every_policy(demo: Path) -> None:
    summary = json.loads((demo / "summary.json").read_text())
    assert summary["problems"] == 60
    assert [row["policy"] for row in summary["policies"]] == ["thr:0.5", "pomdp:0.002", "pomdp:0.016"]
    weak, strong = summary["weak"], summary["strong"]
    assert (weak["strong_tokens"], weak["pgr"], strong["pgr"], strong["c"]) == (0, 0, 1, 1)
    assert strong["accuracy"] - weak["accuracy"] >= 0.2
    for row in summary["policies"]:
        low, high = row["pgr_interval"]
        assert low <= row["pgr"] <= high
        assert row["c"] == pytest.approx(row["strong_tokens"] / strong["strong_tokens"], abs=1e-6)
        assert row["planner_ms"] > 0


def test_a_higher_price_buys_fewer_strong_tokens(demo: Path) -> None:
    _, cheap, dear = json.loads((demo / "summary.json").read_text())["policies"]
    assert cheap["strong_tokens"] > dear["strong_tokens"]


def test_decisions_came_from_the_table_that_is_left(demo: Path) -> None:
    table = PolicyTable.load(demo / "table")
    model = ObservationModel.load(demo / "model")
    assert (table.pomdp.cells == model.cells).all()
    assert table.provenance["inputs"].keys() == {"observation_model", "dynamics"}
    episodes = read_episodes(demo / "evaluation" / "pomdp-0.002" / "episodes")
    assert episodes["problem_id"].n_unique() == episodes.height == 60
    assert episodes["steps"].explode().struct.field("table_hash").unique().to_list() == [table.content_hash]


def test_scores_name_the_weights_that_made_them(demo: Path) -> None:
    weights = hashlib.sha256((CHECKPOINTS / "prm" / "model.safetensors").read_bytes()).hexdigest()
    scores = read_records(demo / "calibration" / "scores.jsonl", ScoredTrace)
    assert {scored.prm for scored in scores} == {f"lab@{weights[:12]}"}


def test_the_picture_is_a_picture(demo: Path) -> None:
    content = (demo / "report.png").read_bytes()
    assert content.startswith(b"\x89PNG")
    assert len(content) > 50_000


def test_another_demo_computes_nothing_again(demo: Path) -> None:
    parts = {path: path.stat().st_mtime_ns for path in demo.rglob("part-*.parquet")}
    summary = (demo / "summary.json").read_text()
    done = subprocess.run([*DEMO, "--out", str(demo)], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0
    assert {path: path.stat().st_mtime_ns for path in demo.rglob("part-*.parquet")} == parts
    assert (demo / "summary.json").read_text() == summary


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_full_demo_meets_its_promise(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "inference", "demo", "--out", str(tmp_path), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=800, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    summary = json.loads(done.stdout)
    assert summary["strong"]["accuracy"] - summary["weak"]["accuracy"] >= 0.2
    pomdp = [row for row in summary["policies"] if row["policy"].startswith("pomdp:")]
    assert any(row["pgr"] >= 0.9 and row["c"] <= 0.3 for row in pomdp)
    for cheaper, dearer in itertools.pairwise(pomdp):
        assert cheaper["accuracy_interval"][1] >= dearer["accuracy_interval"][0]
