"""Proximal policy optimisation (Schulman et al., arXiv 1707.06347): one objective, one update, for every network."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, logsigmoid

from planner.learn.advantage import advantages
from planner.learn.network import ActorCritic, Answers
from planner.learn.rollout import Rollout
from planner.learn.settings import TrainingSettings


@dataclass(frozen=True, slots=True)
class Sample:
    """Episodes of a minibatch; the vectors are of their steps, [n_alive].

    Attributes:
        features: [n, T, width].
        alive: [n, T].
        regenerated: whether the step was regenerated.
        log_probability: of that action, when it was drawn.
        advantages: how much better it turned out than the critic expected.
        returns: what the critic should have expected.
        classes: true class of the trace.
    """

    features: Tensor
    alive: Tensor
    regenerated: Tensor
    log_probability: Tensor
    advantages: Tensor
    returns: Tensor
    classes: Tensor


@dataclass(frozen=True, slots=True)
class Losses:
    """Parts of the objective, each a mean over steps.

    Attributes:
        policy: negative clipped surrogate.
        value: squared error of the critic.
        classes: cross-entropy of the true classes; 0 for a network that does not tell them.
        entropy: of the actions, in nats.
        divergence: estimate of KL(old || new), (ratio - 1) - log ratio.
        clipped: share of the steps whose ratio is outside of 1 - clip to 1 + clip.
    """

    policy: Tensor
    value: Tensor
    classes: Tensor
    entropy: Tensor
    divergence: Tensor
    clipped: Tensor

    def total(self, settings: TrainingSettings) -> Tensor:
        """What is minimised."""
        told = settings.value * self.value + settings.classes * self.classes
        return self.policy + told - settings.entropy * self.entropy


def log_probability(log_odds: Tensor, regenerated: Tensor) -> Tensor:
    """Log probability of the action taken, from the log odds of regenerating."""
    return torch.where(regenerated, logsigmoid(log_odds), logsigmoid(-log_odds))


def losses(answers: Answers, sample: Sample, settings: TrainingSettings) -> Losses:
    """The objective's parts at a network's answers on a sample."""
    log_odds, gains = answers.log_odds, sample.advantages
    if settings.normalise:
        gains = (gains - gains.mean()) / (gains.std() + 1e-8)
    log_ratio = log_probability(log_odds, sample.regenerated) - sample.log_probability
    ratio = log_ratio.exp()
    surrogate = torch.minimum(ratio * gains, ratio.clamp(1 - settings.clip, 1 + settings.clip) * gains)
    chance = torch.sigmoid(log_odds)
    entropy = -(chance * logsigmoid(log_odds) + (1 - chance) * logsigmoid(-log_odds))
    return Losses(
        policy=-surrogate.mean(),
        value=(answers.values - sample.returns).square().mean(),
        classes=log_odds.new_zeros(()) if answers.classes is None else cross_entropy(answers.classes, sample.classes),
        entropy=entropy.mean(),
        divergence=(ratio - 1 - log_ratio).mean(),
        clipped=((ratio - 1).abs() > settings.clip).float().mean(),
    )


def update(
    network: ActorCritic,
    optimiser: torch.optim.Optimizer,
    rollout: Rollout,
    settings: TrainingSettings,
    rng: np.random.Generator,
) -> Losses:
    """Learn from a rollout, in place; the losses of the last minibatch."""
    last: Losses | None = None
    for sample in minibatches(rollout, settings, rng):
        last = losses(network(sample.features, sample.alive), sample, settings)
        optimiser.zero_grad()
        last.total(settings).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), settings.gradient_norm)
        optimiser.step()
    assert last is not None  # noqa: S101  there is at least one epoch of one minibatch
    return last


def minibatches(rollout: Rollout, settings: TrainingSettings, rng: np.random.Generator) -> Iterator[Sample]:
    """The rollout's episodes in random order, cut into minibatches, once an epoch."""
    gains = advantages(rollout.rewards, rollout.values, rollout.alive, discount=settings.discount, gae=settings.gae)
    returns = gains + rollout.values
    for _ in range(settings.epochs):
        order = rng.permutation(len(rollout.rewards))
        for chosen in np.array_split(order, settings.minibatches):
            alive = rollout.alive[chosen]
            regenerated = torch.from_numpy(rollout.actions[chosen][alive])
            log_odds, gained, expected = (
                torch.from_numpy(column[chosen][alive].astype(np.float32))
                for column in (rollout.log_odds, gains, returns)
            )
            longest = int(alive.sum(axis=1).max())
            yield Sample(
                torch.from_numpy(rollout.features[chosen, :longest]),
                torch.from_numpy(alive[:, :longest]),
                regenerated,
                log_probability(log_odds, regenerated),
                gained,
                expected,
                torch.from_numpy(rollout.classes[chosen][alive]),
            )
