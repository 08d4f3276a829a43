"""The gymnasium environment, by other people's checkers, by our own simulator and by another implementation of PPO."""

from pathlib import Path

import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.env_checker import check_env as check_as_stable_baselines
from stable_baselines3.common.vec_env import DummyVecEnv

from kde.samples import Array
from planner.learn.environment import RoutingEnv
from planner.learn.judge import Bench
from planner.learn.network import Perceptron
from planner.learn.result import learned_policy
from planner.learn.rollout import Playground
from planner.learn.settings import Learner, Preset, TrainingSettings
from planner.learn.training import Training
from planner.policies.catalogue import Catalogue
from planner.policies.features import FeatureSet
from planner.pomdp import RoutingPOMDP
from planner.rehearsal import Estimate
from planner.simulate import simulate

LAM = 0.002


@pytest.mark.parametrize("features", list(FeatureSet))
@pytest.mark.filterwarnings("ignore:.*test alternative render modes.*", "ignore:.*spec.*")
def test_gymnasium_accepts_it(pomdp: RoutingPOMDP, features: FeatureSet) -> None:
    check_env(RoutingEnv(pomdp, LAM, features), skip_render_check=True)


@pytest.mark.parametrize("features", list(FeatureSet))
def test_stable_baselines_accepts_it(pomdp: RoutingPOMDP, features: FeatureSet) -> None:
    check_as_stable_baselines(RoutingEnv(pomdp, LAM, features))


def test_equal_seeds_give_equal_traces(pomdp: RoutingPOMDP) -> None:
    one, other = RoutingEnv(pomdp, LAM), RoutingEnv(pomdp, LAM)
    for seed in range(5):
        seen, again = one.reset(seed=seed)[0], other.reset(seed=seed)[0]
        ended = False
        while not ended:
            assert (seen == again).all()
            seen, reward, ended, _, told = one.step(np.int64(1))
            again, same, *_ = other.step(np.int64(1))
            assert reward == same
        assert set(told) == {"correct", "strong_tokens"}


@pytest.mark.parametrize(("name", "action"), [("weak", 0), ("strong", 1)])
def test_its_returns_are_the_simulators(pomdp: RoutingPOMDP, name: str, action: int) -> None:
    environment, returns = RoutingEnv(pomdp, LAM), []
    environment.reset(seed=7)
    for _ in range(1_000):
        total, ended = 0.0, False
        while not ended:
            _, reward, ended, _, told = environment.step(np.int64(action))
            total += reward
        assert total == pytest.approx(told["correct"] - LAM * told["strong_tokens"])
        returns.append(total)
        environment.reset()
    expected = simulate(pomdp, Catalogue(None).get(name), episodes=100_000, rng=np.random.default_rng(0)).returns(LAM)
    assert Estimate.mean(np.array(returns)).holds(float(expected.mean()))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_stable_baselines_solves_it_to_within_noise_of_ours(pomdp: RoutingPOMDP, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    theirs = PPO(
        "MlpPolicy",
        DummyVecEnv([lambda: RoutingEnv(pomdp, LAM)] * 16),
        n_steps=256,
        batch_size=512,
        n_epochs=4,
        learning_rate=lambda left: 1e-3 * left,
        gamma=1.0,
        ent_coef=0.001,
        normalize_advantage=False,
        policy_kwargs={"net_arch": [128, 128]},
        seed=0,
    )
    theirs.learn(200_000)

    def act(seen: NDArray[np.float32]) -> tuple[Array, Array]:
        actions, _ = theirs.predict(seen[:, -1], deterministic=True)
        return np.where(actions == 1, 9.0, -9.0), np.zeros(len(actions))

    bench = Bench.of(pomdp, LAM, episodes=40_000, seed=99)
    played = Playground.of(pomdp, LAM, FeatureSet.BELIEF).play(act, bench.episodes, np.random.default_rng(99))
    settings = TrainingSettings.of(Preset.DEFAULT, Learner.AGG, {"iterations": 60, "episodes": 1024})
    training = Training(pomdp, LAM, Learner.AGG, settings, seed=0)
    trained = training.run(tmp_path / "agg").network
    assert isinstance(trained, Perceptron)
    policy = learned_policy(training, trained)
    ours = simulate(pomdp, policy, episodes=bench.episodes, rng=np.random.default_rng(99)).returns(LAM)
    difference = Estimate.mean(ours - played.returns)
    assert abs(difference.value) < 3 * difference.standard_error + 0.002
    weak = simulate(pomdp, Catalogue(None).get("weak"), episodes=bench.episodes, rng=np.random.default_rng(99))
    gain = float((bench.optimum - weak.returns(LAM)).mean())
    for returns in (played.returns, ours):
        assert bench.judge(returns).regret.value < 0.05 * gain
