"""Building a policy table lambda by lambda: what is solved is kept, so that a build that is killed goes on where it was.

Solved lambdas wait in `.NAME.building-KEY` beside the table. KEY is a hash of everything that a solution depends on, so parts of another
POMDP, solver or version are never taken up. The table is written once, at the end, and the parts are removed.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from kde.artefact import TOOL, ArtefactKind, read_artefact, write_artefact
from planner.exact import check_lambdas
from planner.exclusive import exclusive
from planner.pomdp import RoutingPOMDP
from planner.table import RESOLUTION, PolicyEntry, PolicyTable, Solved, surface, table_of

_PART = ArtefactKind("part", schema_version=1)


class Solver(Protocol):
    """Anything that solves a routing POMDP for several lambdas."""

    @property
    def name(self) -> str:
        """Its name in provenance."""

    @property
    def parameters(self) -> dict[str, Any]:
        """Everything but the POMDP and lambda that its results depend on (JSON values)."""

    def solve(self, pomdp: RoutingPOMDP, lambdas: Sequence[float]) -> Iterator[Solved]:
        """Solutions as they are found, in any order."""


@dataclass(frozen=True, slots=True)
class Build:
    """One table to be built.

    Attributes:
        pomdp: what to solve.
        lambdas: prices; doubles count once.
        solver: how to solve it.
        resolution: of the belief lattice.
        inputs: files behind the POMDP as provenance has them (name and SHA-256 by role).
    """

    pomdp: RoutingPOMDP
    lambdas: Sequence[float]
    solver: Solver
    resolution: int = RESOLUTION
    inputs: dict[str, Any] = field(default_factory=dict)

    def run(self, out: Path, *, on_solved: Callable[[PolicyEntry], None] = lambda _: None) -> PolicyTable:
        """Solve what is not solved yet, write the table to `out` and read it back; `on_solved` hears of every lambda.

        Raises:
            InputError: the solver refuses its input, or another build writes the same table.
        """
        check_lambdas(self.lambdas)
        lambdas = sorted(set(self.lambdas))
        out = out.resolve()
        parts = out.parent / f".{out.name}.building-{self._key()}"
        with exclusive(parts, what="another build of the same table"):
            surfaces: dict[PolicyEntry, NDArray[np.float32]] = {}
            for entry, counts in self._solutions(parts, lambdas):
                surfaces[entry] = counts
                on_solved(entry)
            table = table_of(self.pomdp, surfaces, resolution=self.resolution, provenance=self._provenance())
            table.save(out)
            shutil.rmtree(parts)
        return PolicyTable.load(out)

    def _solutions(self, parts: Path, lambdas: Sequence[float]) -> Iterator[tuple[PolicyEntry, NDArray[np.float32]]]:
        places = {lam: parts / repr(lam) for lam in lambdas}
        missing = [lam for lam, place in places.items() if not (place / f"{_PART.name}.json").exists()]
        for lam in lambdas:
            if lam not in missing:
                yield _read_part(places[lam])
        for solved in self.solver.solve(self.pomdp, missing) if missing else ():
            entry, counts = PolicyEntry.of(solved), surface(solved, self.resolution)
            _write_part(places[solved.lam], entry, counts)
            yield entry, counts

    def _provenance(self) -> dict[str, Any]:
        parameters = {"solver": self.solver.name, **self.solver.parameters}
        return {"tool": TOOL, "inputs": self.inputs, "parameters": parameters}

    def _key(self) -> str:
        settled = [self.pomdp.to_json(), self._provenance(), self.resolution]
        return hashlib.sha256(json.dumps(settled, sort_keys=True).encode()).hexdigest()[:16]


def _write_part(folder: Path, entry: PolicyEntry, counts: NDArray[np.float32]) -> None:
    body = {"lambda": entry.lam, "value": entry.value, "lower": entry.lower, "upper": entry.upper}
    write_artefact(folder, _PART, {"break_even": counts}, body)


def _read_part(folder: Path) -> tuple[PolicyEntry, NDArray[np.float32]]:
    artefact = read_artefact(folder, _PART)
    body = artefact.body
    entry = PolicyEntry(body["lambda"], body["value"], body["lower"], body["upper"])
    return entry, artefact.arrays["break_even"]
