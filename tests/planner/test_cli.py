"""The acceptance walk: fit, build, serve, decide; with the real programs."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.planner.servers import TRIM, start, stop

DECIDE = ["decide", "--lambda", "0.0025", "--scores", "0.98,0.91,0.32", "--tokens", "48", "--json"]


def trim(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*TRIM, *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def built(reference: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("walk")
    fitted = trim(
        "kde",
        "fit",
        reference / "observations" / "math-train_samples.npz",
        "--cell",
        "0.05",
        "--out",
        folder / "A",
        "--json",
    )
    assert json.loads(fitted.stdout)["samples"] == {"S0": 1233, "S1": 499, "S2": 528}
    hazard = f"{reference / 'dynamics' / 'math_train_terminal_predictors.json'}:slm"
    options = ["--p-weak", "0.866", "--p-strong", "0.9704", "--hazard", hazard, "--tokens", "60", "--lambda", "0.0025"]
    done = trim("tables", "build", "--observation-model", folder / "A", *options, "--out", folder / "T", "--json")
    (policy,) = json.loads(done.stdout)["policies"]
    assert policy["value"] == pytest.approx(0.678131, abs=1e-4)
    assert policy["gap"] <= 1e-4
    return folder / "T"


def test_the_server_and_the_local_table_decide_the_same(built: Path) -> None:
    process, ready = start(built)
    try:
        remote = trim(*DECIDE, "--server", ready["listening"])
    finally:
        assert stop(process) == 0
    local = trim(*DECIDE, "--local", built)
    decision = json.loads(remote.stdout)
    assert decision == json.loads(local.stdout)
    assert decision["action"] == "regenerate"
    assert decision["expected_strong_tokens"] == 48
    assert sum(decision["belief"]) == pytest.approx(1)
    assert decision["table_hash"] == ready["table_hash"]


def test_tables_are_shown(built: Path) -> None:
    assert "pomdp:0.0025" in trim("tables", "show", built).stdout


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (
            ["decide", "--scores", "0.5,2", "--tokens", "4", "--policy", "thr:0.5", "--server", "127.0.0.1:1"],
            "scores[1] is 2.0",
        ),
        (
            ["decide", "--scores", "a", "--tokens", "4", "--policy", "thr:0.5", "--server", "127.0.0.1:1"],
            "0.98,0.91,0.32",
        ),
        (["decide", "--scores", "0.5", "--tokens", "4", "--server", "127.0.0.1:1"], "one of --policy and --lambda"),
        (["decide", "--scores", "0.5", "--tokens", "4", "--policy", "weak"], "one of --server and --local"),
        (["decide", "--scores", "0.5", "--tokens", "x", "--policy", "weak"], "--tokens"),
        (["tables", "show", "absent"], "absent/table.json"),
        (["tables", "build", "--observation-model", "absent", "--lambda", "1", "--out", "T"], "absent/model.json"),
        (["kde", "fit", "absent.npz", "--out", "A"], "absent.npz"),
        (["kde", "fit", "--out", "A"], "--labels and --scores"),
        (["no-such-command"], "no-such-command"),
        (["serve", "--tables", "absent"], "absent/table.json"),
        (["kde", "dynamics", "--weak", "w", "--strong", "s", "--out", "s"], "one of the inputs"),
        (["kde", "dynamics", "--weak", "w", "--strong", "s", "--out", "d", "--token-bins", "0"], "--token-bins"),
        (
            ["decide", "--scores", "1", "--tokens", "99999999999", "--policy", "weak", "--server", "127.0.0.1:1"],
            "token_count",
        ),
    ],
)
def test_errors_are_one_line_and_status_two(arguments: list[str], complaint: str, tmp_path: Path) -> None:
    done = subprocess.run([*TRIM, *arguments], capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not done.stdout


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    rng = np.random.default_rng(0)
    np.savez(folder / "samples.npz", S0=rng.beta(5, 1, (50, 2)), S1=rng.beta(1, 3, (50, 2)), S2=rng.random((50, 2)))
    assert trim("kde", "fit", folder / "samples.npz", "--out", folder / "A").returncode == 0
    (folder / "h.json").write_text('{"flat": [0.5, 1]}')
    return folder


@pytest.mark.parametrize("tokens", ["", "x", "60:", "10:0.5,20:0.6", "-5", "nan", "10:0.5:1"])
def test_bad_token_bins_are_refused(model: Path, tokens: str) -> None:
    options = [
        "--p-weak",
        "0.8",
        "--p-strong",
        "0.9",
        "--hazard",
        f"{model / 'h.json'}:flat",
        f"--tokens={tokens}",
        "--lambda",
        "0.1",
    ]
    done = trim("tables", "build", "--observation-model", model / "A", *options, "--out", model / "X")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "--tokens" in done.stderr


def test_weighted_token_bins_and_several_lambdas_are_solved(model: Path) -> None:
    options = [
        "--p-weak",
        "0.8",
        "--p-strong",
        "0.9",
        "--hazard",
        f"{model / 'h.json'}:flat",
        "--tokens",
        "10:0.4,60:0.6",
    ]
    done = trim(
        "tables",
        "build",
        "--observation-model",
        model / "A",
        *options,
        "--lambda",
        "0.01",
        "0.001",
        "--out",
        model / "T",
        "--json",
    )
    policies = json.loads(done.stdout)["policies"]
    assert [policy["lambda"] for policy in policies] == [0.001, 0.01]
    assert all(policy["lower"] <= policy["value"] <= policy["upper"] for policy in policies)


def test_an_output_that_cannot_be_written_is_one_line(model: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        done = trim("kde", "fit", model / "samples.npz", "--out", out)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
        assert str(tmp_path / "file") in done.stderr
    assert (tmp_path / "file").read_text() == "x"
