"""A routing POMDP on disk, without any policy: small enough to be shipped, and solved in no time."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kde.artefact import ArtefactKind, read_artefact, write_artefact
from planner.pomdp import RoutingPOMDP

PROBLEM = ArtefactKind("problem", schema_version=1)


def write_problem(directory: Path, pomdp: RoutingPOMDP, provenance: Mapping[str, Any]) -> str:
    """Write a problem and return its content hash."""
    body = {"pomdp": pomdp.description(), "provenance": dict(provenance)}
    return write_artefact(directory, PROBLEM, {"cells": pomdp.cells}, body)


def read_problem(directory: Path) -> tuple[RoutingPOMDP, str]:
    """A problem and its content hash.

    Raises:
        ArtefactError: its files are damaged.
    """
    artefact = read_artefact(directory, PROBLEM)
    return RoutingPOMDP.described(artefact.arrays["cells"], artefact.body["pomdp"]), artefact.content_hash
