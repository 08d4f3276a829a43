from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kde.errors import InputError
from kde.samples import ClassSamples

GOOD = np.array([[1.0, 0.5], [0.2, 0.0]])


def _write(path: Path, **arrays: NDArray[Any]) -> Path:
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return path


def test_class_samples_are_read(tmp_path: Path) -> None:
    samples = ClassSamples.load(_write(tmp_path / "s.npz", S0=GOOD, S1=GOOD[:1], S2=GOOD, S0_factor=np.array(0.3)))
    assert samples.counts == {"S0": 2, "S1": 1, "S2": 2}


@pytest.mark.parametrize(
    ("bad", "complaint"),
    [
        (np.array([[0.5, np.nan]]), r"S1\[0\]"),
        (np.array([[0.5, 0.5], [1.5, 0.5]]), r"S1\[1\]"),
        (np.array([[-0.1, 0.5]]), r"S1\[0\]"),
        (np.array([0.5, 0.5]), "shape"),
        (np.zeros((2, 3)), "shape"),
        (np.array([["a", "b"]]), "real numbers"),
        (np.array([[0.5j, 0.5]]), "real numbers"),
    ],
)
def test_bad_samples_are_named(tmp_path: Path, bad: NDArray[Any], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        ClassSamples.load(_write(tmp_path / "s.npz", S0=GOOD, S1=bad, S2=GOOD))


def test_a_missing_class_and_a_broken_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="S2"):
        ClassSamples.load(_write(tmp_path / "s.npz", S0=GOOD, S1=GOOD))
    for content in (b"", b"PK\x03\x04 not a zip", b"text"):
        (tmp_path / "broken.npz").write_bytes(content)
        with pytest.raises(InputError, match="broken.npz"):
            ClassSamples.load(tmp_path / "broken.npz")
    np.save(tmp_path / "plain.npy", GOOD)
    with pytest.raises(InputError, match="plain.npy"):
        ClassSamples.load(tmp_path / "plain.npy")
    with pytest.raises(InputError, match="absent.npz"):
        ClassSamples.load(tmp_path / "absent.npz")
