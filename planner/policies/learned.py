"""`agg:LAMBDA`: TRIM-Agg, a multilayer perceptron trained by reinforcement learning (`planner.learn`), decided with NumPy alone."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from kde.artefact import ArtefactKind, Fetch, read_artefact, write_artefact
from kde.errors import ArtefactError, InputError
from kde.mapped import map_file
from kde.samples import Array
from planner.batch import CarryBatch, DecisionBatch, ProposalBatch
from planner.decision import Carry, Decision, Need, Proposal
from planner.policies.belief import BeliefUpdate
from planner.policies.columns import decide_one
from planner.policies.features import FeatureSet, Featurizer
from planner.pomdp import RoutingPOMDP

LEARNED = ArtefactKind("learned", schema_version=1)

Layer = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Weights [n_in, n_out] and biases [n_out]."""


@dataclass(frozen=True, slots=True)
class LearnedPolicy:
    """Regenerate where the actor's logit is positive: its more probable action.

    Attributes:
        id: `agg:LAMBDA`.
        pomdp: what it was trained on; forms the belief, if the features have one.
        lam: lambda, the price it was trained for.
        features: what it is shown.
        layers: of the actor; tanh between them, the last gives the logit [n, 1].
        provenance: where it comes from (JSON values).
        table_hash: content hash of the saved artefact; empty for a policy that was never saved.
    """

    id: str
    pomdp: RoutingPOMDP
    lam: float
    features: FeatureSet
    layers: tuple[Layer, ...]
    provenance: dict[str, Any] = field(default_factory=dict)
    table_hash: str = ""
    _beliefs: BeliefUpdate = field(init=False, repr=False, compare=False)
    _featurizer: Featurizer = field(init=False, repr=False, compare=False)
    _doubles: tuple[tuple[Array, Array], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_beliefs", BeliefUpdate(self.pomdp))
        object.__setattr__(self, "_featurizer", Featurizer.of(self.pomdp, self.features))
        doubles = tuple((weights.astype(np.float64), biases.astype(np.float64)) for weights, biases in self.layers)
        object.__setattr__(self, "_doubles", doubles)

    @property
    def needs(self) -> Need:
        """The last belief, if that is one of its features and its filter is not memoryless."""
        return Need.BELIEF if self.features is FeatureSet.BELIEF and self._beliefs.recursive else Need.NOTHING

    def named(self, policy_id: str) -> Self:
        """The same policy under the id that it was asked for by."""
        return replace(self, id=policy_id)

    def decide(self, proposal: Proposal, carry: Carry | None) -> Decision:
        """As `decide_many` for one proposal.

        Raises:
            InputError: a later step does not carry the belief that the features want.
        """
        return decide_one(self, proposal, carry)

    def decide_many(self, proposals: ProposalBatch, carries: CarryBatch | None) -> DecisionBatch:
        """Ask the actor about every proposal.

        Raises:
            InputError: a proposal beyond the first step comes without the carry that the features want.
        """
        count = len(proposals.step)
        believing = self.features is FeatureSet.BELIEF
        belief = self._beliefs.many(proposals, carries) if believing else np.zeros((count, 3))
        features = self._featurizer(proposals, belief, np.zeros(count, np.bool_))
        return DecisionBatch(self.logits(features) > 0, belief if believing else None)

    def logits(self, features: Array) -> Array:
        """Log odds of regenerating, [n], from features [n, width].

        Row by row, a matrix product for each: one product for all of them would round a row by how many others there are.
        """
        hidden = features[:, None, :]
        for weights, biases in self._doubles[:-1]:
            hidden = np.tanh(hidden @ weights + biases)
        weights, biases = self._doubles[-1]
        return np.asarray((hidden @ weights + biases)[:, 0, 0], dtype=np.float64)

    def save(self, directory: Path) -> str:
        """Write `learned.safetensors` and `learned.json`; return the content hash."""
        arrays: dict[str, NDArray[Any]] = {"cells": self.pomdp.cells}
        for index, (weights, biases) in enumerate(self.layers):
            arrays |= {f"weights.{index}": weights, f"biases.{index}": biases}
        body = {
            "lambda": self.lam,
            "features": self.features.value,
            "layers": len(self.layers),
            "pomdp": self.pomdp.description(),
            "provenance": self.provenance,
        }
        return write_artefact(directory, LEARNED, arrays, body)

    @classmethod
    def load(cls, directory: Path, *, fetch: Fetch = map_file) -> Self:
        """Check a saved policy and map it into memory, or fetch it otherwise.

        Raises:
            ArtefactError: it is missing, truncated, edited or of another schema, or its arrays do not fit together.
        """
        artefact = read_artefact(directory, LEARNED, fetch=fetch)
        body, arrays = artefact.body, artefact.arrays
        try:
            layers = tuple((arrays[f"weights.{index}"], arrays[f"biases.{index}"]) for index in range(body["layers"]))
            policy = cls(
                id=f"agg:{body['lambda']!r}",
                pomdp=RoutingPOMDP.described(arrays["cells"], body["pomdp"]),
                lam=body["lambda"],
                features=FeatureSet(body["features"]),
                layers=layers,
                provenance=body["provenance"],
                table_hash=artefact.content_hash,
            )
        except (KeyError, TypeError, ValueError, InputError) as error:
            raise ArtefactError(directory, f"{error}", remedy="train the policy again") from error
        _check_layers(directory, policy)
        return policy


def _check_layers(directory: Path, policy: LearnedPolicy) -> None:
    if policy.features.of_a_sequence:
        raise ArtefactError(directory, "it wants whole sequences", remedy="name a policy that `trim train agg` wrote")
    width = policy.features.width
    for weights, biases in policy.layers:
        if weights.ndim != 2 or len(weights) != width or biases.shape != weights.shape[1:]:
            found = f"{weights.shape} after {width} numbers"
            raise ArtefactError(directory, f"its layers do not fit together: {found}", remedy="train the policy again")
        width = weights.shape[1]
    if width != 1 or not all(np.isfinite(array).all() for layer in policy.layers for array in layer):
        raise ArtefactError(directory, "its layers give no logit", remedy="train the policy again")
