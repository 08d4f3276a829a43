"""The policy table: break-even token counts by lambda, step, final flag and belief, on disk and in memory.

Beliefs lie on a regular lattice of the triangle (`planner.lattice`). Between nodes the break-even count is interpolated linearly;
final-step counts are linear in the belief, so they lose nothing by it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from kde.artefact import ArtefactKind, Fetch, read_artefact, write_artefact
from kde.errors import ArtefactError, InputError
from kde.mapped import map_file
from kde.samples import Array
from planner.decision import Belief, UnknownPolicyError
from planner.lattice import lattice, node_count
from planner.pomdp import RoutingPOMDP

TABLE = ArtefactKind("table", schema_version=2)
RESOLUTION = 40
"""Default lattice: beliefs in steps of 0.025, as in the paper."""


class Solved(Protocol):
    """What a solver gives for one lambda, whichever solver it is."""

    @property
    def lam(self) -> float:
        """The price of one strong token."""

    @property
    def value(self) -> float:
        """V_0."""

    @property
    def lower(self) -> float:
        """Lower bound on V_0."""

    @property
    def upper(self) -> float:
        """Upper bound on V_0."""

    def break_even_tokens(self, belief: Array) -> Array:
        """n*(t, f, b) at beliefs [..., 3], shape [T, 2, ...]."""


@dataclass(frozen=True, slots=True)
class PolicyEntry:
    """One lambda of a table: V_0 and its certificate."""

    lam: float
    value: float
    lower: float
    upper: float

    @classmethod
    def of(cls, solved: Solved) -> Self:
        """Of a solution."""
        return cls(solved.lam, solved.value, solved.lower, solved.upper)

    @property
    def gap(self) -> float:
        """Upper minus lower bound on V_0."""
        return self.upper - self.lower


@dataclass(frozen=True, slots=True)
class PolicyTable:
    """Policies for several lambdas of one routing POMDP; all that a planner needs to decide, and to check what it decides.

    Attributes:
        pomdp: what was solved.
        entries: one a lambda, ascending.
        break_even: float32 [n_lambda, T, 2, n_nodes]; axis 2 is non-final, final.
        resolution: n, lattice steps along an edge of the triangle.
        provenance: where it comes from (JSON values).
        content_hash: hex SHA-256 of the saved artefact; empty for a table that was never saved.
    """

    pomdp: RoutingPOMDP
    entries: tuple[PolicyEntry, ...]
    break_even: NDArray[np.float32]
    resolution: int
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

        Linear on the lattice triangle that holds the belief. Plain numbers: this is the hot path (its array twin is
        `planner.lattice.interpolate`).
        """
        n = self.resolution
        t, f, at = min(step, self.break_even.shape[1]) - 1, int(final), self.break_even.item
        x, y = belief[0] * n, belief[1] * n
        i = min(int(x), n - 1)
        j = min(int(y), n - 1 - i)
        fx, fy = x - i, y - j
        here = i * (2 * n + 3 - i) // 2 + j
        down = here + n + 1 - i  # node (i + 1, j)
        if fx + fy <= 1 or i + j == n - 1:
            return (1 - fx - fy) * at(index, t, f, here) + fx * at(index, t, f, down) + fy * at(index, t, f, here + 1)
        beyond = at(index, t, f, down + 1)
        return (fx + fy - 1) * beyond + (1 - fy) * at(index, t, f, down) + (1 - fx) * at(index, t, f, here + 1)

    def save(self, directory: Path) -> str:
        """Write `table.safetensors` and `table.json`; return the content hash."""
        policies = [
            {"lambda": e.lam, "value": e.value, "lower": e.lower, "upper": e.upper, "gap": e.gap} for e in self.entries
        ]
        body = {
            "policies": policies,
            "resolution": self.resolution,
            "pomdp": self.pomdp.description(),
            "provenance": self.provenance,
        }
        return write_artefact(directory, TABLE, {"break_even": self.break_even, "cells": self.pomdp.cells}, body)

    @classmethod
    def load(cls, directory: Path, *, fetch: Fetch = map_file) -> Self:
        """Check a saved table and map it into memory, or fetch it otherwise.

        Raises:
            ArtefactError: it is missing, truncated, edited or of another schema, or its arrays do not fit together.
        """
        artefact = read_artefact(directory, TABLE, fetch=fetch)
        body, arrays = artefact.body, artefact.arrays
        try:
            table = cls(
                pomdp=RoutingPOMDP.described(arrays["cells"], body["pomdp"]),
                entries=tuple(PolicyEntry(p["lambda"], p["value"], p["lower"], p["upper"]) for p in body["policies"]),
                break_even=arrays["break_even"],
                resolution=body["resolution"],
                provenance=body["provenance"],
                content_hash=artefact.content_hash,
            )
        except KeyError as error:
            raise ArtefactError(directory, f"{error} is missing", remedy="build the table again") from error
        except InputError as error:
            raise ArtefactError(directory, str(error), remedy="build the table again") from error
        expected = (len(table.entries), table.pomdp.max_steps, 2, node_count(table.resolution))
        if table.break_even.shape != expected or not np.isfinite(table.break_even).all():
            raise ArtefactError(
                directory,
                f"break_even {table.break_even.shape} does not fit its policies, steps and lattice {expected}",
                remedy="build the table again",
            )
        return table


def surface(solved: Solved, resolution: int) -> NDArray[np.float32]:
    """Break-even counts of one solution at the lattice's beliefs, float32 [T, 2, n_nodes].

    Raises:
        InputError: lambda is so small that they are beyond float32.
    """
    counts = solved.break_even_tokens(lattice(resolution))
    if not (abs(counts) <= np.finfo(np.float32).max).all():
        raise InputError("policy table", field="lambda", value=solved.lam, remedy="it is too small to mean anything")
    return counts.astype(np.float32)


def tabulate(
    pomdp: RoutingPOMDP,
    solutions: Sequence[Solved],
    *,
    resolution: int = RESOLUTION,
    provenance: dict[str, Any] | None = None,
) -> PolicyTable:
    """Read the solutions of one POMDP off at the lattice's beliefs.

    Raises:
        InputError: a lambda is so small that its break-even counts are beyond float32.
    """
    surfaces = {PolicyEntry.of(solution): surface(solution, resolution) for solution in solutions}
    return table_of(pomdp, surfaces, resolution=resolution, provenance=provenance or {})


def table_of(
    pomdp: RoutingPOMDP,
    surfaces: Mapping[PolicyEntry, NDArray[np.float32]],
    *,
    resolution: int,
    provenance: dict[str, Any],
) -> PolicyTable:
    """The table of these policies, ascending in lambda; each surface is [T, 2, n_nodes]."""
    entries = sorted(surfaces, key=lambda entry: entry.lam)
    return PolicyTable(
        pomdp=pomdp,
        entries=tuple(entries),
        break_even=np.stack([surfaces[entry] for entry in entries]),
        resolution=resolution,
        provenance=provenance,
    )
