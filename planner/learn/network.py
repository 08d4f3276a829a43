"""The networks that are trained: each has an actor, which gives the log odds of regenerating, and a critic, which expects the return."""

from dataclasses import dataclass
from math import sqrt
from typing import Self

import torch
from torch import Tensor, nn

from kde.samples import StepClass
from planner.learn.settings import Learner, TrainingSettings
from planner.policies.features import FeatureSet


@dataclass(frozen=True, slots=True)
class Answers:
    """What a network says of n steps.

    Attributes:
        log_odds: [n] of regenerating.
        values: [n] expected return from here on.
        classes: [n, 3] log odds of the trace's true class; None of a network that is not asked for it.
    """

    log_odds: Tensor
    values: Tensor
    classes: Tensor | None = None


class ActorCritic(nn.Module):
    """What proximal policy optimisation needs of a network."""

    features: FeatureSet

    def forward(self, features: Tensor, alive: Tensor) -> Answers:
        """Of all steps of episodes, from features [n, T, width] and whether there was a step [n, T]."""
        raise NotImplementedError

    def latest(self, features: Tensor) -> Answers:
        """Of the last of t steps, from features [n, t, width]."""
        raise NotImplementedError


def build_network(learner: Learner, settings: TrainingSettings, max_steps: int, seed: int) -> ActorCritic:
    """A network with initial weights of this seed."""
    generator = torch.Generator().manual_seed(seed)
    if learner is Learner.AGG:
        return Perceptron(settings.shown_to(learner), settings.width, generator)
    return CausalTransformer(settings, max_steps, generator)


class Perceptron(ActorCritic):
    """TRIM-Agg: two hidden layers with tanh and two heads, on the newest proposal alone.

    Args:
        features: what it is shown.
        width: units of each hidden layer.
        generator: of the initial weights.
    """

    def __init__(self, features: FeatureSet, width: int, generator: torch.Generator) -> None:
        super().__init__()
        self.features = features
        self.hidden = nn.Sequential(
            linear(features.width, width, sqrt(2), generator),
            nn.Tanh(),
            linear(width, width, sqrt(2), generator),
            nn.Tanh(),
        )
        self.actor, self.critic = linear(width, 1, 0.01, generator), linear(width, 1, 1.0, generator)

    def forward(self, features: Tensor, alive: Tensor) -> Answers:
        """As `ActorCritic` says."""
        return self._answers(features[alive])

    def latest(self, features: Tensor) -> Answers:
        """As `ActorCritic` says."""
        return self._answers(features[:, -1])

    def actor_layers(self) -> list[nn.Linear]:
        """The linear layers from features to log odds; tanh stands between them."""
        return [*(layer for layer in self.hidden if isinstance(layer, nn.Linear)), self.actor]

    def _answers(self, seen: Tensor) -> Answers:
        hidden = self.hidden(seen)
        return Answers(self.actor(hidden)[:, 0], self.critic(hidden)[:, 0])


class CausalTransformer(ActorCritic):
    """TRIM-Seq: what is decided at a step depends on the proposals up to it.

    A third head tells the trace's class. It is learned with the others and not used to decide: a filter is what the trunk has to find
    in the sequence, and the class says directly what a return says only through noise.

    Args:
        settings: what it is shown, width, layers and heads.
        max_steps: T, the longest sequence.
        generator: of the initial weights.
    """

    def __init__(self, settings: TrainingSettings, max_steps: int, generator: torch.Generator) -> None:
        super().__init__()
        width = settings.width
        self.features = settings.shown_to(Learner.SEQ)
        self.embed = nn.Sequential(
            linear(self.features.width, 2 * width, sqrt(8), generator),
            nn.Tanh(),
            linear(2 * width, width, 1.0, generator),
        )
        self.places = nn.Parameter(0.02 * torch.randn(max_steps, width, generator=generator))
        self.blocks = nn.ModuleList(Block(width, settings.heads, generator) for _ in range(settings.layers))
        self.norm = nn.LayerNorm(width)
        self.actor, self.critic = linear(width, 1, 0.01, generator), linear(width, 1, 1.0, generator)
        self.classifier = linear(width, len(StepClass), 0.1, generator)

    def forward(self, features: Tensor, alive: Tensor) -> Answers:
        """As `ActorCritic` says."""
        return self._answers(self._read(features, Layout.of(alive)))

    def latest(self, features: Tensor) -> Answers:
        """As `ActorCritic` says."""
        count, steps, _ = features.shape
        whole = Layout.of(torch.ones(count, steps, dtype=torch.bool))
        return self._answers(self._read(features, whole).view(count, steps, -1)[:, -1])

    def _read(self, features: Tensor, layout: "Layout") -> Tensor:
        """Hidden states of the steps that there are, [n_alive, width]."""
        hidden: Tensor = (
            self.embed(features.flatten(0, 1)[layout.steps]) + self.places[layout.steps % features.shape[1]]
        )
        for block in self.blocks:
            hidden = block(hidden, layout)
        normed: Tensor = self.norm(hidden)
        return normed

    def _answers(self, hidden: Tensor) -> Answers:
        return Answers(self.actor(hidden)[:, 0], self.critic(hidden)[:, 0], self.classifier(hidden))


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the steps of n episodes are; most episodes are much shorter than T, and only attention is computed for the places between.

    Attributes:
        shape: n and T.
        steps: [n_alive] places of the steps among n T.
    """

    shape: tuple[int, int]
    steps: Tensor

    @classmethod
    def of(cls, alive: Tensor) -> Self:
        """From whether there was a step, [n, T]."""
        return cls((alive.shape[0], alive.shape[1]), alive.flatten().nonzero()[:, 0])

    def spread(self, packed: Tensor) -> Tensor:
        """From [n_alive, width] to [n, T, width], 0 where there is no step."""
        count, length = self.shape
        spread = packed.new_zeros(count * length, packed.shape[1]).index_copy(0, self.steps, packed)
        return spread.view(count, length, -1)

    def pack(self, spread: Tensor) -> Tensor:
        """The inverse of `spread`."""
        return spread.flatten(0, 1).index_select(0, self.steps)


class Block(nn.Module):
    """Causal self-attention and a perceptron, each behind a norm and beside a residual connection."""

    def __init__(self, width: int, heads: int, generator: torch.Generator) -> None:
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.attend, self.merge = linear(width, 3 * width, 1.0, generator), linear(width, width, 0.1, generator)
        self.widen, self.narrow = linear(width, 2 * width, 1.0, generator), linear(2 * width, width, 0.1, generator)

    def forward(self, hidden: Tensor, layout: Layout) -> Tensor:
        """[n_alive, width] to the same."""
        attended = layout.spread(self.attend(self.norms[0](hidden)))
        query, key, value = attended.view(*layout.shape, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        hidden = hidden + self.merge(layout.pack(mixed.transpose(1, 2).flatten(2)))
        widened: Tensor = self.narrow(nn.functional.gelu(self.widen(self.norms[1](hidden))))
        return hidden + widened


def linear(n_in: int, n_out: int, gain: float, generator: torch.Generator) -> nn.Linear:
    """A layer with orthogonal weights and no biases, as is usual for policy gradients."""
    layer = nn.Linear(n_in, n_out)
    nn.init.orthogonal_(layer.weight, gain, generator=generator)
    nn.init.zeros_(layer.bias)
    return layer
