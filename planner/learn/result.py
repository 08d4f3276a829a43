"""A finished training run: what it is worth, and what is written of it."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from kde.artefact import TOOL, replace_file
from kde.errors import InputError
from kde.samples import Array
from planner.learn.figure import draw_curve
from planner.learn.judge import Bench, Judged
from planner.learn.network import ActorCritic, CausalTransformer, Perceptron
from planner.learn.rollout import Playground
from planner.learn.sequence import SequenceArtefact
from planner.learn.training import CURVE, Trained, Training, acting
from planner.policies.learned import LearnedPolicy
from planner.simulate import simulate


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a run.

    Attributes:
        judged: what its greedy policy is worth.
        content_hash: of the artefact.
    """

    judged: Judged
    content_hash: str


def finish(training: Training, trained: Trained, bench: Bench, *, inputs: Mapping[str, Any], out: Path) -> Result:
    """Judge a trained network; write its artefact, `curve.csv` and `curve.png` to `out`.

    Args:
        training: how it was trained.
        trained: the network and its learning curve.
        bench: what it is compared with.
        inputs: where the POMDP comes from, for the provenance.
        out: directory.
    """
    network = trained.network
    judged = bench.judge(_greedy_returns(training, network, bench))
    provenance = {
        "tool": TOOL,
        "inputs": dict(inputs),
        "parameters": training.parameters(),
        "judged": judged.document() | {"episodes": bench.episodes, "seed": bench.seed},
    }
    if isinstance(network, Perceptron):
        content_hash = replace(learned_policy(training, network), provenance=provenance).save(out)
    else:
        content_hash = SequenceArtefact.of(training, _transformer(network), provenance).save(out)
    replace_file(out / "curve.csv", _as_csv(trained.curve))
    draw_curve(trained.curve, judged, training, out / "curve.png")
    return Result(judged, content_hash)


def learned_policy(training: Training, network: Perceptron) -> LearnedPolicy:
    """TRIM-Agg's actor as the policy that is served."""
    layers = tuple(
        (layer.weight.detach().numpy().T.copy(), layer.bias.detach().numpy().copy()) for layer in network.actor_layers()
    )
    return LearnedPolicy(f"agg:{training.lam!r}", training.pomdp, training.lam, network.features, layers)


def _greedy_returns(training: Training, network: ActorCritic, bench: Bench) -> Array:
    """Returns on the bench's episodes: of the served policy itself, or of the transformer at play."""
    if isinstance(network, Perceptron):
        policy, rng = learned_policy(training, network), np.random.default_rng(bench.seed)
        return simulate(training.pomdp, policy, episodes=bench.episodes, rng=rng).returns(training.lam)
    play = Playground.of(training.pomdp, training.lam, network.features)
    return play.play(acting(network), bench.episodes, np.random.default_rng(bench.seed)).returns


def _transformer(network: ActorCritic) -> CausalTransformer:
    if not isinstance(network, CausalTransformer):
        raise InputError("train", field="network", value=type(network).__name__, remedy="a transformer")
    return network


def _as_csv(curve: Array) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["iteration", *CURVE])
    writer.writerows([index, *row] for index, row in enumerate(curve.tolist(), start=1))
    return text.getvalue().encode()
