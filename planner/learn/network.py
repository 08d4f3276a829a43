"""The networks that are trained: each has an actor, which gives the log odds of regenerating, and a critic, which expects the return."""

from math import sqrt

import torch
from torch import Tensor, nn

from planner.learn.settings import Learner, TrainingSettings
from planner.policies.features import FeatureSet


class ActorCritic(nn.Module):
    """What proximal policy optimisation needs of a network; both methods give log odds and expected returns."""

    features: FeatureSet

    def forward(self, features: Tensor, alive: Tensor) -> tuple[Tensor, Tensor]:
        """Of all steps of episodes, [n_alive] each, from features [n, T, width] and whether there was a step [n, T]."""
        raise NotImplementedError

    def latest(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Of the last of t steps, [n] each, from features [n, t, width]."""
        raise NotImplementedError


def build_network(learner: Learner, settings: TrainingSettings, max_steps: int, seed: int) -> ActorCritic:
    """A network with initial weights of this seed."""
    generator = torch.Generator().manual_seed(seed)
    if learner is Learner.AGG:
        return Perceptron(FeatureSet(settings.features.value), settings.width, generator)
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

    def forward(self, features: Tensor, alive: Tensor) -> tuple[Tensor, Tensor]:
        """As `ActorCritic` says."""
        hidden = self.hidden(features[alive])
        return self.actor(hidden)[:, 0], self.critic(hidden)[:, 0]

    def latest(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """As `ActorCritic` says."""
        hidden = self.hidden(features[:, -1])
        return self.actor(hidden)[:, 0], self.critic(hidden)[:, 0]

    def actor_layers(self) -> list[nn.Linear]:
        """The linear layers from features to log odds; tanh stands between them."""
        return [*(layer for layer in self.hidden if isinstance(layer, nn.Linear)), self.actor]


class CausalTransformer(ActorCritic):
    """TRIM-Seq: what is decided at a step depends on the proposals up to it.

    Args:
        settings: width, layers and heads.
        max_steps: T, the longest sequence.
        generator: of the initial weights.
    """

    features = FeatureSet.SEQUENCE

    def __init__(self, settings: TrainingSettings, max_steps: int, generator: torch.Generator) -> None:
        super().__init__()
        width = settings.width
        self.embed = linear(self.features.width, width, 1.0, generator)
        self.places = nn.Parameter(0.02 * torch.randn(max_steps, width, generator=generator))
        self.blocks = nn.ModuleList(Block(width, settings.heads, generator) for _ in range(settings.layers))
        self.norm = nn.LayerNorm(width)
        self.actor, self.critic = linear(width, 1, 0.01, generator), linear(width, 1, 1.0, generator)

    def forward(self, features: Tensor, alive: Tensor) -> tuple[Tensor, Tensor]:
        """As `ActorCritic` says; what lies beyond the longest episode is not computed."""
        longest = int(alive.sum(dim=1).max())
        hidden = self._read(features[:, :longest])[alive[:, :longest]]
        return self.actor(hidden)[:, 0], self.critic(hidden)[:, 0]

    def latest(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """As `ActorCritic` says."""
        hidden = self._read(features)[:, -1]
        return self.actor(hidden)[:, 0], self.critic(hidden)[:, 0]

    def _read(self, features: Tensor) -> Tensor:
        hidden: Tensor = self.embed(features) + self.places[: features.shape[1]]
        for block in self.blocks:
            hidden = block(hidden)
        normed: Tensor = self.norm(hidden)
        return normed


class Block(nn.Module):
    """Causal self-attention and a perceptron, each behind a norm and beside a residual connection."""

    def __init__(self, width: int, heads: int, generator: torch.Generator) -> None:
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.attend, self.merge = linear(width, 3 * width, 1.0, generator), linear(width, width, 0.1, generator)
        self.widen, self.narrow = linear(width, 2 * width, 1.0, generator), linear(2 * width, width, 0.1, generator)

    def forward(self, hidden: Tensor) -> Tensor:
        """[n, t, width] to the same."""
        n, t, width = hidden.shape
        attended = self.attend(self.norms[0](hidden)).view(n, t, 3, self.heads, width // self.heads)
        query, key, value = attended.permute(2, 0, 3, 1, 4)
        mixed = nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        hidden = hidden + self.merge(mixed.transpose(1, 2).reshape(n, t, width))
        widened: Tensor = self.narrow(nn.functional.gelu(self.widen(self.norms[1](hidden))))
        return hidden + widened


def linear(n_in: int, n_out: int, gain: float, generator: torch.Generator) -> nn.Linear:
    """A layer with orthogonal weights and no biases, as is usual for policy gradients."""
    layer = nn.Linear(n_in, n_out)
    nn.init.orthogonal_(layer.weight, gain, generator=generator)
    nn.init.zeros_(layer.bias)
    return layer
