"""The shipped checkpoints are as good as their model card says."""

from pathlib import Path

import pytest

from inference.lab import CHECKPOINTS
from kde.errors import ArtefactError

pytestmark = pytest.mark.models
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from inference.lab.train.export import load_language_model  # noqa: E402
from inference.lab.train.measure import (  # noqa: E402
    HARDEST,
    PRM_AUC,
    PRM_HARDEST_AUC,
    STRONG_STEP_ACCURACY,
    WEAK_STEP_ACCURACY,
    LabQuality,
    measure_lab,
)
from inference.scorers.process_reward_model import ProcessRewardModel  # noqa: E402

SLACK = 0.015
"""Sampling noise of 200 problems: about 1,600 steps."""


@pytest.fixture(scope="module")
def quality() -> LabQuality:
    weak, strong = (load_language_model(CHECKPOINTS / name) for name in ("weak", "strong"))
    prm = ProcessRewardModel.load(CHECKPOINTS / "prm")
    tokenizer = transformers.AutoTokenizer.from_pretrained(CHECKPOINTS / "weak")
    return measure_lab(weak, strong, prm, tokenizer, problems=200, seed=12345)


def test_the_weak_model_is_weak(quality: LabQuality) -> None:
    low, high = WEAK_STEP_ACCURACY
    assert low - SLACK <= quality.weak.step_accuracy <= high + SLACK


def test_the_strong_model_is_strong(quality: LabQuality) -> None:
    assert quality.strong.step_accuracy >= STRONG_STEP_ACCURACY[0]
    assert quality.strong.problem_accuracy - quality.weak.problem_accuracy >= 0.3


def test_the_prm_tells_right_from_wrong_but_not_perfectly(quality: LabQuality) -> None:
    assert PRM_AUC[0] - SLACK <= quality.prm.auc <= PRM_AUC[1] + SLACK


def test_the_prm_verifies_and_does_not_recognise_the_hard_operation(quality: LabQuality) -> None:
    assert quality.prm.by_operation[HARDEST] >= PRM_HARDEST_AUC[0]


def test_the_three_take_less_than_five_megabytes_and_nothing_is_pickled() -> None:
    files = [path for path in CHECKPOINTS.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 5_000_000
    assert {path.suffix for path in files} <= {".json", ".jinja", ".safetensors", ".md"}


def test_a_directory_that_holds_no_prm_is_refused(tmp_path: Path) -> None:
    for directory in (tmp_path, CHECKPOINTS / "weak"):
        with pytest.raises(ArtefactError, match="Qwen2ForProcessRewardModel"):
            ProcessRewardModel.load(directory)
