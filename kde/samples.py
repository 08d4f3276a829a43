"""Class samples: what the PRM said, sorted by the true class of the trace (DESIGN: hidden state).

Columns are [m, r]: m_t the least score of the earlier steps (1 at the first step), r_t the score of the newest step.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from kde.errors import InputError

Array = NDArray[np.float64]
Groups = NDArray[np.int64]


class StepClass(IntEnum):
    """Hidden class of a trace when its newest step has been proposed."""

    CORRECT = 0
    """S0: every step is right."""
    DERAILED = 1
    """S1: an earlier step is wrong; nothing can be recovered."""
    RECOVERABLE = 2
    """S2: only the newest step is wrong."""

    @property
    def key(self) -> str:
        """Name in files: `S0`, `S1`, `S2`."""
        return f"S{self.value}"


@dataclass(frozen=True, slots=True)
class Samples:
    """PRM features of one class.

    Attributes:
        features: float64 [n, 2] in the unit square, columns [m, r].
        weights: float64 [n], positive, summing to 1.
        groups: int64 [n]; samples with the same number come from the same problem and stay together in folds and resamples.
    """

    features: Array
    weights: Array
    groups: Groups

    @classmethod
    def uniform(cls, features: Array) -> "Samples":
        """Independent samples of equal weight."""
        count = len(features)
        return cls(features, np.full(count, 1 / max(count, 1)), np.arange(count))

    @classmethod
    def weighted(cls, features: Array, weights: Array, groups: Groups) -> "Samples":
        """Samples whose positive weights are normalised here."""
        return cls(features, weights / weights.sum() if len(weights) else weights, groups)

    def __len__(self) -> int:
        return len(self.features)

    @property
    def effective_count(self) -> float:
        """Kish's effective sample size 1 / sum w^2: what the bandwidth rules count."""
        return float(1 / (self.weights**2).sum())

    def select(self, chosen: NDArray[np.bool_]) -> "Samples":
        """Those where `chosen` [n] is true, weights normalised again."""
        return Samples.weighted(self.features[chosen], self.weights[chosen], self.groups[chosen])


@dataclass(frozen=True, slots=True)
class ClassSamples:
    """PRM features by class, in the order of `StepClass`."""

    by_class: tuple[Samples, Samples, Samples]

    @classmethod
    def load(cls, path: Path) -> "ClassSamples":
        """Read an npz file with arrays `S0`, `S1`, `S2` of [m, r]; samples count alike and stand for themselves.

        Raises:
            InputError: the file cannot be read, an array is missing, or a value is outside [0, 1].
        """
        return cls.validated(_read_arrays(path, tuple(StepClass)), source=str(path))

    @classmethod
    def validated(cls, arrays: Mapping[str, NDArray[Any]], *, source: str) -> "ClassSamples":
        """Check shapes and ranges of the arrays `S0`, `S1`, `S2`; `source` names them in errors."""
        s0, s1, s2 = (Samples.uniform(_check_features(arrays[c.key], source, c.key)) for c in StepClass)
        return cls((s0, s1, s2))

    def with_class(self, step_class: StepClass, samples: Samples) -> "ClassSamples":
        """The same with one class's samples replaced."""
        s0, s1, s2 = (samples if c is step_class else self.by_class[c] for c in StepClass)
        return ClassSamples((s0, s1, s2))

    @property
    def counts(self) -> dict[str, int]:
        """Samples by class."""
        return {c.key: len(self.by_class[c]) for c in StepClass}


def load_class(path: Path, step_class: StepClass) -> Samples:
    """One class of an npz file of class samples; the others may be absent.

    Raises:
        InputError: as `ClassSamples.load`.
    """
    arrays = _read_arrays(path, (step_class,))
    return Samples.uniform(_check_features(arrays[step_class.key], str(path), step_class.key))


def _read_arrays(path: Path, wanted: tuple[StepClass, ...]) -> dict[str, NDArray[Any]]:
    try:
        with path.open("rb") as stream, NpzFile(stream, own_fid=False, allow_pickle=False) as file:
            found = {key: file[key] for key in file.files if key in {c.key for c in wanted}}
    except (OSError, ValueError, BadZipFile, EOFError, MemoryError) as error:
        raise InputError(
            path, field="file", value=str(error), remedy="name an npz file without pickled objects"
        ) from error
    for step_class in wanted:
        if step_class.key not in found:
            needed = ", ".join(c.key for c in wanted)
            raise InputError(path, field=step_class.key, value=sorted(found), remedy=f"it is needed (of {needed})")
    return found


def _check_features(found: NDArray[Any], source: str, key: str) -> Array:
    if found.dtype.kind not in "fiu":
        raise InputError(source, field=key, value=str(found.dtype), remedy="scores are real numbers")
    features = np.asarray(found, dtype=np.float64)
    if features.ndim != 2 or features.shape[1] != 2:
        raise InputError(source, field=key, value=features.shape, remedy="the shape is [n, 2] with columns [m, r]")
    bad = ~((features >= 0) & (features <= 1))
    if bad.any():
        row = int(np.argmax(bad.any(axis=1)))
        raise InputError(
            source, field=f"{key}[{row}]", value=features[row].tolist(), remedy="scores are numbers in [0, 1]"
        )
    return features
