import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kde.errors import InputError, TrimError
from planner.cli.tables import app
from planner.npz import pack
from planner.pomdp import RoutingPOMDP
from planner.table import PolicyTable
from tests.conftest import synthetic_cells

TABLES = [sys.executable, "-m", "inference", "tables"]
GOLDEN = {0.0005: 0.847819, 0.0015: 0.757710, 0.0025: 0.678131, 0.0045: 0.540720, 0.0075: 0.406048}


def tables(*arguments: str | Path, status: int = 0) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run([*TABLES, *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == status, done.stderr
    return done


def document(*arguments: str | Path) -> Any:
    return json.loads(tables(*arguments, "--json").stdout)


@pytest.fixture(scope="module")
def papers(reference: Path) -> list[str]:
    return [
        "--observation-cells",
        str(reference / "observations" / "math-train_bins_0.05.npz"),
        *("--p-weak", "0.866", "--p-strong", "0.9704"),
        *("--hazard", f"{reference / 'dynamics' / 'math_train_terminal_predictors.json'}:slm", "--tokens", "60"),
    ]


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("inputs")
    centres = (np.arange(10) + 0.5) / 10
    points = np.stack(np.meshgrid(centres, centres, indexing="ij"), axis=-1).reshape(-1, 2)
    cells = synthetic_cells(10, 10).reshape(3, -1)
    arrays = {f"S{k}_probs": cells[k] for k in range(3)} | {f"S{k}_points": points for k in range(3)}
    (folder / "cells.npz").write_bytes(pack(arrays))
    (folder / "h.json").write_text(json.dumps({"h": [0.0, 0.2, 0.3, 1.0], "minus": [-0.1, 1.0], "open": [0.1, 0.5]}))
    return [
        *("--observation-cells", str(folder / "cells.npz"), "--p-weak", "0.85", "--p-strong", "0.97"),
        *("--hazard", f"{folder / 'h.json'}:h", "--tokens", "20:0.4,60:0.6"),
    ]


@pytest.fixture(scope="module")
def built(options: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("table") / "T"
    tables("build", *options, "--lambda", "0.001", "0.004", "--out", out)
    return out


def test_the_papers_policies_have_their_golden_values(papers: list[str], tmp_path: Path) -> None:
    out = tmp_path / "T"
    found = document("build", *papers, "--lambda", *map(str, GOLDEN), "--solver", "exact", "--out", out)
    assert {p["lambda"] for p in found["policies"]} == set(GOLDEN)
    for policy in found["policies"]:
        assert policy["value"] == pytest.approx(GOLDEN[policy["lambda"]], abs=1e-4)
        assert policy["gap"] <= 1e-4
        assert policy["lower"] <= policy["value"] <= policy["upper"]
    assert found["diagnostics"] == []
    checked = document("verify", out)
    assert checked["holds"]
    for policy in checked["policies"]:
        simulated = policy["simulated"]
        assert simulated["within_3_standard_errors"]
        assert abs(simulated["value"] - policy["value"]) <= 3 * simulated["standard_error"]


def test_sarsop_without_julia_is_one_line(papers: list[str], tmp_path: Path) -> None:
    code = "import sys; sys.modules['juliacall'] = None; from inference.cli import main; main()"  # as where it is not installed
    command = [sys.executable, "-c", code, "tables", "build", *papers, "--lambda", "0.0025", "--solver", "sarsop"]
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "T"), "--json"], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert "pip install 'trim-routing[julia]'" in done.stderr
    assert "--solver exact needs none" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_table_is_shown_with_a_picture(built: Path, tmp_path: Path) -> None:
    shown = document("show", built)
    picture = built / "regions.png"
    assert shown["picture"] == str(picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
    tables("show", built, "--step", "1", "3", "--lambda", "0.004", "--out", tmp_path / "p.png")
    assert 0 < (tmp_path / "p.png").stat().st_size < picture.stat().st_size
    PolicyTable.load(built)  # the picture beside it does no harm


def test_a_table_is_verified(built: Path) -> None:
    found = document("verify", built, "--episodes", "5000", "--seed", "3")
    assert found["holds"]
    assert found["weak_accuracy"] < found["strong_accuracy"]
    assert {"accuracy", "strong_tokens", "c", "pgr", "interventions"} == set(found["policies"][0]["in_use"])
    assert "every claim holds: yes" in tables("verify", built, "--episodes", "5000").stdout


def test_a_table_whose_claims_do_not_hold_fails(built: Path, tmp_path: Path) -> None:
    loaded = PolicyTable.load(built)
    lazy = PolicyTable(loaded.pomdp, loaded.entries, np.zeros_like(loaded.break_even), loaded.resolution)
    lazy.save(tmp_path / "L")
    done = tables("verify", tmp_path / "L", "--episodes", "20000", "--json", status=1)
    assert json.loads(done.stdout)["holds"] is False


def test_tables_are_compared(built: Path, options: list[str], tmp_path: Path) -> None:
    tables("build", *options, "--transitions", "paper", "--lambda", "0.004", "--out", tmp_path / "P")
    found = document("diff", built, tmp_path / "P", "--episodes", "20000")
    (policy,) = found["policies"]
    assert policy["lambda"] == 0.004
    assert 0 < policy["differs"] < 1
    assert len(policy["differs_by_step"]) == 4
    assert "0.004" in tables("diff", built, tmp_path / "P", "--episodes", "1000").stdout


def test_a_policy_is_exported(built: Path, tmp_path: Path) -> None:
    found = document("export", built, "--lambda", "0.004", "--out", tmp_path / "X")
    assert found["entries"] == 861 * 18 * 4
    assert {path.name for path in (tmp_path / "X").iterdir()} == set(found["files"])
    with np.load(tmp_path / "X" / "actions.npz") as actions:
        assert actions["regenerate"].shape == (861, 18, 4)
    with np.load(tmp_path / "X" / "model.npz") as model:
        assert model["T"].shape == (found["states"], 2, found["states"])
        assert model["Z"].shape == (found["states"], found["observations"])
        assert model["states"].tolist()[0] == "start"
        assert model["lambda"] == 0.004
    pomdp = RoutingPOMDP.from_json((tmp_path / "X" / "pomdp.json").read_bytes())
    assert pomdp.description() == PolicyTable.load(built).pomdp.description()
    assert (tmp_path / "X" / "model.pomdpx").read_text().startswith("<?xml")
    again = document("build", "--pomdp", tmp_path / "X" / "pomdp.json", "--lambda", "0.004", "--out", tmp_path / "T")
    (policy,) = again["policies"]
    assert policy["value"] == PolicyTable.load(built).entries[1].value


def test_a_budget_becomes_a_price(built: Path, tmp_path: Path) -> None:
    found = document("calibrate", built, "--target-pgr", "0.9", "--episodes", "4000", "--out", tmp_path / "C")
    assert found["pgr"]["value"] >= 0.9
    assert found["interval"][0] <= found["lambda"] * 1.001
    written = json.loads((built / "calibration.json").read_text())
    assert written["lambda"] == found["lambda"]
    table = PolicyTable.load(tmp_path / "C")
    assert [entry.lam for entry in table.entries] == sorted([0.001, 0.004, found["lambda"]])
    assert document("calibrate", built, "--target-cost", "0.2", "--episodes", "2000")["c"]["value"] <= 0.2


def test_diagnostics_come_with_a_build(options: list[str], tmp_path: Path) -> None:
    found = document("build", *options, "--lambda", "0.5", "--out", tmp_path / "T")
    assert [d["kind"] for d in found["diagnostics"]] == ["lambda_too_high"]
    warned = tables("build", *options, "--lambda", "0.5", "--out", tmp_path / "U")
    assert warned.stderr.startswith("warning: at lambda 0.5")


def test_accuracies_by_step_filters_and_limits_are_taken(options: list[str], tmp_path: Path) -> None:
    by_step = [x if x != "0.85" else "0.9,0.85,0.8,0.75" for x in options]
    more = ["--filter", "tempered", "--filter-exponent", "0.5", "--max-steps", "4", "--transitions", "two_stage"]
    tables("build", *by_step, *more, "--lambda", "0.002", "--out", tmp_path / "T")
    pomdp = PolicyTable.load(tmp_path / "T").pomdp
    assert pomdp.p_weak == (0.9, 0.85, 0.8, 0.75)
    assert (pomdp.filter.kind.value, pomdp.filter.exponent) == ("tempered", 0.5)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"--p-weak": "1"}, "p_weak"),
        ({"--p-strong": "0"}, "p_strong"),
        ({"--p-weak": "x"}, "--p-weak"),
        ({"--p-weak": "0.8,0.9"}, "p_weak"),
        ({"--hazard": "minus"}, "hazard[1] is -0.1"),
        ({"--hazard": "open"}, "hazard[2] is 0.5"),
        ({"--max-steps": "3"}, "hazard is '4 steps long'"),
        ({"--lambda": "0"}, "lambda is 0.0"),
        ({"--lambda": "-1"}, "lambda is -1.0"),
        ({"--tokens": "20:0.4,60:0.7"}, "--tokens"),
        ({"--gap": "0"}, "gap"),
        ({"--gap": "1e-3", "--solver": "sarsop"}, "--gap"),
        ({"--sarsop.workers": "2"}, "--sarsop"),
        ({"--filter-exponent": "0.5"}, "--filter"),
        ({"--filter": "bayes", "--filter-exponent": "0.5"}, "--filter"),
        ({"--observation-model": "A"}, "one of --observation-model and --observation-cells"),
        ({"--dynamics": "d.json"}, "dynamics"),
        ({"--pomdp": "p.json"}, "--pomdp is 'p.json'"),
        ({"--observation-cells": "absent.npz"}, "absent.npz"),
    ],
)
def test_bad_input_is_named(options: list[str], tmp_path: Path, changes: dict[str, str], complaint: str) -> None:
    given = dict(zip(options[::2], options[1::2], strict=True)) | {"--lambda": "0.002", "--out": str(tmp_path / "T")}
    hazard = given["--hazard"]
    given |= changes
    if "--hazard" in changes:
        given["--hazard"] = hazard.replace(":h", f":{changes['--hazard']}")
    with pytest.raises(InputError) as raised:
        app(["build", *(f"{name}={value}" for name, value in given.items())], exit_on_error=False, print_error=False)
    assert complaint in str(raised.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments",
    [
        ["verify", "absent"],
        ["calibrate", "TABLE"],
        ["calibrate", "TABLE", "--target-cost", "0.2", "--target-pgr", "0.9"],
        ["calibrate", "TABLE", "--target-cost", "1.5", "--episodes", "100"],
        ["export", "TABLE", "--lambda", "0.5", "--out", "X"],
        ["show", "TABLE", "--step", "9"],
        ["show", "TABLE", "--lambda", "0.5"],
        ["verify", "TABLE", "--episodes", "1"],
        ["budget", "TABLE", "--most", "0", "--out", "X"],
        ["budget", "absent", "--most", "100", "--out", "X"],
    ],
)
def test_what_cannot_be_done_is_refused(built: Path, arguments: list[str]) -> None:
    with pytest.raises(TrimError):
        app(
            [str(built) if argument == "TABLE" else argument for argument in arguments],
            exit_on_error=False,
            print_error=False,
        )


def test_a_complaint_is_one_line_and_status_two(options: list[str], tmp_path: Path) -> None:
    done = tables("build", *options, "--lambda", "0", "--out", tmp_path / "T", status=2)
    assert len(done.stderr.splitlines()) == 1
    assert "lambda is 0.0" in done.stderr
    assert not done.stdout


def test_a_budget_table_says_what_budgets_buy(built: Path, tmp_path: Path) -> None:
    out = tmp_path / "budget"
    done = json.loads(tables("budget", built, "--most", "200", "--levels", "20", "--out", out, "--json").stdout)
    values = list(done["values"].values())
    assert values == sorted(values)
    assert values[0] < values[-1] <= 1
    assert done["bucket"] == 10
    written = json.loads((out / "budget.json").read_text())
    assert written["content_hash"] == done["content_hash"]
    assert written["provenance"]["parameters"] == {"most": 200.0, "levels": 20}
