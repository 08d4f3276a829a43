"""Real planner processes for tests, and what to ask them."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from planner.decision import Proposal
from planner.v1 import planner_pb2 as pb

TRIM = [sys.executable, "-m", "inference"]
FIRST = Proposal(1, 1.0, 0.4, 30, final=False)


def start(tables: Path, *options: str, listen: str = "127.0.0.1:0") -> tuple["subprocess.Popen[str]", dict[str, Any]]:
    command = [*TRIM, "serve", "--tables", str(tables), "--listen", listen, "--json", *options]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        _, errors = process.communicate()
        raise AssertionError(errors)
    return process, json.loads(line)


def stop(process: "subprocess.Popen[str]") -> int:
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    return process.returncode


@contextmanager
def serving(tables: Path, *options: str, listen: str = "127.0.0.1:0") -> Iterator["Server"]:
    """A server for the time of a block; it must end well."""
    process, ready = start(tables, *options, listen=listen)
    server = Server(process, ready["listening"])
    try:
        yield server
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
        server.log = [json.loads(line) for line in errors.splitlines()]
    assert process.returncode == 0, errors


class Server:
    def __init__(self, process: "subprocess.Popen[str]", address: str) -> None:
        self.process, self.address = process, address
        self.log: list[dict[str, Any]] = []

    def said(self, message: str) -> list[dict[str, Any]]:
        return [line for line in self.log if line["message"] == message]


def request(**changes: Any) -> pb.DecideRequest:
    fields: dict[str, Any] = {
        "policy_id": "pomdp:0.002",
        "step": 1,
        "scores": pb.Scores(values=[0.4]),
        "token_count": 30,
        "final": False,
    }
    return pb.DecideRequest(**{key: value for key, value in (fields | changes).items() if value is not None})


def swap(tables: Path, new: Path) -> None:
    """Replace the files of a table, arrays first, as a build does."""
    for name in ("table.safetensors", "table.json"):
        staged = tables / f".{name}"
        shutil.copyfile(new / name, staged)
        staged.replace(tables / name)


async def until(true: Callable[[], Any], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110  what is waited for happens in another process
            await asyncio.sleep(0.02)


def free_ports(count: int) -> int:
    """The first of `count` ports in a row that nobody listens on."""
    for first in range(20_000 + os.getpid() % 10_000, 60_000, count):
        with contextlib.ExitStack() as held:
            try:
                for port in range(first, first + count):
                    held.enter_context(socket.create_server(("127.0.0.1", port)))
            except OSError:
                continue
            return first
    raise AssertionError("no free ports")


def metrics(port: int) -> dict[tuple[str, ...], float]:
    """Every sample by its name and label values."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
