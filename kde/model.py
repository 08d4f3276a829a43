"""The observation model: P(m, r | class) as densities and as the cells that solvers and filters use."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kde.artefact import ArtefactKind, read_artefact, write_artefact
from kde.density import ReflectedKDE
from kde.errors import ArtefactError, InputError
from kde.samples import Array, ClassSamples, StepClass

MODEL = ArtefactKind("model", schema_version=1)
_SUM_TOLERANCE = 1e-9
_SMALLEST_CELL = 0.002


@dataclass(frozen=True, slots=True)
class ObservationModel:
    """Observation functions of the three classes.

    Attributes:
        cells: float64 [3, n_m, n_r], probability of each cell given the class; each class sums to 1.
        densities: the three kernel densities behind the cells, in the order of `StepClass`.
        settings: how it was fitted (JSON values).
        provenance: inputs with SHA-256, parameters, tool.
        metrics: what was measured of it (JSON values).
        content_hash: hex SHA-256 of the saved artefact, empty for a model that was never saved.
    """

    cells: Array
    densities: tuple[ReflectedKDE, ReflectedKDE, ReflectedKDE]
    settings: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    content_hash: str = ""

    def likelihood(self, m: ArrayLike, r: ArrayLike) -> Array:
        """Cell probabilities P(m, r | class) at scores in [0, 1], shape [..., 3]."""
        _, n_m, n_r = self.cells.shape
        i = np.minimum((np.asarray(m) * n_m).astype(np.intp), n_m - 1)
        j = np.minimum((np.asarray(r) * n_r).astype(np.intp), n_r - 1)
        return np.moveaxis(self.cells[:, i, j], 0, -1)

    def save(self, directory: Path) -> str:
        """Write `model.safetensors` and `model.json`; return the content hash."""
        arrays = {"cells": self.cells}
        for step_class in StepClass:
            arrays[f"{step_class.key}.samples"] = self.densities[step_class].samples
            arrays[f"{step_class.key}.bandwidth"] = self.densities[step_class].bandwidth
        body = {"settings": self.settings, "provenance": self.provenance, "metrics": self.metrics}
        return write_artefact(directory, MODEL, arrays, body)

    @classmethod
    def load(cls, directory: Path) -> "ObservationModel":
        """Read and check a saved model; needs NumPy and safetensors only.

        Raises:
            ArtefactError: it is missing, truncated, edited or of a newer schema, or its cells are not distributions.
        """
        artefact = read_artefact(directory, MODEL)
        try:
            cells = artefact.arrays["cells"]
            d0, d1, d2 = (
                ReflectedKDE(artefact.arrays[f"{c.key}.samples"], artefact.arrays[f"{c.key}.bandwidth"])
                for c in StepClass
            )
            body = {key: artefact.body[key] for key in ("settings", "provenance", "metrics")}
        except KeyError as error:
            raise ArtefactError(directory, f"{error} is missing", remedy="fit the model again") from error
        if (
            cells.ndim != 3
            or len(cells) != len(StepClass)
            or (cells < 0).any()
            or (abs(cells.sum(axis=(1, 2)) - 1) > _SUM_TOLERANCE).any()
        ):
            raise ArtefactError(directory, "cells are not three distributions", remedy="fit the model again")
        return cls(cells=cells, densities=(d0, d1, d2), content_hash=artefact.content_hash, **body)


def fit_observation_model(
    samples: ClassSamples, *, cell: float = 0.05, provenance: dict[str, Any] | None = None
) -> ObservationModel:
    """Fit one reflected KDE a class with Scott's bandwidth and integrate it over square cells of side `cell`.

    Raises:
        InputError: 1 / cell is not a whole number of cells, or a class has too few or degenerate samples.
    """
    per_side = round(1 / cell) if _SMALLEST_CELL <= cell <= 1 else 0
    if per_side < 1 or abs(per_side * cell - 1) > _SUM_TOLERANCE:
        remedy = f"1 / cell must be a whole number, cell from {_SMALLEST_CELL} to 1, for example 0.05"
        raise InputError("fit", field="cell", value=cell, remedy=remedy)
    d0, d1, d2 = (ReflectedKDE.fit_scott(samples.by_class[c], name=f"class {c.key}") for c in StepClass)
    cells = np.stack([density.cell_masses(per_side, per_side) for density in (d0, d1, d2)])
    settings = {"bandwidth": "scott", "cell": cell, "samples": samples.counts}
    return ObservationModel(cells=cells, densities=(d0, d1, d2), settings=settings, provenance=provenance or {})
