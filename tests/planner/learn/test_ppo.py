"""Proximal policy optimisation against slow twins and by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kde.errors import InputError
from kde.samples import Array
from planner.learn.advantage import advantages
from planner.learn.network import Answers, CausalTransformer, Layout, build_network
from planner.learn.ppo import Sample, losses, minibatches
from planner.learn.rollout import Playground
from planner.learn.settings import Learner, Preset, TrainingSettings
from planner.learn.training import acting
from planner.policies.catalogue import Catalogue
from planner.policies.features import FeatureSet
from planner.pomdp import RoutingPOMDP
from planner.simulate import simulate
from tests.twins import summed_advantages

LAM = 0.002


@settings(max_examples=30)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=5), st.floats(0.5, 1), st.floats(0, 1), st.integers(0, 99))
def test_advantages_are_the_double_sum(lengths: list[int], discount: float, gae: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    alive = np.arange(6) < np.array(lengths)[:, None]
    rewards, values = (rng.normal(size=alive.shape) * alive for _ in range(2))
    expected = summed_advantages(rewards, values, lengths, discount, gae)
    assert advantages(rewards, values, alive, discount=discount, gae=gae) == pytest.approx(expected)


def _sample(gains: list[float], regenerated: list[bool], old_odds: list[float]) -> Sample:
    odds, taken = torch.tensor(old_odds, dtype=torch.float64), torch.tensor(regenerated)
    old = torch.where(taken, torch.nn.functional.logsigmoid(odds), torch.nn.functional.logsigmoid(-odds))
    nothing = torch.zeros(1, len(gains), 1)
    returns = torch.zeros(len(gains), dtype=torch.float64)
    classes = torch.arange(len(gains)) % 3
    return Sample(nothing, nothing[..., 0] == 0, taken, old, torch.tensor(gains, dtype=torch.float64), returns, classes)


@given(st.lists(st.tuples(st.floats(-2, 2), st.booleans(), st.floats(-3, 3), st.floats(-1, 1)), min_size=1, max_size=6))
def test_the_clipped_objective_has_the_gradient_that_the_paper_says(
    steps: list[tuple[float, bool, float, float]],
) -> None:
    gains, taken, old_odds, moves = (list(column) for column in zip(*steps, strict=True))
    sample = _sample(gains, taken, old_odds)
    odds = torch.tensor([o + m for o, m in zip(old_odds, moves, strict=True)], dtype=torch.float64, requires_grad=True)
    losses(Answers(odds, sample.returns), sample, TrainingSettings(clip=0.2)).policy.backward()  # type: ignore[no-untyped-call]
    expected = []
    for gain, regenerate, old, move in zip(gains, taken, old_odds, moves, strict=True):
        chance, before = (1 / (1 + np.exp(-x)) for x in (old + move, old))
        ratio = chance / before if regenerate else (1 - chance) / (1 - before)
        counts = ratio <= 1.2 if gain > 0 else ratio >= 0.8  # beyond the clip nothing is gained by going on
        slope = (1 - chance) if regenerate else -chance  # d log pi / d odds
        expected.append(-gain * ratio * slope / len(gains) if counts else 0.0)
    assert odds.grad is not None
    assert odds.grad.numpy() == pytest.approx(expected, abs=1e-9)


def test_entropy_and_critic_errors_are_what_they_are_called() -> None:
    sample = _sample([1.0, -1.0], [True, False], [0.0, 0.0])
    answers = Answers(torch.zeros(2, dtype=torch.float64), torch.ones(2), torch.zeros(2, 3))
    found = losses(answers, sample, TrainingSettings())
    assert found.entropy.item() == pytest.approx(np.log(2))
    assert found.value.item() == pytest.approx(1)
    assert found.divergence.item() == pytest.approx(0)
    assert found.classes.item() == pytest.approx(np.log(3))
    weights = TrainingSettings(entropy=0.1, value=0.5, classes=0.2)
    assert found.total(weights).item() == pytest.approx(0.5 - 0.1 * np.log(2) + 0.2 * np.log(3))


def test_normalised_advantages_have_mean_0_and_variance_1() -> None:
    sample = _sample([5.0, 7.0, 9.0], [True, True, True], [0.0] * 3)
    answers = Answers(torch.zeros(3, dtype=torch.float64), sample.returns)
    policy = losses(answers, sample, TrainingSettings(normalise=True)).policy
    assert policy.item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("learner", list(Learner))
def test_minibatches_show_every_step_once_an_epoch(pomdp: RoutingPOMDP, learner: Learner) -> None:
    chosen = TrainingSettings.of(Preset.DEFAULT, learner, {"epochs": 2, "minibatches": 3, "width": 16})
    network = build_network(learner, chosen, pomdp.max_steps, seed=0)
    play = Playground.of(pomdp, LAM, network.features)
    rollout = play.play(acting(network), 50, np.random.default_rng(0), np.random.default_rng(1))
    samples = list(minibatches(rollout, chosen, np.random.default_rng(2)))
    assert len(samples) == 6
    for epoch in (samples[:3], samples[3:]):
        assert sum(len(sample.returns) for sample in epoch) == rollout.alive.sum()
        total = sum(float(sample.features.double().sum()) for sample in epoch)
        assert total == pytest.approx(float(rollout.features.astype(np.float64).sum()), abs=1e-6)
    first = samples[0]
    again = losses(network(first.features, first.alive), first, chosen)
    assert again.divergence.item() == pytest.approx(0, abs=1e-6)  # nothing has been learned yet


@pytest.mark.parametrize("features", [FeatureSet.BELIEF, FeatureSet.PAPER])
def test_play_meets_the_simulators_episodes(pomdp: RoutingPOMDP, features: FeatureSet) -> None:
    play = Playground.of(pomdp, LAM, features)
    for name, odds in (("weak", -9.0), ("strong", 9.0)):

        def act(seen: NDArray[np.float32], odds: float = odds) -> tuple[Array, Array]:
            return np.full(len(seen), odds), np.zeros(len(seen))

        expected = simulate(pomdp, Catalogue(None).get(name), episodes=500, rng=np.random.default_rng(3))
        played = play.play(act, 500, np.random.default_rng(3))
        assert (played.correct == expected.correct).all()
        assert played.strong_tokens == pytest.approx(expected.strong_tokens)
        assert played.returns == pytest.approx(expected.returns(LAM))
        assert (played.alive.sum(axis=1) == expected.steps).all()


def test_actions_are_drawn_with_their_probabilities(pomdp: RoutingPOMDP) -> None:
    play = Playground.of(pomdp, LAM, FeatureSet.PAPER)
    odds = np.log(0.3 / 0.7)
    rollout = play.play(
        lambda seen: (np.full(len(seen), odds), np.zeros(len(seen))),
        4_000,
        np.random.default_rng(0),
        np.random.default_rng(1),
    )
    steps = rollout.alive.sum()
    assert abs(rollout.actions.sum() / steps - 0.3) < 4 * np.sqrt(0.21 / steps)


def test_a_transformer_sees_no_further_than_the_step() -> None:
    chosen = TrainingSettings.of(Preset.DEFAULT, Learner.SEQ, {"width": 16})
    network = CausalTransformer(chosen, 6, torch.Generator().manual_seed(1))
    seen = torch.randn(4, 6, 3, generator=torch.Generator().manual_seed(2))
    alive = torch.ones(4, 6, dtype=torch.bool)
    with torch.no_grad():
        answers = network(seen, alive)
        whole, values = answers.log_odds.view(4, 6), answers.values.view(4, 6)
        for t in range(1, 7):
            latest = network.latest(seen[:, :t])
            assert latest.log_odds.numpy() == pytest.approx(whole[:, t - 1].numpy(), abs=1e-5)
            assert latest.values.numpy() == pytest.approx(values[:, t - 1].numpy(), abs=1e-5)
        changed = seen.clone()
        changed[:, 3:] += 1
        assert (network(changed, alive).log_odds.view(4, 6)[:, :3] - whole[:, :3]).abs().max() < 1e-5
        assert (network(changed, alive).log_odds.view(4, 6)[:, 3:] - whole[:, 3:]).abs().min() > 0


@given(st.lists(st.integers(1, 6), min_size=1, max_size=5))
def test_what_lies_between_episodes_changes_nothing(lengths: list[int]) -> None:
    chosen = TrainingSettings.of(Preset.DEFAULT, Learner.SEQ, {"width": 16})
    network = CausalTransformer(chosen, 6, torch.Generator().manual_seed(1))
    alive = torch.arange(6) < torch.tensor(lengths)[:, None]
    seen = torch.randn(len(lengths), 6, 3, generator=torch.Generator().manual_seed(2))
    layout = Layout.of(alive)
    assert (layout.pack(layout.spread(seen[alive])) == seen[alive]).all()
    with torch.no_grad():
        together = network(seen, alive).log_odds.split(lengths)
        for episode, length in enumerate(lengths):
            alone = network(seen[episode : episode + 1, :length], torch.ones(1, length, dtype=torch.bool))
            assert together[episode].numpy() == pytest.approx(alone.log_odds.numpy(), abs=1e-5)


def test_the_papers_preset_is_its_table() -> None:
    paper = TrainingSettings.of(Preset.PAPER, Learner.AGG, {})
    assert (paper.learning_rate, paper.clip, paper.entropy, paper.gae) == (1e-4, 0.2, 0.01, 0.95)
    assert (paper.discount, paper.normalise, paper.width, paper.features.value) == (1.0, False, 128, "paper")


@pytest.mark.parametrize(
    ("learner", "changes", "field"),
    [
        (Learner.AGG, {"clip": 2.0}, "clip"),
        (Learner.AGG, {"iterations": 0}, "iterations"),
        (Learner.SEQ, {"width": 33}, "width"),
        (Learner.AGG, {"nonsense": 1}, "nonsense"),
        (Learner.AGG, {"classes": 0.5}, "classes"),
        (Learner.AGG, {"features": "least"}, "paper or belief"),
        (Learner.SEQ, {"features": "belief"}, "paper or least"),
    ],
)
def test_settings_out_of_range_are_refused(learner: Learner, changes: dict[str, float], field: str) -> None:
    with pytest.raises(InputError, match=field):
        TrainingSettings.of(Preset.DEFAULT, learner, changes)
