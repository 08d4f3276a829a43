"""`trim engines up`, `trim engines check` and a gateway on the lab's models, served by vLLM on the CPU."""

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from inference.gateway.router import open_router
from inference.gateway.settings import GatewaySettings
from inference.lab.shipped import lab_engines_file, lab_problems
from tests.inference.gateway.conftest import Gateway
from tests.inference.test_processes import gone
from tests.planner.servers import TRIM, free_ports

pytestmark = [pytest.mark.vllm, pytest.mark.models, pytest.mark.slow]


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("engines")
    file = folder / "engines.toml"
    file.write_text(lab_engines_file(free_ports(3)))
    command = [*TRIM, "engines", "up", str(file), "--logs", str(folder / "logs"), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        ready = json.loads(line)
        yield file
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    assert all(gone(server["pid"]) for server in ready["servers"])


def check(file: Path) -> tuple[int, dict[str, Any]]:
    done = subprocess.run([*TRIM, "engines", "check", str(file), "--json"], capture_output=True, text=True, check=False)
    found: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, found


def test_servers_that_are_up_pass_the_check(engines: Path) -> None:
    status, found = check(engines)
    assert (status, found["ok"], found["same_vocabulary"]) == (0, True, True), found
    assert [one["context"] for one in found["engines"]] == [512, 512, 512]


def test_servers_at_each_others_addresses_do_not(engines: Path, tmp_path: Path) -> None:
    text = engines.read_text()
    _, strong, scorer = [line for line in text.splitlines() if line.startswith("urls")]
    crossed = tmp_path / "crossed.toml"
    crossed.write_text(text.replace(strong, "url s").replace(scorer, strong).replace("url s", scorer))
    status, found = check(crossed)
    assert status == 2
    assert ["another server" in one["remedy"] for one in found["engines"]] == [False, True, True]
    crossed.write_text("\n".join(line for line in crossed.read_text().splitlines() if not line.startswith("model")))
    status, found = check(crossed)
    assert "process reward model" in found["engines"][1]["remedy"]
    assert "--runner pooling" in found["engines"][2]["remedy"]


@pytest.mark.asyncio(loop_scope="session")
async def test_a_gateway_before_them_answers_whole_and_in_steps(engines: Path, gateway: Gateway) -> None:
    settings = GatewaySettings.read(None, {"engines": engines})
    problem = lab_problems(1, seed=5)[0].problem
    async with (
        open_router(settings) as router,
        gateway(router) as address,
        openai.AsyncOpenAI(base_url=f"http://{address}/v1", api_key="none", max_retries=0) as client,
    ):
        asked: dict[str, Any] = {
            "model": "trim/thr@0.9",
            "messages": [{"role": "user", "content": problem}],
            "seed": 1,
        }
        whole = await client.chat.completions.create(**asked)
        stream = await client.chat.completions.create(**asked, stream=True)
        pieces = [chunk.choices[0].delta.content or "" async for chunk in stream]
    assert "".join(pieces) == whole.choices[0].message.content
    assert whole.choices[0].finish_reason == "stop"


def test_an_address_that_is_taken_is_refused_before_anything_starts(engines: Path) -> None:
    done = subprocess.run([*TRIM, "engines", "up", str(engines)], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "choose another address" in done.stderr
