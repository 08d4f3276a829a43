from pathlib import Path

import numpy as np
import pytest

from kde.dynamics import Dynamics
from kde.model import ObservationModel, fit_observation_model
from kde.samples import ClassSamples
from kde.tokens import TokenModel
from planner.revaluation import value_shifts
from tests.kde.test_cli import document, kde

DYNAMICS = Dynamics(
    p_weak=0.85, p_strong=0.98, hazard=(0.0, 0.2, 0.5, 1.0), tokens=TokenModel(counts=(40,), weights=(1,))
)


def _model(seed: int, *, lift: float) -> ObservationModel:
    rng = np.random.default_rng(seed)
    recoverable = np.column_stack((rng.beta(9, 1, 300), lift + (1 - lift) * rng.beta(1, 6, 300)))
    arrays = {"S0": rng.beta(9, 1, (400, 2)), "S1": rng.beta(1, 3, (300, 2)), "S2": recoverable}
    return fit_observation_model(ClassSamples.validated(arrays, source="drawn"), cell=0.1)


def test_keeping_the_old_policy_never_gains_and_costs_nothing_where_nothing_changed() -> None:
    old, new = _model(0, lift=0), _model(1, lift=0.6)
    moved = value_shifts(old, new, DYNAMICS, [0.001, 0.004], seed=0, episodes=50_000)
    assert [one.lam for one in moved] == [0.001, 0.004]
    assert all(one.regret > -0.002 for one in moved)
    assert max(one.regret for one in moved) > 0.005
    (same,) = value_shifts(old, old, DYNAMICS, [0.002], seed=0, episodes=1000)
    assert (same.old, same.new, same.regret) == (same.kept, same.kept, 0)


def test_the_command_gives_numbers_and_a_verdict(tmp_path: Path) -> None:
    for name, lift in (("old", 0.0), ("new", 0.5)):
        _model(len(name), lift=lift).save(tmp_path / name)
    DYNAMICS.save(tmp_path / "d.json")
    found = document(
        "compare", tmp_path / "old", tmp_path / "new", "--dynamics", tmp_path / "d.json", "--lambda", "0.002", "0.004"
    )
    assert found["verdict"] in {"refit", "investigate"}
    assert len(found["values"]) == 2
    assert set(found["classes"]["S2"]) == {"total_variation", "p_value", "refit_gain", "samples"}
    shown = kde("compare", tmp_path / "old", tmp_path / "old").stdout
    assert "verdict: keep" in shown
    refused = kde("compare", tmp_path / "old", tmp_path / "new", "--lambda", "0.002")
    assert refused.returncode == 2
    assert "go together" in refused.stderr


@pytest.mark.parametrize("damage", ["", "{", '{"kind": "model", "schema_version": 1}'])
def test_a_damaged_model_is_one_line(tmp_path: Path, damage: str) -> None:
    _model(0, lift=0).save(tmp_path / "old")
    (tmp_path / "old" / "model.json").write_text(damage)
    refused = kde("compare", tmp_path / "old", tmp_path / "old")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
