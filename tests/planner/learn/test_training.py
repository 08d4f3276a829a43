"""Training runs: the same seed gives the same weights, a killed run goes on to them, and what is learned is good."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from kde.errors import ArtefactError, InputError
from planner.learn.judge import Bench
from planner.learn.network import Perceptron
from planner.learn.result import finish, learned_policy
from planner.learn.rollout import Playground
from planner.learn.settings import Learner, Preset, TrainingSettings
from planner.learn.shipped import math_train
from planner.learn.training import CURVE, Training, acting
from planner.policies.catalogue import Catalogue
from planner.policies.features import FeatureSet
from planner.policies.learned import LearnedPolicy
from planner.pomdp import RoutingPOMDP
from planner.simulate import simulate

LAM = 0.002
TRAIN = [sys.executable, "-m", "inference", "train"]
SMALL = {"iterations": 3, "episodes": 64, "width": 16, "epochs": 1, "minibatches": 2}


def _training(pomdp: RoutingPOMDP, seed: int = 0, learner: Learner = Learner.AGG, **changes: object) -> Training:
    return Training(pomdp, LAM, learner, TrainingSettings.of(Preset.DEFAULT, learner, SMALL | changes), seed)


def _weights(training: Training, out: Path) -> "dict[str, torch.Tensor]":
    return training.run(out).network.state_dict()


@pytest.mark.parametrize("learner", list(Learner))
def test_the_same_seed_gives_the_same_weights(pomdp: RoutingPOMDP, learner: Learner, tmp_path: Path) -> None:
    one, same, other = (
        _weights(_training(pomdp, seed, learner), tmp_path / name) for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("learner", list(Learner))
def test_a_run_cut_off_goes_on_to_the_same_weights(
    pomdp: RoutingPOMDP, learner: Learner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = _training(pomdp, learner=learner, iterations=13).run(tmp_path / "whole")
    cut = _training(pomdp, learner=learner, iterations=13)

    class CutError(Exception):
        pass

    def cut_off(iteration: int) -> None:
        if iteration == 12:
            raise CutError

    with pytest.raises(CutError):
        cut.run(tmp_path / "cut", on_progress=lambda done: cut_off(done.iteration))
    resumed_at = []
    resumed = cut.run(tmp_path / "cut", on_progress=lambda done: resumed_at.append(done.iteration))
    assert resumed_at[0] == 11
    whole, again = undisturbed.network.state_dict(), resumed.network.state_dict()
    assert all(torch.equal(whole[name], again[name]) for name in whole)
    assert (undisturbed.curve == resumed.curve).all()


def test_a_killed_command_ends_with_the_same_artefact(pomdp: RoutingPOMDP, tmp_path: Path) -> None:
    (tmp_path / "pomdp.json").write_text(pomdp.to_json())
    options = ["--simulated", "--lambda", "0.002", "--pomdp", "pomdp.json", "--episodes", "128", "--iterations", "35"]
    command = [*TRAIN, "agg", *options, "--width", "16", "--judge-episodes", "500", "--json"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}

    def go(out: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [*command, "--out", out], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )

    killed = go("killed")
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".killed.training-*/state/state.safetensors")):
        assert time.monotonic() < deadline
        assert killed.poll() is None
        time.sleep(0.005)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert not (tmp_path / "killed").exists()
    hashes = []
    for out in ("killed", "whole"):
        told, _ = go(out).communicate(timeout=120)
        hashes.append(json.loads(told)["content_hash"])
    assert hashes[0] == hashes[1]
    assert not list(tmp_path.glob(".*training*"))
    assert (tmp_path / "killed" / "curve.png").read_bytes().startswith(b"\x89PNG")
    header, *rows = (tmp_path / "killed" / "curve.csv").read_text().splitlines()
    assert header == ",".join(["iteration", *CURVE])
    assert len(rows) == 35
    policy = LearnedPolicy.load(tmp_path / "whole")
    assert policy.provenance["parameters"]["settings"]["episodes"] == 128
    assert set(policy.provenance["inputs"]) == {"pomdp"}


def test_two_runs_of_the_same_training_take_turns(pomdp: RoutingPOMDP, tmp_path: Path) -> None:
    training = _training(pomdp)

    def start_again(_: object) -> None:
        training.run(tmp_path / "agg")

    with pytest.raises(InputError, match="same training run is running"):
        training.run(tmp_path / "agg", on_progress=start_again)


@pytest.mark.parametrize("features", ["belief", "paper"])
def test_the_served_policy_decides_like_the_network(pomdp: RoutingPOMDP, features: str, tmp_path: Path) -> None:
    training = _training(pomdp, features=features)
    network = training.run(tmp_path / "agg").network
    assert isinstance(network, Perceptron)
    policy = learned_policy(training, network)
    seen = np.random.default_rng(0).uniform(-1, 1, (200, network.features.width))
    with torch.no_grad():
        expected = network.latest(torch.from_numpy(seen[:, None].astype(np.float32))).log_odds
    assert policy.logits(seen) == pytest.approx(expected.numpy(), abs=1e-4)
    play = Playground.of(pomdp, LAM, network.features)
    played = play.play(acting(network), 2_000, np.random.default_rng(5))
    simulated = simulate(pomdp, policy, episodes=2_000, rng=np.random.default_rng(5))
    # float32 and float64 see the same sign all but always
    assert np.isclose(played.returns, simulated.returns(LAM)).mean() > 0.99


def test_a_short_run_beats_every_threshold(tmp_path: Path) -> None:
    problem, lam = math_train()[0], 0.0025
    settings = TrainingSettings.of(Preset.DEFAULT, Learner.AGG, {"iterations": 30, "episodes": 1024, "width": 64})
    training = Training(problem, lam, Learner.AGG, settings, 0)
    network = training.run(tmp_path / "agg").network
    assert isinstance(network, Perceptron)
    policy = learned_policy(training, network)
    bench = Bench.of(problem, lam, episodes=20_000, seed=1)
    judged = bench.judge(simulate(problem, policy, episodes=20_000, rng=np.random.default_rng(1)).returns(lam))
    assert judged.share is not None
    assert judged.share.value > 0.7
    assert judged.regret.value > -3 * judged.regret.standard_error


def test_where_nothing_is_worth_its_price_there_is_no_share(pomdp: RoutingPOMDP) -> None:
    bench = Bench.of(pomdp, 5.0, episodes=500, seed=1)
    judged = bench.judge(bench.optimum)
    assert judged.share is None
    assert "no lead" in judged.in_short()
    json.dumps(judged.document(), allow_nan=False)


def test_the_bench_puts_the_optimum_at_one_and_the_threshold_at_zero(pomdp: RoutingPOMDP) -> None:
    bench = Bench.of(pomdp, LAM, episodes=20_000, seed=1)
    shares = [bench.judge(returns).share for returns in (bench.optimum, bench.threshold)]
    assert [share and share.value for share in shares] == [pytest.approx(1), pytest.approx(0)]
    assert bench.judge(bench.optimum).regret.value == 0
    assert bench.judge(bench.optimum).optimum.holds(bench.optimum_value)
    best = Catalogue(None).get(f"thr:{bench.best_threshold!r}")
    again = simulate(pomdp, best, episodes=20_000, rng=np.random.default_rng(1)).returns(LAM)
    assert (again == bench.threshold).all()


def test_an_artefact_survives_its_disk(learned: LearnedPolicy, tmp_path: Path) -> None:
    content_hash = learned.save(tmp_path)
    loaded = LearnedPolicy.load(tmp_path)
    assert loaded.table_hash == content_hash
    seen = np.random.default_rng(0).uniform(-1, 1, (20, 7))
    assert (loaded.logits(seen) == learned.logits(seen)).all()
    replace(learned, layers=learned.layers[:2]).save(tmp_path / "headless")
    with pytest.raises(ArtefactError, match="no logit"):
        LearnedPolicy.load(tmp_path / "headless")
    replace(learned, features=FeatureSet.PAPER).save(tmp_path / "narrow")
    with pytest.raises(ArtefactError, match="fit together"):
        LearnedPolicy.load(tmp_path / "narrow")
    (tmp_path / "learned.json").write_text((tmp_path / "learned.json").read_text().replace("0.002", "0.003"))
    with pytest.raises(ArtefactError, match="content_hash"):
        LearnedPolicy.load(tmp_path)


def test_finishing_writes_what_was_judged(pomdp: RoutingPOMDP, tmp_path: Path) -> None:
    training = _training(pomdp)
    trained = training.run(tmp_path / "agg")
    bench = Bench.of(pomdp, LAM, episodes=500, seed=1)
    result = finish(training, trained, bench, inputs={"pomdp": "here"}, out=tmp_path / "agg")
    training.forget(tmp_path / "agg")
    policy = LearnedPolicy.load(tmp_path / "agg")
    assert policy.table_hash == result.content_hash
    assert result.judged.share is not None
    assert policy.provenance["judged"]["share"]["value"] == result.judged.share.value
    assert policy.provenance["inputs"] == {"pomdp": "here"}


def test_the_shipped_problem_is_the_papers() -> None:
    shipped, content_hash = math_train()
    assert (shipped.p_weak, shipped.p_strong, shipped.max_steps) == (0.866, 0.9704, 30)
    assert len(content_hash) == 64


@pytest.mark.parametrize(
    "arguments",
    [
        ["agg", "--lambda", "0.002"],
        ["agg", "--simulated", "--lambda", "-1"],
        ["agg", "--simulated", "--lambda", "0.002", "--table", "absent"],
        ["agg", "--simulated", "--lambda", "0.002", "--clip", "7"],
        ["seq", "--simulated", "--lambda", "0.002", "--table", "T", "--pomdp", "P"],
    ],
)
def test_impossible_commands_are_one_line_and_status_two(arguments: list[str], tmp_path: Path) -> None:
    done = subprocess.run([*TRAIN, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_agg_comes_within_five_percent_of_the_optimum_on_the_papers_problem(tmp_path: Path) -> None:
    command = [*TRAIN, "agg", "--simulated", "--lambda", "0.0025", "--seed", "0", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=True)
    judged = json.loads(done.stdout)["judged"]
    assert judged["share"]["value"] >= 0.95
    assert judged["optimum_value"] == pytest.approx(0.678131, abs=1e-4)
    assert (tmp_path / "agg-0.0025" / "learned.safetensors").exists()
