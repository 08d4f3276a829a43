"""Observation cells from an npz file, as the paper's authors release them: `Sk_probs` [n] and `Sk_points` [n, 2] for k = 0, 1, 2."""

from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.lib.npyio import NpzFile

from kde.errors import InputError
from kde.samples import Array, StepClass

_TOLERANCE = 1e-6


def load_cells(path: Path) -> Array:
    """Cell probabilities by class, float64 [3, n_m, n_r].

    Raises:
        InputError: it cannot be read, an array is missing, or the points are not the centres of an even grid in row order.
    """
    try:
        with path.open("rb") as stream, np.load(stream) as archive:
            return np.stack([_class_cells(archive, step_class.key, path) for step_class in StepClass])
    except OSError as error:
        raise InputError(path, field="file", value=error.strerror, remedy="name an npz file of cells") from error
    except KeyError as error:
        raise InputError(
            path, field="arrays", value=str(error), remedy="Sk_probs and Sk_points for k = 0, 1, 2"
        ) from error
    except (TypeError, ValueError, BadZipFile, EOFError) as error:
        raise InputError(path, field="content", value=str(error), remedy="name an npz file of cells") from error


def _class_cells(archive: NpzFile, key: str, path: Path) -> Array:
    probabilities, points = (np.asarray(archive[f"{key}_{part}"], dtype=np.float64) for part in ("probs", "points"))
    if points.ndim != 2 or points.shape[1] != 2 or probabilities.shape != (len(points),):
        remedy = f"{key}_probs [n] and {key}_points [n, 2]"
        raise InputError(path, field=key, value=(probabilities.shape, points.shape), remedy=remedy)
    n_m, n_r = (len(np.unique(points[:, axis].round(6))) for axis in range(2))
    centres = np.stack(np.meshgrid(*((np.arange(n) + 0.5) / n for n in (n_m, n_r)), indexing="ij"), axis=-1)
    if len(points) != n_m * n_r or (abs(points - centres.reshape(-1, 2)) > _TOLERANCE).any():
        remedy = "centres of even cells over the unit square, m first, r running fastest"
        raise InputError(path, field=f"{key}_points", value=f"{len(points)} points", remedy=remedy)
    if not (probabilities >= 0).all() or abs(probabilities.sum() - 1) > _TOLERANCE:
        remedy = "probabilities that sum to 1"
        raise InputError(path, field=f"{key}_probs", value=float(probabilities.sum()), remedy=remedy)
    return probabilities.reshape(n_m, n_r)
