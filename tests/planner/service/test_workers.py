"""Several workers on one port: killed, stopped and reloaded under load."""

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from planner.client import PlannerClient
from planner.client.aio import Counts
from planner.decision import Decision
from planner.table import PolicyTable
from tests.planner.servers import FIRST, TRIM, Server, free_ports, metrics, serving, swap, until


def workers(server: Server) -> list[int]:
    return sorted(child.pid for child in psutil.Process(server.process.pid).children())


@asynccontextmanager
async def clients(*addresses: str, askers: int = 12) -> AsyncIterator[tuple[list[Decision], list[Counts]]]:
    """Clients with retries, each with connections of its own, asking without pause; any failed decision is an error."""
    answers: list[Decision] = []
    counts: list[Counts] = []
    going = True

    async def ask() -> None:
        async with PlannerClient(addresses, connections=2) as client:
            counts.append(client.counts)
            while going:
                answers.append(await client.decide("pomdp:0.002", FIRST, None))

    async with asyncio.TaskGroup() as group:
        for _ in range(askers):
            group.create_task(ask())
        yield answers, counts
        going = False


async def test_a_killed_worker_costs_retries_and_nothing_else(table_directory: Path) -> None:
    with serving(table_directory, "--workers", "3") as server:
        before = workers(server)
        assert len(before) == 3
        async with clients(server.address) as (answers, counts):
            await until(lambda: len(answers) > 200)
            os.kill(before[1], signal.SIGKILL)
            seen = len(answers)
            await until(lambda: len(answers) > seen + 500)
            await until(lambda: len(workers(server)) == 3 and workers(server) != before)
        assert len(answers) == sum(count.decisions for count in counts)
        assert sum(count.fallbacks for count in counts) == 0
        assert set(before) - set(workers(server)) == {before[1]}
    assert [line["exit_code"] for line in server.said("worker died, another starts")] == [-signal.SIGKILL]


async def test_one_of_two_replicas_leaves_under_load_and_no_decision_fails(table_directory: Path) -> None:
    with serving(table_directory) as leaving, serving(table_directory) as staying:
        async with clients(leaving.address, staying.address) as (answers, _):
            await until(lambda: len(answers) > 200)
            leaving.process.send_signal(signal.SIGTERM)
            await until(lambda: leaving.process.poll() is not None)
            seen = len(answers)
            await until(lambda: len(answers) > seen + 200)
    assert [line["message"] for line in leaving.log] == ["ready", "draining", "left"]


async def test_workers_leave_together_and_with_their_parent(table_directory: Path) -> None:
    with serving(table_directory, "--workers", "2") as server:
        started = workers(server)
    assert not any(map(psutil.pid_exists, started))
    command = [*TRIM, "serve", "--tables", str(table_directory), "--listen", "127.0.0.1:0", "--workers", "2"]
    parent = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert parent.stdout is not None
    assert b"ready" in await parent.stdout.readline()
    orphans = [child.pid for child in psutil.Process(parent.pid).children()]
    parent.kill()
    await parent.wait()
    await until(lambda: not any(map(psutil.pid_exists, orphans)))


async def test_all_workers_take_new_tables_also_those_that_start_later(
    table_directory: Path, other_directory: Path, tmp_path: Path
) -> None:
    swap(tmp_path, table_directory)
    wanted = PolicyTable.load(other_directory).content_hash
    with serving(tmp_path, "--workers", "2", "--watch-seconds", "60") as server:
        swap(tmp_path, other_directory)
        server.process.send_signal(signal.SIGHUP)
        await _all_answer_from(server, wanted)
        (tmp_path / "table.json").write_text("{}")  # the successor cannot read this: it takes what its parent holds
        os.kill(workers(server)[0], signal.SIGKILL)
        await until(lambda: len(workers(server)) == 2)
        await _all_answer_from(server, wanted)


async def _all_answer_from(server: Server, wanted: str) -> None:
    async with asyncio.timeout(20):
        while True:
            hashes = set()
            for _ in range(8):  # connections enough to meet both workers
                async with PlannerClient(server.address) as client:
                    hashes.add((await client.decide("pomdp:0.002", FIRST, None)).table_hash)
            if hashes == {wanted}:
                return
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("options", [(), ("--workers", "2")])
def test_a_taken_port_or_a_bad_file_is_one_clear_line(
    table_directory: Path, address: str, tmp_path: Path, options: tuple[str, ...]
) -> None:
    command = [*TRIM, "serve", "--tables", str(table_directory), *options, "--log-level", "error"]
    taken = subprocess.run([*command, "--listen", address], capture_output=True, text=True, timeout=60, check=False)
    assert (taken.returncode, taken.stdout) == (2, "")
    assert "cannot bind" in taken.stderr.splitlines()[-1]
    tokens = ["--listen", "127.0.0.1:0", "--tokens", str(tmp_path / "absent")]
    bad = subprocess.run([*command, *tokens], capture_output=True, text=True, timeout=60, check=False)
    assert (bad.returncode, bad.stdout) == (2, "")
    assert "absent: tokens" in bad.stderr.splitlines()[-1]


async def test_a_parent_that_closes_standard_input_ends_all_workers(table_directory: Path) -> None:
    with serving(table_directory, "--workers", "2", "--until-stdin-closes") as server:
        assert server.process.stdin is not None
        server.process.stdin.close()
        server.process.stdin = None
        assert await asyncio.to_thread(server.process.wait, 20) == 0


async def test_each_worker_has_metrics_of_its_own(table_directory: Path) -> None:
    first = free_ports(2)
    with serving(table_directory, "--workers", "2", "--metrics", f"127.0.0.1:{first}") as server:
        async with clients(server.address) as (answers, _):
            await until(lambda: len(answers) > 200)
        counted = [metrics(port).get(("trim_calls_total", "OK", "Decide"), 0) for port in (first, first + 1)]
    assert sum(counted) == len(answers)
