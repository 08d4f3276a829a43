"""A training run that is killed and started again ends with the weights of one that was not."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kde.errors import ArtefactError

pytestmark = pytest.mark.models
torch = pytest.importorskip("torch")

from inference.lab.tokenizer import build_tokenizer  # noqa: E402
from inference.lab.train.curriculum import Curriculum  # noqa: E402
from inference.lab.train.language_model import (  # noqa: E402
    LanguageModelPlan,
    initial_model,
    train_language_model,
)
from inference.lab.train.loop import Plan, Progress, Schedule  # noqa: E402
from inference.lab.train.process_reward import train_process_reward_model  # noqa: E402

STEPS = 60
KILLED_AFTER = 30
TINY = LanguageModelPlan(
    name="tiny",
    seed=7,
    stream=1,
    schedule=Schedule(steps=STEPS, muon=0.005, adam=0.01),
    curriculum=Curriculum(routine_steps=10, blend_steps=10),
    enough=2.0,
    measure_every=20,
    validation_problems=4,
)

CHILD = """
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from inference.lab.tokenizer import build_tokenizer
from inference.lab.train.curriculum import Curriculum
from inference.lab.train.language_model import LanguageModelPlan, train_language_model
from inference.lab.train.loop import Schedule
plan = {plan}
train_language_model(plan, build_tokenizer(), state=Path(sys.argv[1]), report=lambda p: print(p.step, flush=True))
"""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def run_until_killed(state: Path) -> None:
    command = [sys.executable, "-c", CHILD.format(plan=TINY), str(state)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3]) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if int(line) >= KILLED_AFTER:
                os.kill(child.pid, signal.SIGKILL)
                break
    assert child.returncode == -signal.SIGKILL


def test_a_language_model_killed_half_way_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    tokenizer = build_tokenizer()
    state = tmp_path / "tiny.safetensors"
    run_until_killed(state)
    seen: list[Progress] = []
    resumed = train_language_model(TINY, tokenizer, state=state, report=seen.append)
    assert 0 < seen[0].step - 10 < STEPS
    whole = train_language_model(TINY, tokenizer, state=tmp_path / "whole.safetensors", report=lambda _: None)
    for name, expected in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], expected), name


def test_a_verifier_cut_off_half_way_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    tokenizer = build_tokenizer()
    strong = initial_model(tokenizer, seed=7, stream=2)
    plan = Plan("prm", 7, 3, Schedule(steps=12, muon=0.02, adam=0.003), measure_every=6)

    def cut(_: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_process_reward_model(plan, strong, tokenizer, state=tmp_path / "cut.safetensors", report=cut)
    resumed, whole = (
        train_process_reward_model(plan, strong, tokenizer, state=tmp_path / name, report=lambda _: None)
        for name in ("cut.safetensors", "whole.safetensors")
    )
    for name, expected in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], expected), name


def test_a_state_of_other_settings_is_refused(tmp_path: Path) -> None:
    tokenizer = build_tokenizer()
    state = tmp_path / "prm.safetensors"
    strong = initial_model(tokenizer, seed=7, stream=2)
    for seed in (1, 2):
        plan = Plan("prm", seed, 3, Schedule(steps=1, muon=0.02, adam=0.003), measure_every=6)
        if seed == 1:
            train_process_reward_model(plan, strong, tokenizer, state=state, report=lambda _: None)
    with pytest.raises(ArtefactError, match="other"):
        train_process_reward_model(plan, strong, tokenizer, state=state, report=lambda _: None)
