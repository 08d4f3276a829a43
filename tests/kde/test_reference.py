from pathlib import Path

import numpy as np
import pytest

from kde.errors import InputError
from kde.reference import read_reference_cells
from kde.samples import Array
from planner.npz import pack


def arrays(n_m: int = 2, n_r: int = 3) -> dict[str, Array]:
    m, r = ((np.arange(n) + 0.5) / n for n in (n_m, n_r))
    points = np.stack(np.meshgrid(m, r, indexing="ij"), axis=-1).reshape(-1, 2)
    probabilities = np.arange(1, n_m * n_r + 1) / (n_m * n_r * (n_m * n_r + 1) / 2)
    return {f"S{k}_{part}": values for k in range(3) for part, values in (("probs", probabilities), ("points", points))}


def test_cells_come_in_rows_of_m(tmp_path: Path) -> None:
    (tmp_path / "c.npz").write_bytes(pack(arrays()))
    cells = read_reference_cells(tmp_path / "c.npz")
    assert cells.shape == (3, 2, 3)
    assert cells[1, 1, 0] == pytest.approx(4 / 21)


def test_the_papers_cells_are_read(reference: Path) -> None:
    cells = read_reference_cells(reference / "observations" / "math-train_bins_0.05.npz")
    assert cells.shape == (3, 20, 20)
    assert cells.sum(axis=(1, 2)) == pytest.approx(1)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"S1_probs": np.full(6, 0.2)}, "S1_probs is 1.2.*sum to 1"),
        ({"S1_probs": np.array([2.0, -1, 0, 0, 0, 0])}, "S1_probs"),
        ({"S1_probs": np.full(5, 0.2)}, "S1_points"),
        ({"S2_points": np.zeros((6, 2))}, "S2_points"),
        ({"S2_points": arrays()["S0_points"][::-1]}, "S2_points"),
        ({"S2_points": np.zeros(6)}, "S2_points"),
    ],
)
def test_bad_cells_are_named(tmp_path: Path, change: dict[str, Array], complaint: str) -> None:
    (tmp_path / "c.npz").write_bytes(pack(arrays() | change))
    with pytest.raises(InputError, match=complaint):
        read_reference_cells(tmp_path / "c.npz")


def test_files_that_are_no_cells_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "short.npz", S0_probs=np.ones(1))
    np.save(tmp_path / "one.npy", np.ones(3))
    (tmp_path / "text.npz").write_text("x")
    for name in ("short.npz", "one.npy", "text.npz", "absent.npz"):
        with pytest.raises(InputError, match=name):
            read_reference_cells(tmp_path / name)
