"""Cells from elsewhere: what an observation model is compared with, or a solver is given directly."""

from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.lib.npyio import NpzFile

from kde.errors import InputError
from kde.samples import Array, StepClass

_SUM_TOLERANCE = 1e-6


def read_reference_cells(path: Path) -> Array:
    """Cells [3, n_m, n_r] of an npz file with `Sk_probs` (flat, m major) and, to say how they lie, `Sk_points` (cell centres [n, 2]).

    Raises:
        InputError: the file cannot be read, an array is missing, the centres are no regular grid, or a class does not sum to 1.
    """
    try:
        with path.open("rb") as stream, NpzFile(stream, own_fid=False, allow_pickle=False) as file:
            arrays = {key: np.asarray(file[key], dtype=np.float64) for key in file.files}
    except (OSError, ValueError, BadZipFile, EOFError, MemoryError) as error:
        remedy = "name an npz file without pickled objects"
        raise InputError(path, field="file", value=str(error), remedy=remedy) from error
    return np.stack([_class_cells(path, arrays, step_class) for step_class in StepClass])


def total_variation(cells: Array, reference: Array) -> dict[str, float]:
    """Half the sum of absolute differences, by class.

    Raises:
        InputError: the two do not have the same cells.
    """
    if cells.shape != reference.shape:
        remedy = f"fit with the reference's cells, of side {1 / reference.shape[1]:.4g}"
        raise InputError("--compare-cells", field="cells", value=list(reference.shape), remedy=remedy)
    return {c.key: float(abs(cells[c] - reference[c]).sum() / 2) for c in StepClass}


def _class_cells(path: Path, arrays: dict[str, Array], step_class: StepClass) -> Array:
    try:
        masses, points = arrays[f"{step_class.key}_probs"], arrays[f"{step_class.key}_points"]
    except KeyError as error:
        remedy = f"Sk_probs and Sk_points of every class are needed ({error} is missing)"
        raise InputError(path, field="arrays", value=sorted(arrays), remedy=remedy) from error
    n_m, n_r = (len(np.unique(axis)) for axis in points.T) if points.ndim == 2 else (0, 0)
    centres = np.stack(
        np.meshgrid((np.arange(n_m) + 0.5) / max(n_m, 1), (np.arange(n_r) + 0.5) / max(n_r, 1), indexing="ij"), axis=-1
    )
    if masses.shape != (n_m * n_r,) or not np.allclose(points, centres.reshape(-1, 2)):
        remedy = "the centres of a regular grid over the unit square, m major, and one probability each"
        raise InputError(path, field=f"{step_class.key}_points", value=points.shape, remedy=remedy)
    if not (masses >= 0).all() or abs(masses.sum() - 1) > _SUM_TOLERANCE:
        remedy = "probabilities that sum to 1"
        raise InputError(path, field=f"{step_class.key}_probs", value=float(masses.sum()), remedy=remedy)
    return masses.reshape(n_m, n_r)
