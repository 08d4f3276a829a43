"""The observation model: P(m, r | class) as densities and as the cells that solvers and filters use, with its belief filter."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from pydantic import ValidationError

from kde.artefact import Artefact, ArtefactKind, read_artefact, write_artefact
from kde.bandwidth import Rule, bandwidth_factor
from kde.density import ReflectedKDE, check_samples
from kde.errors import ArtefactError, InputError
from kde.filter import BAYES, BeliefFilter
from kde.samples import Array, ClassSamples, Samples, StepClass

MODEL = ArtefactKind("model", schema_version=2)
_SUM_TOLERANCE = 1e-9
_SMALLEST_CELL = 0.002


@dataclass(frozen=True, slots=True)
class ObservationModel:
    """Observation functions of the three classes.

    Attributes:
        cells: float64 [3, n_m, n_r], probability of each cell given the class; each class sums to 1.
        densities: the three kernel densities behind the cells, in the order of `StepClass`.
        filter: how beliefs follow from scores under this model.
        settings: how it was fitted (JSON values).
        provenance: inputs with SHA-256, parameters, tool.
        metrics: what was measured of it (JSON values).
        content_hash: hex SHA-256 of the saved artefact, empty for a model that was never saved.
    """

    cells: Array
    densities: tuple[ReflectedKDE, ReflectedKDE, ReflectedKDE]
    filter: BeliefFilter = BAYES
    settings: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    content_hash: str = ""

    @property
    def samples(self) -> ClassSamples:
        """The class samples behind the densities."""
        s0, s1, s2 = (density.samples for density in self.densities)
        return ClassSamples((s0, s1, s2))

    def likelihood(self, m: ArrayLike, r: ArrayLike) -> Array:
        """Cell probabilities P(m, r | class) at scores in [0, 1], shape [..., 3]."""
        i, j = cell_of(self.cells, m, r)
        return np.moveaxis(self.cells[:, i, j], 0, -1)

    def sample(self, step_class: StepClass, count: int, rng: np.random.Generator) -> Array:
        """Draw `count` features [count, 2], columns [m, r], of a class."""
        return self.densities[step_class].sample(count, rng)

    def save(self, directory: Path) -> str:
        """Write `model.safetensors` and `model.json`; return the content hash."""
        arrays: dict[str, Any] = {"cells": self.cells}
        for step_class in StepClass:
            density = self.densities[step_class]
            arrays[f"{step_class.key}.samples"] = density.samples.features
            arrays[f"{step_class.key}.weights"] = density.samples.weights
            arrays[f"{step_class.key}.groups"] = density.samples.groups
            arrays[f"{step_class.key}.bandwidth"] = density.bandwidth
        body = {
            "filter": self.filter.model_dump(mode="json"),
            "settings": self.settings,
            "provenance": self.provenance,
            "metrics": self.metrics,
        }
        return write_artefact(directory, MODEL, arrays, body)

    @classmethod
    def load(cls, directory: Path) -> "ObservationModel":
        """Read and check a saved model; needs no scikit-learn, torch or datasets.

        Raises:
            ArtefactError: it is missing, truncated, edited or of a newer schema, or its cells are not distributions.
        """
        artefact = read_artefact(directory, MODEL)
        try:
            cells = artefact.arrays["cells"]
            d0, d1, d2 = (_density(artefact, step_class) for step_class in StepClass)
            belief_filter = BeliefFilter.model_validate(artefact.body["filter"])
            body = {key: artefact.body[key] for key in ("settings", "provenance", "metrics")}
        except KeyError as error:
            raise ArtefactError(directory, f"{error} is missing", remedy="fit the model again") from error
        except ValidationError as error:
            reason = f"its filter is not one ({error.errors()[0]['msg']})"
            raise ArtefactError(directory, reason, remedy="fit the model again") from error
        if (
            cells.ndim != 3
            or len(cells) != len(StepClass)
            or not (cells >= 0).all()
            or (abs(cells.sum(axis=(1, 2)) - 1) > _SUM_TOLERANCE).any()
        ):
            raise ArtefactError(directory, "cells are not three distributions", remedy="fit the model again")
        return cls(cells, (d0, d1, d2), belief_filter, content_hash=artefact.content_hash, **body)


def cell_of(cells: Array, m: ArrayLike, r: ArrayLike) -> tuple[Any, Any]:
    """Indices of the cells [3, n_m, n_r] that hold scores in [0, 1]; the upper border belongs to the last cell."""
    _, n_m, n_r = cells.shape
    i = np.minimum((np.asarray(m) * n_m).astype(np.intp), n_m - 1)
    j = np.minimum((np.asarray(r) * n_r).astype(np.intp), n_r - 1)
    return i, j


def fit_observation_model(
    samples: ClassSamples,
    *,
    cell: float = 0.05,
    bandwidth: Rule | float = Rule.SCOTT,
    provenance: dict[str, Any] | None = None,
) -> ObservationModel:
    """Fit one reflected KDE a class and integrate it over square cells of side `cell`; the filter is `BAYES`.

    Raises:
        InputError: 1 / cell is not a whole number of cells, or a class has too few or degenerate samples.
    """
    per_side = round(1 / cell) if _SMALLEST_CELL <= cell <= 1 else 0
    if per_side < 1 or abs(per_side * cell - 1) > _SUM_TOLERANCE:
        remedy = f"1 / cell must be a whole number, cell from {_SMALLEST_CELL} to 1, for example 0.05"
        raise InputError("fit", field="cell", value=cell, remedy=remedy)
    for step_class in StepClass:
        check_samples(samples.by_class[step_class], name=f"class {step_class.key}")
    factors = [bandwidth_factor(one, bandwidth, per_side=per_side) for one in samples.by_class]
    d0, d1, d2 = (ReflectedKDE.fit(one, factor) for one, factor in zip(samples.by_class, factors, strict=True))
    cells = np.stack([density.cell_masses(per_side, per_side) for density in (d0, d1, d2)])
    settings = {
        "bandwidth": bandwidth if isinstance(bandwidth, float) else bandwidth.value,
        "factors": dict(zip((c.key for c in StepClass), factors, strict=True)),
        "cell": cell,
        "samples": samples.counts,
    }
    return ObservationModel(cells=cells, densities=(d0, d1, d2), settings=settings, provenance=provenance or {})


def _density(artefact: Artefact, step_class: StepClass) -> ReflectedKDE:
    features, weights, groups, bandwidth = (
        artefact.arrays[f"{step_class.key}.{name}"] for name in ("samples", "weights", "groups", "bandwidth")
    )
    return ReflectedKDE(Samples(features, weights, groups), bandwidth)
