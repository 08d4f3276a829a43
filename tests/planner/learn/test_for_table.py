"""A learner for a table's price: trained once, and gone on with where it was stopped."""

from pathlib import Path

import pytest

from planner.learn.for_table import train_for_table
from planner.learn.sequence_policy import sequence_policies
from planner.learn.settings import Learner
from planner.learn.training import Progress
from planner.policies.learned import LearnedPolicy
from planner.table import PolicyTable

LAM = 0.002
SMALL = {"iterations": 12, "episodes": 64, "width": 16, "epochs": 1, "minibatches": 2}


class CutError(Exception):
    pass


@pytest.mark.parametrize("learner", list(Learner))
def test_it_is_trained_once_and_goes_on(table_directory: Path, learner: Learner, tmp_path: Path) -> None:
    table, out, heard = PolicyTable.load(table_directory), tmp_path / "learned", []

    def listen(done: Progress) -> None:
        heard.append(done.iteration)
        if len(heard) == 11:
            raise CutError

    with pytest.raises(CutError):
        train_for_table(table, LAM, learner, out, changes=SMALL, on_progress=listen)
    train_for_table(table, LAM, learner, out, changes=SMALL, on_progress=listen)
    assert heard == [*range(1, 12), 11, 12]
    files = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    train_for_table(table, LAM, learner, out, changes=SMALL, on_progress=listen)
    assert heard[-1] == 12
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == files
    if learner is Learner.AGG:
        assert LearnedPolicy.load(out).provenance["inputs"] == {"table": {"content_hash": table.content_hash}}
    else:
        assert list(sequence_policies(tmp_path)) == ["seq:0.002"]
    train_for_table(table, LAM, learner, out, changes=SMALL | {"iterations": 1}, on_progress=listen)
    assert heard[-1] == 1  # other settings make another policy
