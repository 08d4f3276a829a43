"""The contract: what buf accepts, and what it would not let pass."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

BUF = Path(sys.executable).parent / "buf"


def breaks(folder: Path) -> str:
    command = [
        shutil.which("buf") or str(BUF),
        "breaking",
        "proto",
        "--against",
        str(ROOT / "proto" / "baseline.binpb"),
    ]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False).stdout


@pytest.mark.parametrize(
    ("pattern", "replacement", "complaint"),
    [
        (r"optional uint32 step = 3;", "optional uint64 step = 3;", "type"),
        (r"optional bool final = 7;", "optional bool final = 70;", "final"),
        (r"rpc Decide\(DecideRequest\)", "rpc DecideOne(DecideRequest)", "Decide"),
        (r"optional uint32 token_count", "uint32 token_count", "cardinality"),
    ],
)
def test_a_breaking_change_is_found(tmp_path: Path, pattern: str, replacement: str, complaint: str) -> None:
    shutil.copytree(ROOT / "proto", tmp_path / "proto")
    assert breaks(tmp_path) == ""
    path = tmp_path / "proto" / "planner" / "v1" / "planner.proto"
    path.write_text(re.sub(pattern, replacement, path.read_text(), count=1))
    assert complaint in breaks(tmp_path)
