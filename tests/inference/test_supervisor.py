"""Supervision of real processes: servers that start, die, hang and come back."""

import asyncio
import functools
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from inference.engines.base import EngineError
from inference.supervisor import RestartRules, supervise
from inference.vllm_server import ServedModel, ServerProcess, free_port
from tests.inference.test_processes import gone
from tests.planner.servers import until

HEALTHY = """
import http.server, signal, subprocess, sys
class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
child = subprocess.Popen(["/bin/sleep", "60"])
print("child", child.pid, flush=True)
http.server.HTTPServer((sys.argv[1], int(sys.argv[2])), Health).serve_forever()
"""
BROKEN = "print('loading'); raise SystemExit('no such model')"
RULES = RestartRules(quick_seconds=30, most_quick=3, pause_seconds=0.01, ready_seconds=20)


@dataclass(frozen=True)
class Program(ServedModel):
    """Stands where a vLLM server would: a program that serves /health, or does not."""

    program: str = HEALTHY

    def command(self, host: str, port: int) -> list[str]:
        return [sys.executable, "-c", self.program, host, str(port)]


def server(folder: Path, name: str, program: str = HEALTHY, gpus: tuple[int, ...] = ()) -> ServerProcess:
    return ServerProcess(
        Program(name, folder, gpus=gpus, program=program), "127.0.0.1", free_port(), folder / f"{name}.log"
    )


@asynccontextmanager
async def supervised(servers: list[ServerProcess], rules: RestartRules = RULES) -> AsyncIterator[list[str]]:
    """The news, once all servers are ready."""
    news: list[str] = []
    ready, stop = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(
        supervise(
            servers,
            rules,
            report=lambda one, told: news.append(f"{one.model.name} {told}"),
            on_ready=ready.set,
            stop=stop,
        )
    )
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    try:
        if not running.done():
            yield news
    finally:
        stop.set()
        await running


def child_of(one: ServerProcess) -> int:
    return int([line for line in one.last_lines() if line.startswith("child")][-1].split()[1])


async def test_servers_start_together_and_leave_nothing_behind(tmp_path: Path) -> None:
    servers = [server(tmp_path, "weak"), server(tmp_path, "strong")]
    async with supervised(servers) as news:
        assert news[:2] == ["weak starting", "strong starting"]
        assert set(news[2:]) == {"weak ready", "strong ready"}
        pids = [one.pid or 0 for one in servers] + [child_of(one) for one in servers]
    assert all(gone(pid) for pid in pids)


async def test_servers_of_one_gpu_start_one_after_the_other(tmp_path: Path) -> None:
    servers = [server(tmp_path, name, gpus=(gpu,)) for name, gpu in (("weak", 0), ("scorer", 0), ("strong", 1))]
    async with supervised(servers) as news:
        shared = [line for line in news if not line.startswith("strong")]
        assert shared == ["weak starting", "weak ready", "scorer starting", "scorer ready"]


async def test_a_server_that_is_killed_comes_back_and_its_group_does_not_linger(tmp_path: Path) -> None:
    one = server(tmp_path, "weak")
    async with supervised([one]) as news:
        first, child = one.pid or 0, child_of(one)
        os.kill(first, signal.SIGKILL)
        await until(lambda: news.count("weak ready") == 2)
        assert one.pid != first
        assert gone(child)
    (death,) = [line for line in news if "died" in line]
    assert "its log" in death


async def test_a_server_that_never_starts_ends_all_with_its_log(tmp_path: Path) -> None:
    good = server(tmp_path, "weak")
    with pytest.raises(EngineError, match=r"strong ended while starting; its log .* ends: loading \| no such model"):
        async with supervised([good, server(tmp_path, "strong", BROKEN)]):
            pass
    assert gone(good.pid or 0)


def lives_lived(news: list[str], lives: int) -> bool:
    return news.count("strong ready") == lives


async def kill_three_times(good: ServerProcess, bad: ServerProcess) -> None:
    async with supervised([good, bad]) as news:
        for lives in (2, 3):
            os.kill(bad.pid or 0, signal.SIGKILL)
            await until(functools.partial(lives_lived, news, lives))
        os.kill(bad.pid or 0, signal.SIGKILL)
        await until(lambda: gone(good.pid or 0))


async def test_a_server_that_keeps_dying_ends_all(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="strong died 3 times within 30 s"):
        await kill_three_times(server(tmp_path, "weak"), server(tmp_path, "strong"))


async def test_a_server_that_hangs_is_given_up(tmp_path: Path) -> None:
    rules = RestartRules(ready_seconds=0.5)
    with pytest.raises(EngineError, match="was not ready within 0 s|not ready within 1 s"):
        async with supervised([server(tmp_path, "weak", "import time; time.sleep(60)")], rules):
            pass
