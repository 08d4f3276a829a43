"""The hand-over between the planner and a worker: one folder a solve, arrays as safetensors, everything else as JSON.

The planner writes `model.*` (arrays, and the job in its body), the worker `policy.*` (alpha-vectors, actions and bounds); what the worker
prints goes to `worker.log`. Both artefacts carry hashes, and the policy names the model that it belongs to.
"""

from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from kde.artefact import ArtefactKind, read_artefact, write_artefact
from kde.errors import ArtefactError
from kde.samples import Array
from planner.explicit import ACTIONS, ExplicitPOMDP

MODEL = ArtefactKind("model", schema_version=1)
POLICY = ArtefactKind("policy", schema_version=1)
LOG = "worker.log"
NO_JULIA = 3
"""Exit status of a worker that finds no Julia."""

_SLACK = 1e-9


class Program(StrEnum):
    """Which SARSOP."""

    NATIVE = "native"
    """NativeSARSOP, all in Julia (MIT)."""
    APPL = "appl"
    """SARSOP.jl, which runs the APPL program (GPL-2)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When a solve ends.

    Attributes:
        program: which SARSOP.
        precision: it ends when its bounds are this close (absolute, in units of reward).
        max_steps: or after so many iterations (NativeSARSOP after 0.1.3).
        max_time: or after so many seconds; generous, because a policy that the clock has cut depends on the machine's load.
    """

    program: Program = Program.NATIVE
    precision: float = 1e-3
    max_steps: int = 100_000
    max_time: float = 600.0


@dataclass(frozen=True, slots=True)
class AlphaVectors:
    """A policy as SARSOP gives it.

    Attributes:
        alphas: [n_alphas, n_states].
        actions: [n_alphas] 0 for `continue`, 1 for `regenerate`.
        lower, upper: bounds on the value at the initial belief.
    """

    alphas: Array
    actions: NDArray[np.int64]
    lower: float
    upper: float

    def action(self, belief: Array) -> str:
        """Action of the best alpha-vector at a belief over all states, [n_states]."""
        return ACTIONS[int(self.actions[int(np.argmax(self.alphas @ belief))])]


@dataclass(frozen=True, slots=True)
class Job:
    """One solve as the worker reads it."""

    arrays: dict[str, Array]
    discount: float
    limits: Limits
    model_hash: str

    @staticmethod
    def write(folder: Path, model: ExplicitPOMDP, limits: Limits) -> str:
        """Put a solve into its folder; return the hash of the model."""
        body = {"discount": model.discount, "limits": asdict(limits)}
        return write_artefact(folder, MODEL, model.arrays(), body)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Take it up.

        Raises:
            ArtefactError: it is missing or damaged.
        """
        artefact = read_artefact(folder, MODEL)
        given: dict[str, Any] = artefact.body["limits"]
        limits = Limits(**given | {"program": Program(given["program"])})
        return cls(artefact.arrays, artefact.body["discount"], limits, artefact.content_hash)


def write_policy(folder: Path, policy: AlphaVectors, *, model_hash: str) -> None:
    """Put the answer into the folder."""
    body = {"lower": policy.lower, "upper": policy.upper, "model_hash": model_hash}
    write_artefact(folder, POLICY, {"alphas": policy.alphas, "actions": policy.actions}, body)


def read_policy(folder: Path, *, model_hash: str, n_states: int) -> AlphaVectors:
    """Read and check the answer.

    Raises:
        ArtefactError: it is missing, damaged, of another model, or is not a policy with bounds.
    """
    artefact = read_artefact(folder, POLICY)
    arrays, body = artefact.arrays, artefact.body
    try:
        policy = AlphaVectors(arrays["alphas"], arrays["actions"], float(body["lower"]), float(body["upper"]))
        same_model = body["model_hash"] == model_hash
    except (KeyError, TypeError, ValueError) as error:
        raise ArtefactError(folder, f"the worker's answer lacks {error}", remedy=f"see {LOG}") from error
    shape = policy.alphas.shape
    if (
        not same_model
        or len(shape) != 2
        or (shape[1], policy.actions.shape) != (n_states, (shape[0],))
        or not np.isfinite(policy.alphas).all()
        or not np.isin(policy.actions, range(len(ACTIONS))).all()
        or not policy.lower <= policy.upper + _SLACK
    ):
        raise ArtefactError(folder, "the worker's answer is not a policy of this model", remedy=f"see {LOG}")
    return policy
