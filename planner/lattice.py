"""The lattice of beliefs on which break-even counts are kept.

Node (i, j) has b(S0) = i / n and b(S1) = j / n with i + j <= n; nodes are stored row by row at i (2 n + 3 - i) / 2 + j.
"""

import numpy as np
from numpy.typing import NDArray

from kde.samples import Array


def node_count(resolution: int) -> int:
    """Number of nodes of a lattice with `resolution` steps along an edge."""
    return (resolution + 1) * (resolution + 2) // 2


def lattice(resolution: int) -> Array:
    """The lattice's beliefs in storage order, [n_nodes, 3]."""
    nodes = [(i, j, resolution - i - j) for i in range(resolution + 1) for j in range(resolution + 1 - i)]
    return np.array(nodes, dtype=np.float64) / resolution


def interpolate(values: NDArray[np.float32], rows: NDArray[np.intp], belief: Array, resolution: int) -> Array:
    """Values at beliefs between the nodes, linear on the triangle that holds each.

    Args:
        values: [n_rows, n_nodes].
        rows: [n], the row to read for each belief.
        belief: [n, 3].
        resolution: n of the lattice.

    Returns:
        [n].
    """
    x, y = belief[:, 0] * resolution, belief[:, 1] * resolution
    i = np.minimum(x.astype(np.intp), resolution - 1)
    j = np.minimum(y.astype(np.intp), resolution - 1 - i)
    fx, fy = x - i, y - j
    here = i * (2 * resolution + 3 - i) // 2 + j + rows * values.shape[1]
    down = here + (resolution + 1) - i
    flat = values.ravel()
    at_down, at_right = flat.take(down), flat.take(here + 1)
    beyond = (fx + fy > 1) & (i + j < resolution - 1)  # the upper triangle of the lattice's square
    # both triangles share the edge from `down` to `right`; the third corner is `here`, or the one opposite of it
    third = flat.take(np.where(beyond, down + 1, here))
    to_down, to_right = np.where(beyond, 1 - fy, fx), np.where(beyond, 1 - fx, fy)
    return np.asarray(third + to_down * (at_down - third) + to_right * (at_right - third), dtype=np.float64)
