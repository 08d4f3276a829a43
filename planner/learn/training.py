"""The training loop: gather whole episodes, learn from them, again; killed at any moment, it goes on to the same weights."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kde.artefact import TOOL
from kde.samples import Array
from planner.exclusive import exclusive
from planner.learn.network import ActorCritic, build_network
from planner.learn.ppo import Losses, update
from planner.learn.rollout import Act, Playground, Rollout
from planner.learn.settings import Learner, TrainingSettings
from planner.learn.state import load_state, save_state
from planner.learn.threads import one_thread
from planner.pomdp import RoutingPOMDP

_SAVE_EVERY = 10
_ADAM_EPSILON = 1e-5
CURVE = ("return", "right answers", "strong tokens", "entropy", "divergence", "clipped", "critic error")
"""Columns of a learning curve."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is.

    Attributes:
        iteration: iterations done, of `iterations`.
        row: the last iteration's row of the learning curve, by `CURVE`.
    """

    iteration: int
    iterations: int
    row: dict[str, float]


@dataclass(frozen=True, slots=True)
class Trained:
    """What a run ends with.

    Attributes:
        network: the result.
        curve: [iterations, 7], columns `CURVE`.
    """

    network: ActorCritic
    curve: Array


@dataclass(frozen=True, slots=True)
class Training:
    """One training run; everything that its result depends on.

    Attributes:
        pomdp: what it plays.
        lam: lambda, the price of a strong token.
        learner: what is trained.
        settings: how.
        seed: of weights, episodes and actions.
    """

    pomdp: RoutingPOMDP
    lam: float
    learner: Learner
    settings: TrainingSettings
    seed: int

    def run(self, out: Path, *, on_progress: Callable[[Progress], None] = lambda _: None) -> Trained:
        """Train, or go on where a run with the same parameters was cut off.

        The unfinished state waits in `.NAME.training-KEY` beside `out`. Call `forget` when the result is safe.

        Raises:
            InputError: the same run is under way in another process.
        """
        network = build_network(self.learner, self.settings, self.pomdp.max_steps, self.seed)
        optimiser = torch.optim.Adam(network.parameters(), eps=_ADAM_EPSILON)
        folder = self._folder(out)
        with exclusive(folder, what="the same training run"), one_thread():
            curve = load_state(folder / "state", network, optimiser)
            play = Playground.of(self.pomdp, self.lam, network.features)
            for iteration in range(len(curve), self.settings.iterations):
                curve.append(self._iterate(iteration, network, optimiser, play))
                row = dict(zip(CURVE, curve[-1].tolist(), strict=True))
                on_progress(Progress(iteration + 1, self.settings.iterations, row))
                if (iteration + 1) % _SAVE_EVERY == 0 or iteration + 1 == self.settings.iterations:
                    save_state(folder / "state", network, optimiser, curve)
        return Trained(network, np.stack(curve))

    def forget(self, out: Path) -> None:
        """Remove the unfinished state."""
        folder = self._folder(out)
        (folder / "state" / "state.safetensors").unlink()
        (folder / "state").rmdir()
        (folder / "lock").unlink()
        folder.rmdir()

    def parameters(self) -> dict[str, Any]:
        """For the provenance."""
        settings = self.settings.model_dump(mode="json")
        return {"learner": self.learner.value, "lambda": self.lam, "seed": self.seed, "settings": settings}

    def _iterate(self, iteration: int, network: ActorCritic, optimiser: torch.optim.Adam, play: Playground) -> Array:
        world, coins, shuffles = (np.random.default_rng([self.seed, iteration, purpose]) for purpose in range(3))
        done = iteration / self.settings.iterations
        for group in optimiser.param_groups:
            group["lr"] = (1 - done) * self.settings.learning_rate + done * self.settings.final_learning_rate
        rollout = play.play(acting(network), self.settings.episodes, world, coins)
        learned = update(network, optimiser, rollout, self.settings, shuffles)
        return _row(rollout, learned)

    def _folder(self, out: Path) -> Path:
        out = out.resolve()
        settled = json.dumps([self.pomdp.to_json(), self.parameters(), TOOL], sort_keys=True)
        return out.parent / f".{out.name}.training-{hashlib.sha256(settled.encode()).hexdigest()[:16]}"


def acting(network: ActorCritic) -> Act:
    """The network as a player."""

    def act(features: NDArray[np.float32]) -> tuple[Array, Array]:
        with torch.no_grad():
            answers = network.latest(torch.from_numpy(features))
        return answers.log_odds.numpy().astype(np.float64), answers.values.numpy().astype(np.float64)

    return act


def _row(rollout: Rollout, learned: Losses) -> Array:
    """A row of the learning curve, by `CURVE`."""
    parts = (learned.entropy, learned.divergence, learned.clipped, learned.value)
    told = [float(part.detach()) for part in parts]
    return np.array([rollout.returns.mean(), rollout.correct.mean(), rollout.strong_tokens.mean(), *told])
