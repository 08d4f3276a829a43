"""The policy table: break-even token counts by lambda, step, final flag and belief, on disk and in memory.

Beliefs lie on a regular lattice of the triangle: node (i, j) has b(S0) = i / n and b(S1) = j / n with i + j <= n, stored row by row at
i (2 n + 3 - i) / 2 + j. Between nodes the break-even count is interpolated linearly; final-step counts are linear in the belief, so
they lose nothing by it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kde.artefact import ArtefactKind, read_artefact, write_artefact
from kde.errors import ArtefactError, InputError
from kde.samples import Array
from planner.decision import Belief, UnknownPolicyError
from planner.exact import Solution
from planner.pomdp import RoutingPOMDP

TABLE = ArtefactKind("table", schema_version=1)
RESOLUTION = 40
"""Default lattice: beliefs in steps of 0.025, as in the paper."""


@dataclass(frozen=True, slots=True)
class PolicyEntry:
    """One lambda of a table: V_0 and its certificate."""

    lam: float
    value: float
    lower: float
    upper: float

    @property
    def gap(self) -> float:
        """Upper minus lower bound on V_0."""
        return self.upper - self.lower


@dataclass(frozen=True, slots=True)
class PolicyTable:
    """Policies for several lambdas of one routing POMDP; all that a planner needs to decide.

    Attributes:
        entries: one a lambda, ascending.
        break_even: float32 [n_lambda, T, 2, n_nodes]; axis 2 is non-final, final.
        resolution: n, lattice steps along an edge of the triangle.
        cells: [3, n_m, n_r] observation probabilities by class.
        p_weak, p_strong: step accuracies.
        strong_intercept, strong_slope: E[strong tokens | c] = intercept + slope c.
        provenance: where it comes from (JSON values).
        content_hash: hex SHA-256 of the saved artefact; empty for a table that was never saved.
    """

    entries: tuple[PolicyEntry, ...]
    break_even: NDArray[np.float32]
    resolution: int
    cells: Array
    p_weak: float
    p_strong: float
    strong_intercept: float
    strong_slope: float
    provenance: dict[str, Any] = field(default_factory=dict)
    content_hash: str = ""

    def index(self, lam: float) -> int:
        """Place of a lambda in the table.

        Raises:
            UnknownPolicyError: the table was not built for it.
        """
        for index, entry in enumerate(self.entries):
            if entry.lam == lam:
                return index
        known = ", ".join(f"{entry.lam!r}" for entry in self.entries)
        raise UnknownPolicyError("policy table", field="lambda", value=lam, remedy=f"it was built for {known}")

    def lookup(self, index: int, step: int, belief: Belief, *, final: bool) -> float:
        """Break-even token count of policy `index` at a belief; a step beyond T is the last step.

        Linear on the lattice triangle that holds the belief.
        """
        n = self.resolution
        row = self.break_even[index, min(step, self.break_even.shape[1]) - 1, int(final)]
        x, y = belief[0] * n, belief[1] * n
        i = min(int(x), n - 1)
        j = min(int(y), n - 1 - i)
        fx, fy = x - i, y - j
        here = i * (2 * n + 3 - i) // 2 + j
        down = here + n + 1 - i  # node (i + 1, j)
        if fx + fy <= 1 or i + j == n - 1:
            return (1 - fx - fy) * float(row[here]) + fx * float(row[down]) + fy * float(row[here + 1])
        return (fx + fy - 1) * float(row[down + 1]) + (1 - fy) * float(row[down]) + (1 - fx) * float(row[here + 1])

    def save(self, directory: Path) -> str:
        """Write `table.safetensors` and `table.json`; return the content hash."""
        policies = [
            {"lambda": e.lam, "value": e.value, "lower": e.lower, "upper": e.upper, "gap": e.gap} for e in self.entries
        ]
        body = {
            "policies": policies,
            "resolution": self.resolution,
            "p_weak": self.p_weak,
            "p_strong": self.p_strong,
            "strong_tokens": {"intercept": self.strong_intercept, "slope": self.strong_slope},
            "provenance": self.provenance,
        }
        return write_artefact(directory, TABLE, {"break_even": self.break_even, "cells": self.cells}, body)

    @classmethod
    def load(cls, directory: Path) -> "PolicyTable":
        """Read and check a saved table.

        Raises:
            ArtefactError: it is missing, truncated, edited or of another schema, or its arrays do not fit together.
        """
        artefact = read_artefact(directory, TABLE)
        body, arrays = artefact.body, artefact.arrays
        try:
            table = cls(
                entries=tuple(PolicyEntry(p["lambda"], p["value"], p["lower"], p["upper"]) for p in body["policies"]),
                break_even=arrays["break_even"],
                resolution=body["resolution"],
                cells=arrays["cells"],
                p_weak=body["p_weak"],
                p_strong=body["p_strong"],
                strong_intercept=body["strong_tokens"]["intercept"],
                strong_slope=body["strong_tokens"]["slope"],
                provenance=body["provenance"],
                content_hash=artefact.content_hash,
            )
        except KeyError as error:
            raise ArtefactError(directory, f"{error} is missing", remedy="build the table again") from error
        nodes = (table.resolution + 1) * (table.resolution + 2) // 2
        shape = table.break_even.shape
        if (
            len(shape) != 4
            or (shape[0], shape[2], shape[3]) != (len(table.entries), 2, nodes)
            or not np.isfinite(table.break_even).all()
        ):
            raise ArtefactError(
                directory, f"break_even {shape} does not fit its policies and lattice", remedy="build the table again"
            )
        return table


def lattice(resolution: int) -> Array:
    """The lattice's beliefs in storage order, [n_nodes, 3]."""
    nodes = [(i, j, resolution - i - j) for i in range(resolution + 1) for j in range(resolution + 1 - i)]
    return np.array(nodes, dtype=np.float64) / resolution


def tabulate(
    pomdp: RoutingPOMDP,
    solutions: Sequence[Solution],
    *,
    resolution: int = RESOLUTION,
    provenance: dict[str, Any] | None = None,
) -> PolicyTable:
    """Read the solutions of one POMDP off at the lattice's beliefs.

    Raises:
        InputError: a lambda is so small that its break-even counts are beyond float32.
    """
    beliefs = lattice(resolution)
    ordered = sorted(solutions, key=lambda solution: solution.lam)
    surfaces = [solution.break_even_tokens(beliefs, pomdp.p_strong) for solution in ordered]
    for solution, surface in zip(ordered, surfaces, strict=True):
        if not (abs(surface) <= np.finfo(np.float32).max).all():
            raise InputError(
                "policy table", field="lambda", value=solution.lam, remedy="it is too small to mean anything"
            )
    return PolicyTable(
        entries=tuple(PolicyEntry(s.lam, s.value, s.lower, s.upper) for s in ordered),
        break_even=np.stack(surfaces).astype(np.float32),
        resolution=resolution,
        cells=pomdp.cells,
        p_weak=pomdp.p_weak,
        p_strong=pomdp.p_strong,
        strong_intercept=pomdp.tokens.strong_intercept,
        strong_slope=pomdp.tokens.strong_slope,
        provenance=provenance or {},
    )
