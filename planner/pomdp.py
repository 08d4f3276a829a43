"""The routing POMDP (DESIGN sections 2 and 3): one validated, frozen description, from and to JSON.

The price lambda is not part of it: one description is solved for many prices at once, and `planner.explicit` joins it with one of them.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict, ValidationError

from kde.dynamics import Dynamics
from kde.errors import InputError
from kde.filter import BAYES, BeliefFilter, predict
from kde.hazard import check_hazard
from kde.samples import Array
from kde.tokens import TokenModel

StepProbability = float | tuple[float, ...]
"""One probability for every step, or one a step."""

_SUM_TOLERANCE = 1e-6


class Transitions(StrEnum):
    """What follows on a decision that is not the last."""

    TWO_STAGE = "two_stage"
    """M_w draws the next step from the accepted prefix, whoever wrote that."""
    PAPER = "paper"
    """After `regenerate` the next step adds no error of its own: the next class is S0 or S1 (the paper's literal table)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingPOMDP:
    """Stepwise routing of one trace.

    Attributes:
        cells: [3, n_m, n_r] observation probabilities by class, each class summing to 1.
        p_weak: p_w, probability that M_w's step is right given a right prefix, in (0, 1), for all steps or by step.
        p_strong: p_s, the same for M_s.
        hazard: [T], entry t - 1 is h_t, the probability that step t ends the answer; the last is 1.
        tokens: lengths of M_w's proposals (bins with weights), and what M_s's step in their place is expected to cost.
        transitions: what follows on a decision.
        filter: belief filter that the policy runs with; its observation function is the one that is planned with.

    Raises:
        InputError: a field has the wrong shape or is out of range.
    """

    cells: Array
    p_weak: StepProbability
    p_strong: StepProbability
    hazard: Array
    tokens: TokenModel
    transitions: Transitions = Transitions.TWO_STAGE
    filter: BeliefFilter = BAYES

    def __post_init__(self) -> None:
        check_hazard(self.hazard, source="POMDP")
        for name in ("p_weak", "p_strong"):
            _check_probability(name, getattr(self, name), steps=self.max_steps)
        if self.cells.ndim != 3 or len(self.cells) != 3 or not (self.cells >= 0).all():
            raise InputError("POMDP", field="cells", value=self.cells.shape, remedy="[3, n_m, n_r] probabilities")
        sums = self.cells.sum(axis=(1, 2))
        if (abs(sums - 1) > _SUM_TOLERANCE).any():
            raise InputError("POMDP", field="cells", value=sums.tolist(), remedy="the cells of each class sum to 1")

    @classmethod
    def assemble(cls, cells: Array, dynamics: Dynamics, *, belief_filter: BeliefFilter = BAYES) -> Self:
        """From an observation model's cells and the dynamics of a pair of generators."""
        hazard = np.array(dynamics.hazard)
        return cls(
            cells=cells,
            p_weak=dynamics.p_weak,
            p_strong=dynamics.p_strong,
            hazard=hazard,
            tokens=dynamics.tokens,
            filter=belief_filter,
        )

    @property
    def max_steps(self) -> int:
        """T, the step limit."""
        return len(self.hazard)

    @property
    def weak_by_step(self) -> Array:
        """p_w by step, [T]."""
        return np.broadcast_to(np.asarray(self.p_weak, dtype=np.float64), self.max_steps)

    @property
    def strong_by_step(self) -> Array:
        """p_s by step, [T]."""
        return np.broadcast_to(np.asarray(self.p_strong, dtype=np.float64), self.max_steps)

    def observation_cells(self) -> Array:
        """Observation function that the filter reads scores through, [3, n_m, n_r]."""
        return self.filter.observation_cells(self.cells)

    def coarser(self, factor: int) -> Self:
        """The same problem seen through square blocks of factor x factor cells.

        Raises:
            InputError: the cells do not make up whole blocks.
        """
        _, n_m, n_r = self.cells.shape
        if factor < 1 or n_m % factor or n_r % factor:
            raise InputError("POMDP", field="factor", value=factor, remedy=f"a divisor of {n_m} and {n_r} cells")
        blocks = self.cells.reshape(3, n_m // factor, factor, n_r // factor, factor)
        return replace(self, cells=blocks.sum(axis=(2, 4)))

    def next_classes(self, q: ArrayLike, step: int, *, regenerated: bool) -> Array:
        """Class probabilities of the proposal of step `step` after an accepted prefix that is right with q: [..., 3].

        Args:
            q: any shape.
            step: t, 1-based.
            regenerated: whether M_s wrote the step before.
        """
        as_drawn = self.transitions is Transitions.TWO_STAGE or not regenerated
        return predict(q, self.weak_by_step[step - 1] if as_drawn else 1.0)

    def description(self) -> dict[str, Any]:
        """Everything but the cells, as JSON values."""
        return {
            "max_steps": self.max_steps,
            "p_weak": self.p_weak,
            "p_strong": self.p_strong,
            "hazard": self.hazard.tolist(),
            "tokens": self.tokens.model_dump(mode="json"),
            "transitions": self.transitions.value,
            "filter": self.filter.model_dump(mode="json"),
        }

    @classmethod
    def described(cls, cells: Array, description: dict[str, Any], *, source: str | Path = "POMDP") -> Self:
        """The inverse of `description`.

        Raises:
            InputError: a field is missing, unknown or out of range.
        """
        try:
            read = _Description.model_validate(description)
        except ValidationError as error:
            raise InputError.of_validation(source, error) from error
        if len(read.hazard) != read.max_steps:
            remedy = f"max_steps is {read.max_steps}: one probability for each of them"
            raise InputError(source, field="hazard", value=f"{len(read.hazard)} steps long", remedy=remedy)
        fields = {name: getattr(read, name) for name in _Description.model_fields if name != "max_steps"}
        return cls(cells=cells, **fields | {"hazard": np.array(read.hazard)})

    def to_json(self) -> str:
        """One JSON object, cells included."""
        return _Document(cells=self.cells.tolist(), **self.description()).model_dump_json()

    @classmethod
    def from_json(cls, text: str | bytes, *, source: str | Path = "POMDP") -> Self:
        """The inverse of `to_json`.

        Raises:
            InputError: it is not JSON, a field is missing, unknown or out of range, or the cells are ragged.
        """
        try:
            read = _Document.model_validate_json(text)
            cells = np.array(read.cells, dtype=np.float64)
        except ValidationError as error:
            raise InputError.of_validation(source, error) from error
        except ValueError as error:
            raise InputError(source, field="cells", value="ragged", remedy="[3, n_m, n_r] probabilities") from error
        return cls.described(cells, read.model_dump(exclude={"cells"}), source=source)


class _Description(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    max_steps: int
    p_weak: StepProbability
    p_strong: StepProbability
    hazard: tuple[float, ...]
    tokens: TokenModel
    transitions: Transitions
    filter: BeliefFilter


class _Document(_Description):
    cells: list[list[list[float]]]


def _check_probability(name: str, value: StepProbability, *, steps: int) -> None:
    values = np.atleast_1d(value)
    if values.shape not in {(1,), (steps,)} or (isinstance(value, tuple) and len(value) != steps):
        raise InputError("POMDP", field=name, value=value, remedy=f"one probability, or one for each of {steps} steps")
    if not ((values > 0) & (values < 1)).all():
        raise InputError("POMDP", field=name, value=value, remedy="probabilities strictly between 0 and 1")


def check_lambda(lam: float, *, source: str, field: str = "lambda") -> None:
    """Accept a price of a strong token.

    Raises:
        InputError: it is not a positive number.
    """
    if not 0 < lam < np.inf:
        raise InputError(source, field=field, value=lam, remedy="a positive number (reward per strong token)")


def prefix_after_continue(belief: Array) -> Array:
    """Value of q after `continue`: the prefix is right iff the trace is in S0. Belief [..., 3] to [...]."""
    return belief[..., 0]


def prefix_after_regenerate(belief: Array, p_strong: float | Array) -> Array:
    """Value of q after `regenerate`: M_s repairs a right or a recoverable trace with p_s. Belief [..., 3] to [...]."""
    return np.asarray(p_strong * (belief[..., 0] + belief[..., 2]), dtype=np.float64)
