"""`trim gateway` as a process of its own."""

import json
import signal
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.planner.servers import TRIM

pytestmark = pytest.mark.models


def test_a_gateway_serves_logs_and_leaves(tmp_path: Path, table_directory: Path) -> None:
    config = tmp_path / "gateway.toml"
    config.write_text(f'lab = true\ntables = "{table_directory}"\nlisten = "127.0.0.1:0"\n')
    command = [*TRIM, "gateway", "--config", str(config), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert "trim/pomdp@0.002" in ready["models"]
        body = {"model": "trim/weak", "messages": [{"role": "user", "content": "Work mod 10.\nS:=5\nA:+4"}]}
        answer = httpx.post(f"{ready['url']}/chat/completions", json=body, timeout=60)
        assert answer.json()["choices"][0]["message"]["content"]
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 0
    lines = [json.loads(line) for line in errors.splitlines() if line.startswith("{")]
    assert [line["trace_id"] for line in lines if line["message"] == "request"] == [answer.headers["x-trim-trace-id"]]
    assert [line["message"] for line in lines][-1] == "left"
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ([], "--engines"),
        (["--lab", "--listen", "0.0.0.0:0"], "loopback"),
        (["--lab", "--tokens", "absent"], "absent"),
        (["--lab", "--tables", "absent"], "absent"),
        (["--engines", "absent.toml"], "absent.toml"),
        (["--lab", "--fallback", "continue"], "--server"),
    ],
)
def test_errors_are_one_line_and_status_two(options: list[str], complaint: str, tmp_path: Path) -> None:
    command = [*TRIM, "gateway", "--log-level", "error", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False, cwd=tmp_path)
    told = [line for line in done.stderr.splitlines() if line.startswith("trim: ")]
    assert done.returncode == 2
    assert len(told) == 1
    assert complaint in told[0]
    assert "Traceback" not in done.stderr
