import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from inference.planner_process import planner_process
from kde.errors import TrimError

PARENT = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-m", "inference.with_parent", str(os.getpid()), "/bin/sleep", "60"])
time.sleep(0.5)
print(child.pid, flush=True)
time.sleep(60)
"""


def gone(pid: int) -> bool:
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells a process of its parent's death")
def test_a_child_ends_with_a_parent_that_was_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert not Path(f"/proc/{pid}/cmdline").read_text().startswith(sys.executable)
        os.kill(parent.pid, signal.SIGKILL)
    assert gone(pid)


async def test_a_planner_that_cannot_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(TrimError, match="absent/table.json"):
        async with planner_process(tmp_path / "absent", log=tmp_path / "log"):
            pass


async def test_an_error_of_the_run_is_not_taken_for_the_planners(table_directory: Path, tmp_path: Path) -> None:
    with pytest.raises(TimeoutError, match="mine"):
        async with planner_process(table_directory, log=tmp_path / "log"):
            raise TimeoutError("mine")
