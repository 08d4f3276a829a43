"""What every query-level router is, and how one is kept."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from inference.baselines.encoder import SentenceEncoder
from inference.baselines.paired import PairedAnswers, Queries
from kde.artefact import Artefact, ArtefactKind, read_artefact, write_artefact
from kde.errors import InputError
from kde.samples import Array

ROUTER = ArtefactKind("query_router", 1)


class QueryRouter(Protocol):
    """Says of a question how much M_s is wanted for it; a question goes to M_s where that exceeds a threshold."""

    @property
    def kind(self) -> str:
        """Name of the method."""

    def strong_wins(self, queries: Queries) -> Array:
        """[n] estimated probability that M_s's answer is better than M_w's."""

    def state(self) -> tuple[Mapping[str, NDArray[Any]], Mapping[str, Any]]:
        """What has to be kept: arrays by name, and settings as JSON values."""


Train = Callable[[PairedAnswers, SentenceEncoder, int], QueryRouter]
"""Learns a router from answers; the same seed gives the same router."""


def save_router(router: QueryRouter, encoder: SentenceEncoder, directory: Path, provenance: Mapping[str, Any]) -> str:
    """Write a router and return its content hash."""
    arrays, settings = router.state()
    body = {"router": router.kind, "encoder": encoder.name, "settings": dict(settings), "provenance": dict(provenance)}
    return write_artefact(directory, ROUTER, arrays, body)


def read_state(directory: Path, encoder: SentenceEncoder) -> Artefact:
    """A kept router's state, checked.

    Raises:
        ArtefactError: it cannot be trusted.
        InputError: it was made with another encoder.
    """
    found = read_artefact(directory, ROUTER)
    if found.body.get("encoder") != encoder.name:
        remedy = f"this encoder is {encoder.name}: train the router again"
        raise InputError(directory, field="encoder", value=found.body.get("encoder"), remedy=remedy)
    return found
