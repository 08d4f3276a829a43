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
    """Values at beliefs between the nodes, linear on the triangle that holds each; bit for bit `PolicyTable.lookup`.

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
    lower = (fx + fy <= 1) | (i + j == resolution - 1)  # the triangle of `here`, or the one opposite of it
    at_here, at_down, at_right = (flat.take(nodes).astype(np.float64) for nodes in (here, down, here + 1))
    at_beyond = flat.take(np.where(lower, down, down + 1)).astype(np.float64)
    near = (1 - fx - fy) * at_here + fx * at_down + fy * at_right
    far = (fx + fy - 1) * at_beyond + (1 - fy) * at_down + (1 - fx) * at_right
    return np.where(lower, near, far)
