"""The hard budget: at most B strong tokens a trace, spent where they gain most right answers.

What is left of the budget is seen, so it is one more coordinate of the exact reduction (DESIGN section 4): W_t(q, k), the probability of
a right answer after acting at step t with k whole buckets of tokens left, is solved by the same backward induction, without a price. A
rewrite takes its expected tokens, rounded up to buckets, so W errs on the low side only; nothing is rewritten that what is left does not
pay for. One solution serves every budget up to its largest: what is planned with is always what is left.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from kde.artefact import ArtefactKind, Fetch, read_artefact, write_artefact
from kde.errors import ArtefactError, InputError
from kde.filter import predict
from kde.mapped import map_file
from kde.samples import Array
from planner.backup import grid
from planner.batch import Counts
from planner.pomdp import RoutingPOMDP, Transitions, prefix_after_continue, prefix_after_regenerate

BUDGET = ArtefactKind("budget", schema_version=1)
LEVELS = 200
"""Default number of buckets."""
_GRID = 97
_MOST_LEVELS = 2000


@dataclass(frozen=True, slots=True)
class BudgetTable:
    """Values of what is left.

    Attributes:
        pomdp: what was solved.
        most: largest budget, in strong tokens.
        points: [n_q] ascending values of q from 0 to 1.
        after_continue: float32 [T, n_k, n_q], row t is W_t after `continue` (row 0: before the first step); n_k - 1 buckets make up `most`.
        after_regenerate: the same after `regenerate`; differs under `paper` transitions only.
        provenance: where it comes from (JSON values).
        content_hash: hex SHA-256 of the saved artefact; empty for a table that was never saved.
    """

    pomdp: RoutingPOMDP
    most: float
    points: Array
    after_continue: NDArray[np.float32]
    after_regenerate: NDArray[np.float32]
    provenance: dict[str, Any] = field(default_factory=dict)
    content_hash: str = ""

    @property
    def bucket(self) -> float:
        """Tokens of one bucket."""
        return float(self.most / (self.after_continue.shape[1] - 1))

    def value(self, budget: float) -> float:
        """Probability of a right answer with this budget, at least, before the first proposal."""
        return float(self.after_continue[0, int(budget / self.bucket), -1])

    def worth(self, step: Counts, left: Array, q: Array, *, regenerated: bool) -> Array:
        """W_t(q, what is left) after acting at non-final steps: [n].

        Args:
            step: [n] t.
            left: [n] strong tokens left, 0 to `most`.
            q: [n] probability that the accepted prefix is right.
            regenerated: which action it was.
        """
        values = self.after_regenerate if regenerated else self.after_continue
        rows = values[step, (left / self.bucket).astype(np.intp)]
        place = np.searchsorted(self.points[1:-1], q, side="right")
        share = (q - self.points[place]) / np.diff(self.points)[place]
        at = np.arange(len(q))
        low, high = rows[at, place].astype(np.float64), rows[at, place + 1].astype(np.float64)
        return np.asarray(low + share * (high - low), dtype=np.float64)

    def save(self, directory: Path) -> str:
        """Write `budget.safetensors` and `budget.json`; return the content hash."""
        body = {"most": self.most, "pomdp": self.pomdp.description(), "provenance": self.provenance}
        arrays: dict[str, NDArray[Any]] = {
            "points": self.points,
            "after_continue": self.after_continue,
            "after_regenerate": self.after_regenerate,
            "cells": self.pomdp.cells,
        }
        return write_artefact(directory, BUDGET, arrays, body)

    @classmethod
    def load(cls, directory: Path, *, fetch: Fetch = map_file) -> Self:
        """Check a saved table and map it into memory, or fetch it otherwise.

        Raises:
            ArtefactError: it is missing, truncated, edited or of another schema, or its arrays do not fit together.
        """
        artefact = read_artefact(directory, BUDGET, fetch=fetch)
        body, arrays = artefact.body, artefact.arrays
        try:
            table = cls(
                pomdp=RoutingPOMDP.described(arrays["cells"], body["pomdp"]),
                most=body["most"],
                points=arrays["points"],
                after_continue=arrays["after_continue"],
                after_regenerate=arrays["after_regenerate"],
                provenance=body["provenance"],
                content_hash=artefact.content_hash,
            )
        except (KeyError, InputError) as error:
            raise ArtefactError(directory, f"{error}", remedy="build the budget again") from error
        shape = table.after_continue.shape
        if shape != table.after_regenerate.shape or shape[::2] != (table.pomdp.max_steps, len(table.points)):
            raise ArtefactError(directory, f"its values {shape} do not fit its steps and grid", remedy="build it again")
        return table


def solve_budget(
    pomdp: RoutingPOMDP, most: float, *, levels: int = LEVELS, provenance: dict[str, Any] | None = None
) -> BudgetTable:
    """Solve for every budget up to `most` strong tokens, in `levels` buckets.

    Raises:
        InputError: the budget is not positive, or the levels are out of range.
    """
    if not 0 < most < np.inf:
        raise InputError("budget", field="most", value=most, remedy="a positive number of strong tokens a trace")
    if not 1 <= levels <= _MOST_LEVELS:
        raise InputError("budget", field="levels", value=levels, remedy=f"1 to {_MOST_LEVELS} buckets")
    points = grid(_GRID)
    kept = repaired = np.broadcast_to(points, (levels + 1, _GRID))
    rows = []
    taken = _buckets(pomdp, most / levels)
    for step in range(pomdp.max_steps, 0, -1):
        after = (kept, repaired)
        kept = repaired = _before(pomdp, step, points, after, taken, regenerated=False)
        if pomdp.transitions is Transitions.PAPER:
            repaired = _before(pomdp, step, points, after, taken, regenerated=True)
        rows.append((kept, repaired))
    after_continue, after_regenerate = (np.stack(column[::-1]).astype(np.float32) for column in zip(*rows, strict=True))
    return BudgetTable(pomdp, most, points, after_continue, after_regenerate, provenance or {})


def _buckets(pomdp: RoutingPOMDP, bucket: float) -> list[tuple[float, int]]:
    """Probability of each token bin, and the buckets that rewriting such a step takes."""
    tokens = pomdp.tokens
    taken = [int(np.ceil(tokens.expected_strong(count) / bucket)) for count in tokens.counts]
    return list(zip(tokens.weights, taken, strict=True))


def _before(
    pomdp: RoutingPOMDP,
    step: int,
    points: Array,
    after: tuple[Array, Array],
    taken: list[tuple[float, int]],
    *,
    regenerated: bool,
) -> Array:
    """Value before the proposal of a step is seen, [n_k, n_q], from the values after either action at it, both [n_k, n_q]."""
    as_drawn = pomdp.transitions is Transitions.TWO_STAGE or not regenerated
    p_weak = float(pomdp.weak_by_step[step - 1]) if as_drawn else 1.0
    hazard = float(pomdp.hazard[step - 1])
    cells = pomdp.observation_cells().reshape(3, -1)
    cells = cells[:, cells.any(axis=0)]
    joint = predict(points, p_weak)[:, None, :] * cells.T
    evidence = joint.sum(axis=-1)
    belief = np.divide(joint, evidence[..., None], out=np.zeros_like(joint), where=evidence[..., None] > 0)
    stay = prefix_after_continue(belief)
    mended = prefix_after_regenerate(belief, float(pomdp.strong_by_step[step - 1]))
    value = np.empty((len(after[0]), len(points)))
    going_on = [[np.interp(q, points, row) for row in rows] for q, rows in zip((stay, mended), after, strict=True)]
    for level in range(len(value)):
        best = np.zeros_like(evidence)
        for weight, buckets in taken:
            final, on = stay, going_on[0][level]
            if buckets <= level:
                final, on = np.maximum(final, mended), np.maximum(on, going_on[1][level - buckets])
            best += weight * (hazard * final + (1 - hazard) * on)
        value[level] = (evidence * best).sum(axis=1)
    return value
