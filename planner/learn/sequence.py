"""TRIM-Seq on disk: a trained transformer with all that it needs to read a trace."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from kde.artefact import ArtefactKind, read_artefact, write_artefact
from kde.errors import ArtefactError, InputError
from planner.learn.network import CausalTransformer
from planner.learn.settings import Learner, Preset, TrainingSettings
from planner.pomdp import RoutingPOMDP

if TYPE_CHECKING:
    from planner.learn.training import Training

SEQUENCE = ArtefactKind("sequence", schema_version=2)


@dataclass(frozen=True, slots=True)
class SequenceArtefact:
    """A trained transformer.

    Attributes:
        pomdp: what it was trained on.
        lam: lambda, the price it was trained for.
        settings: width, layers and heads, and how it was trained.
        network: the transformer.
        provenance: where it comes from (JSON values).
        content_hash: hex SHA-256 of the saved artefact; empty for one that was never saved.
    """

    pomdp: RoutingPOMDP
    lam: float
    settings: TrainingSettings
    network: CausalTransformer
    provenance: dict[str, Any]
    content_hash: str = ""

    @classmethod
    def of(cls, training: "Training", network: CausalTransformer, provenance: dict[str, Any]) -> Self:
        """Of a finished run."""
        return cls(training.pomdp, training.lam, training.settings, network, provenance)

    def save(self, directory: Path) -> str:
        """Write `sequence.safetensors` and `sequence.json`; return the content hash."""
        arrays: dict[str, NDArray[Any]] = {"cells": self.pomdp.cells}
        for name, parameter in self.network.named_parameters():
            arrays[f"parameter:{name}"] = parameter.detach().numpy()
        body = {
            "lambda": self.lam,
            "settings": self.settings.model_dump(mode="json"),
            "pomdp": self.pomdp.description(),
            "provenance": self.provenance,
        }
        return write_artefact(directory, SEQUENCE, arrays, body)

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Check and read a saved transformer.

        Raises:
            ArtefactError: it is missing, truncated, edited or of another schema, or its arrays do not fit its settings.
        """
        artefact = read_artefact(directory, SEQUENCE)
        body, arrays = artefact.body, artefact.arrays
        try:
            settings = TrainingSettings.of(Preset.DEFAULT, Learner.SEQ, body["settings"])
            pomdp = RoutingPOMDP.described(arrays["cells"], body["pomdp"])
            network = CausalTransformer(settings, pomdp.max_steps, torch.Generator())
            saved = {
                name: torch.from_numpy(np.array(arrays[f"parameter:{name}"]))
                for name in dict(network.named_parameters())
            }
            network.load_state_dict(saved)
            return cls(pomdp, body["lambda"], settings, network, body["provenance"], artefact.content_hash)
        except (KeyError, RuntimeError, InputError) as error:
            raise ArtefactError(directory, str(error), remedy="train it again") from error
