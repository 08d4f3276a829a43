"""TRIM-Seq in a study: a policy of the planner's folder that no server offers."""

import json
from pathlib import Path

import pytest

from inference.evaluate.evaluate_cli import app
from inference.evaluate.families import Offered, all_policies
from inference.evaluate.planner_folder import read_offer
from inference.lab.planner import PROBLEM_DIRECTORY
from inference.records import read_episodes
from planner.exact import solve_exact
from planner.learn.for_table import train_for_table
from planner.learn.settings import Learner
from planner.problem import read_problem
from planner.table import PolicyTable, tabulate

pytestmark = pytest.mark.models
SMALL = {"iterations": 2, "episodes": 64, "width": 16, "epochs": 1, "minibatches": 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("planner")
    pomdp, _ = read_problem(PROBLEM_DIRECTORY)
    tabulate(pomdp, solve_exact(pomdp, [0.002])).save(out / "table")
    train_for_table(PolicyTable.load(out / "table"), 0.002, Learner.SEQ, out / "seq-0.002", changes=SMALL)
    return out


def test_a_transformer_in_the_folder_is_offered(folder: Path) -> None:
    offered = Offered.by(read_offer(folder).catalogue, truth=False)
    assert offered.sequences == (0.002,)
    assert "seq:0.002" in all_policies(offered)
    assert "seq:0.002" not in all_policies(Offered.by(read_offer(folder / "table").catalogue, truth=False))


def test_it_has_its_row_and_its_hash_in_the_plan(folder: Path, tmp_path: Path) -> None:
    options = ["--lab", "--problems", "6", "--planner", str(folder), "--policies", "seq:0.002", "pomdp:0.002"]
    app([*options, "--out", str(tmp_path), "--json"], result_action="return_value")
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert "TRIM-Seq" in {row["family"] for row in summary["families"]}
    trained = read_offer(folder).catalogue.get("seq:0.002").table_hash
    assert json.loads((tmp_path / "study.json").read_text())["planner"]["seq:0.002"] == trained
    steps = read_episodes(tmp_path / "runs" / "seq-0.002" / "0" / "episodes")["steps"].explode().struct
    assert steps.field("table_hash").unique().to_list() == [trained]
