"""Labelled traces from a Hugging Face data set, through the `datasets` extra."""

from typing import Any

from pydantic import ValidationError

from kde.errors import InputError
from kde.traces import LabelledTrace

PREFIX = "hf:"
"""`hf:NAME:SPLIT` names a data set, such as `hf:Qwen/ProcessBench:math`."""


def load_labelled(reference: str) -> list[LabelledTrace]:
    """The traces of a data set in ProcessBench's format.

    Raises:
        InputError: the reference has no split, the extra is not installed, the data set cannot be had, or a row is no labelled trace.
    """
    name, _, split = reference.removeprefix(PREFIX).rpartition(":")
    if not name:
        raise InputError("--labels", field="data set", value=reference, remedy="write hf:NAME:SPLIT")
    return [_trace(reference, index, row) for index, row in enumerate(_rows(reference, name, split))]


def _rows(reference: str, name: str, split: str) -> Any:
    try:
        from datasets import load_dataset  # noqa: PLC0415  an extra
    except ImportError as error:
        remedy = "install the extra trim-routing[datasets], or name a local JSON or JSONL file"
        raise InputError("--labels", field="data set", value=reference, remedy=remedy) from error
    try:
        return load_dataset(name, split=split)
    except (OSError, ValueError, RuntimeError) as error:
        remedy = f"it cannot be loaded ({error})"
        raise InputError("--labels", field="data set", value=reference, remedy=remedy) from error


def _trace(reference: str, index: int, row: dict[str, Any]) -> LabelledTrace:
    try:
        return LabelledTrace.model_validate({key: value for key, value in row.items() if value is not None})
    except ValidationError as error:
        raise InputError.of_validation(reference, error, prefix=f"row {index}") from error
