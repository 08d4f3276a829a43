"""Arrays of a safetensors file as read-only views of the mapped file: nothing is copied, and processes share the pages."""

import json
import mmap
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_DTYPES = {"F64": "<f8", "F32": "<f4", "I64": "<i8", "I32": "<i4", "U8": "|u1", "BOOL": "|b1"}
_LENGTH_BYTES = 8


def map_file(path: Path) -> mmap.mmap | bytes:
    """The bytes of a file, mapped; an empty file, which cannot be, as no bytes.

    A file that is replaced (not rewritten) later keeps its old content here.
    """
    with path.open("rb") as stream:
        return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) if path.stat().st_size else b""


def view_arrays(content: mmap.mmap | bytes) -> dict[str, NDArray[Any]]:
    """Arrays by name, as views of the file's bytes.

    Raises:
        ValueError: it is not a safetensors file, or holds a type that artefacts do not use.
    """
    length = int.from_bytes(content[:_LENGTH_BYTES], "little")
    try:
        header = json.loads(content[_LENGTH_BYTES : _LENGTH_BYTES + length])
        start = _LENGTH_BYTES + length
        return {
            name: np.frombuffer(
                content,
                dtype=_DTYPES[entry["dtype"]],
                count=int(np.prod(entry["shape"], dtype=np.int64)),
                offset=start + entry["data_offsets"][0],
            ).reshape(entry["shape"])
            for name, entry in header.items()
            if name != "__metadata__"
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"its header is not one that artefacts have: {error!r}") from error
