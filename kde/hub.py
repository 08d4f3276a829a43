"""Labelled traces from a Hugging Face data set, through the `datasets` extra."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from kde.errors import InputError
from kde.records import read_records
from kde.traces import LabelledTrace

PREFIX = "hf:"
"""`hf:NAME:SPLIT` names a data set, such as `hf:Qwen/ProcessBench:math`."""


def read_labels(reference: str) -> list[LabelledTrace]:
    """Labelled traces of a local JSON or JSONL file, or of a data set.

    Raises:
        InputError: as `read_records` and `load_labelled`.
    """
    return load_labelled(reference) if reference.startswith(PREFIX) else read_records(Path(reference), LabelledTrace)


def data_set_digests(references: Sequence[str]) -> dict[str, str]:
    """SHA-256 over the rows of every data set among the references, for the provenance; local files have theirs."""
    digests = {}
    for reference in references:
        if reference.startswith(PREFIX):
            rows = "".join(trace.model_dump_json() for trace in load_labelled(reference))
            digests[reference] = hashlib.sha256(rows.encode()).hexdigest()
    return digests


def load_labelled(reference: str) -> list[LabelledTrace]:
    """The traces of a data set in ProcessBench's format.

    Raises:
        InputError: the reference has no split, the extra is not installed, the data set cannot be had, or a row is no labelled trace.
    """
    name, _, split = reference.removeprefix(PREFIX).rpartition(":")
    if not name:
        raise InputError("--labels", field="data set", value=reference, remedy="write hf:NAME:SPLIT")
    rows = data_set_rows(name, split, option="--labels", reference=reference)
    return [_trace(reference, index, row) for index, row in enumerate(rows)]


def data_set_rows(name: str, split: str, *, subset: str | None = None, option: str, reference: str) -> Any:
    """The rows of a data set, in order, as dictionaries.

    Args:
        name: of the data set.
        split: of it.
        subset: the hub's configuration; None where it has one only.
        option: by which the user named it, for errors.
        reference: how the user named it.

    Raises:
        InputError: the extra is not installed, or the data set cannot be had.
    """
    try:
        from datasets import load_dataset  # noqa: PLC0415  an extra
        from datasets.exceptions import DatasetsError  # noqa: PLC0415
    except ImportError as error:
        remedy = "install the extra trim-routing[datasets], or name local files"
        raise InputError(option, field="data set", value=reference, remedy=remedy) from error
    try:
        return load_dataset(name, subset, split=split)
    except (OSError, ValueError, RuntimeError, DatasetsError) as error:
        remedy = f"it cannot be loaded ({error})"
        raise InputError(option, field="data set", value=reference, remedy=remedy) from error


def _trace(reference: str, index: int, row: dict[str, Any]) -> LabelledTrace:
    try:
        return LabelledTrace.model_validate({key: value for key, value in row.items() if value is not None})
    except ValidationError as error:
        raise InputError.of_validation(reference, error, prefix=f"row {index}") from error
