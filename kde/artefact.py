"""Saved artefacts: one directory, `NAME.safetensors` for the arrays and `NAME.json` beside it for everything else.

The JSON carries the schema version, the SHA-256 of the array file and a content hash over both; `read_artefact` checks all three
before it hands anything on. Nothing in an artefact depends on the clock or on absolute paths, so the same inputs give the same bytes.
"""

import fcntl
import hashlib
import json
import mmap
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from kde.errors import ArtefactError
from kde.mapped import view_arrays

TOOL = f"trim-routing {version('trim-routing')}"


@dataclass(frozen=True, slots=True)
class ArtefactKind:
    """What an artefact is: the stem of its two files and the newest schema this version reads and writes."""

    name: str
    schema_version: int


@dataclass(frozen=True, slots=True)
class Artefact:
    """A checked artefact: read-only arrays by name, mapped from the file, the JSON body without the envelope, and its content hash."""

    arrays: dict[str, NDArray[Any]]
    body: dict[str, Any]
    content_hash: str


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def provenance(inputs: Mapping[str, Path], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Where an artefact comes from: name and SHA-256 of every input file, the parameters, and this tool's version."""
    files = {role: {"file": path.name, "sha256": sha256_file(path)} for role, path in inputs.items()}
    return {"tool": TOOL, "inputs": files, "parameters": dict(parameters)}


def write_artefact(
    directory: Path, kind: ArtefactKind, arrays: Mapping[str, NDArray[Any]], body: Mapping[str, Any]
) -> str:
    """Write an artefact and return its content hash.

    Each file is replaced atomically, the JSON last: a write that is killed between the two leaves an artefact that is refused, never a
    wrong one. Two writers take turns.
    """
    directory.mkdir(parents=True, exist_ok=True)
    packed = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
    envelope = {
        "kind": kind.name,
        "schema_version": kind.schema_version,
        "arrays_sha256": hashlib.sha256(packed).hexdigest(),
    }
    document = {**envelope, **body}
    document["content_hash"] = _content_hash(document)
    written = (json.dumps(document, indent=2, allow_nan=False) + "\n").encode()
    with _one_writer(directory):
        replace_file(directory / f"{kind.name}.safetensors", packed)
        replace_file(directory / f"{kind.name}.json", written)
    return str(document["content_hash"])


Fetch = Callable[[Path], bytes | mmap.mmap]
"""How the bytes of the array file come into memory: `Path.read_bytes` copies them, `kde.mapped.map_file` maps the file."""


def read_artefact(directory: Path, kind: ArtefactKind, *, fetch: Fetch = Path.read_bytes) -> Artefact:
    """Read and check an artefact.

    Args:
        directory: where it is.
        kind: what it must be.
        fetch: how its arrays come into memory; those of a mapped file must not be overwritten in place while they are used.

    Raises:
        ArtefactError: it is missing, truncated, edited, of another kind or of a newer schema.
    """
    document = _read_json(directory / f"{kind.name}.json", kind)
    _check_envelope(directory / f"{kind.name}.json", document, kind)
    packed = _fetch(directory / f"{kind.name}.safetensors", kind, fetch)
    if hashlib.sha256(packed).hexdigest() != document["arrays_sha256"]:
        raise ArtefactError(
            directory / f"{kind.name}.safetensors",
            "its SHA-256 is not the one in the JSON beside it (truncated or edited)",
            remedy=f"write the {kind.name} again",
        )
    try:
        arrays = view_arrays(packed)
    except ValueError as error:
        raise ArtefactError(directory, f"cannot be parsed ({error})", remedy=f"write the {kind.name} again") from error
    content_hash = document.pop("content_hash")
    for key in ("kind", "schema_version", "arrays_sha256"):
        del document[key]
    return Artefact(arrays=arrays, body=document, content_hash=content_hash)


def replace_file(path: Path, content: bytes) -> None:
    """Replace a file's content atomically and durably: readers see the old bytes or the new ones."""
    staged = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with staged.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        staged.replace(path)
    finally:
        staged.unlink(missing_ok=True)


@contextmanager
def _one_writer(directory: Path) -> Iterator[None]:
    """Two writers of one directory take turns, so that the two files that are there in the end belong together."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _content_hash(document: Mapping[str, Any]) -> str:
    canonical = json.dumps(
        {k: v for k, v in document.items() if k != "content_hash"}, sort_keys=True, separators=(",", ":")
    )
    return hashlib.sha256(canonical.encode()).hexdigest()


def _fetch(path: Path, kind: ArtefactKind, fetch: Fetch) -> bytes | mmap.mmap:
    try:
        return fetch(path)
    except OSError as error:
        raise ArtefactError(
            path, f"cannot be read ({error.strerror})", remedy=f"name a directory that holds a {kind.name}"
        ) from error


def _read_json(path: Path, kind: ArtefactKind) -> dict[str, Any]:
    try:
        document = json.loads(bytes(_fetch(path, kind, Path.read_bytes)))
    except (ValueError, RecursionError) as error:
        raise ArtefactError(path, f"is not JSON ({error})", remedy=f"write the {kind.name} again") from error
    if not isinstance(document, dict):
        raise ArtefactError(path, "is not a JSON object", remedy=f"write the {kind.name} again")
    return document


def _check_envelope(path: Path, document: Mapping[str, Any], kind: ArtefactKind) -> None:
    if document.get("kind") != kind.name:
        raise ArtefactError(
            path, f"kind is {document.get('kind')!r}", remedy=f"name a directory that holds a {kind.name}"
        )
    if document.get("schema_version") != kind.schema_version:
        raise ArtefactError(
            path,
            f"schema_version is {document.get('schema_version')!r}, this version reads {kind.schema_version}",
            remedy="upgrade trim-routing or write it again",
        )
    if document.get("content_hash") != _content_hash(document):
        raise ArtefactError(
            path, "content_hash does not match its content (truncated or edited)", remedy=f"write the {kind.name} again"
        )
