import mmap
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from kde.mapped import map_file, view_arrays

ARRAYS = {
    "doubles": np.arange(12.0).reshape(3, 4),
    "floats": np.arange(5, dtype=np.float32),
    "counts": np.arange(6).reshape(1, 2, 3),
    "flags": np.array([True, False, True]),
    "empty": np.zeros((0, 2)),
}


def test_views_are_what_was_saved_and_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(save(ARRAYS))
    content = map_file(tmp_path / "a.safetensors")
    assert isinstance(content, mmap.mmap)
    views = view_arrays(content)
    assert views.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert views[name].dtype == array.dtype
        assert views[name].shape == array.shape
        assert (views[name] == array).all()
        assert not views[name].flags.owndata
        assert not views[name].flags.writeable


def test_a_replaced_file_keeps_its_old_content_here(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(save(ARRAYS))
    views = view_arrays(map_file(path))
    (tmp_path / "b").write_bytes(save({"doubles": np.zeros((3, 4))}))
    (tmp_path / "b").replace(path)
    assert (views["doubles"] == ARRAYS["doubles"]).all()


@pytest.mark.parametrize(
    "content", [b"", b"\x05", b"\xff" * 8, b"\x02\0\0\0\0\0\0\0[]", save(ARRAYS)[:200], save(ARRAYS)[:-9]]
)
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(ValueError, match=r"."):
        view_arrays(map_file(tmp_path / "a"))
