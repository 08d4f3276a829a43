"""Tables swapped under a serving planner."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NoReturn

import pytest

from planner.client import PlannerClient
from planner.decision import Decision
from planner.local import LocalPlanner
from planner.service import tables
from planner.service.tables import TableStore
from planner.table import PolicyTable
from tests.planner.servers import FIRST, TRIM, free_ports, metrics, serving, swap, until


@asynccontextmanager
async def asking(address: str, *, askers: int = 8) -> AsyncIterator[list[Decision]]:
    """Decisions asked for without pause and without retries: a failure is an error of the block."""
    answers: list[Decision] = []
    going = True

    async with PlannerClient(address, attempts=1) as client, asyncio.TaskGroup() as group:

        async def ask() -> None:
            while going:
                answers.append(await client.decide("pomdp:0.002", FIRST, None))

        for _ in range(askers):
            group.create_task(ask())
        yield answers
        going = False


async def test_a_hundred_reloads_under_load_fail_nothing_and_mix_nothing(
    table_directory: Path, other_directory: Path, tmp_path: Path
) -> None:
    swap(tmp_path, table_directory)
    expected = {}
    for directory in (table_directory, other_directory):
        table = PolicyTable.load(directory)
        expected[table.content_hash] = await LocalPlanner(table).decide("pomdp:0.002", FIRST, None)
    with serving(tmp_path, "--watch-seconds", "60") as server:
        async with asking(server.address) as answers:
            for turn in range(100):
                swap(tmp_path, other_directory if turn % 2 == 0 else table_directory)
                seen = len(answers)
                server.process.send_signal(signal.SIGHUP)
                await _more(answers, seen + 20)
    assert {answer.table_hash for answer in answers} == set(expected)
    assert all(answer == expected[answer.table_hash] for answer in answers)
    taken, refused = server.said("tables loaded"), server.said("tables refused, the old ones serve on")
    assert len(taken) > 50
    assert not refused


async def test_a_changed_directory_is_noticed(table_directory: Path, other_directory: Path, tmp_path: Path) -> None:
    swap(tmp_path, table_directory)
    wanted = PolicyTable.load(other_directory).content_hash
    with serving(tmp_path, "--watch-seconds", "0.05") as server:
        async with asking(server.address, askers=1) as answers:
            await until(lambda: answers)
            swap(tmp_path, other_directory)
            await until(lambda: answers[-1].table_hash == wanted)


async def _more(answers: list[Decision], wanted: int) -> None:
    await until(lambda: len(answers) > wanted)


async def _reloads(port: int, outcome: str, wanted: int) -> None:
    await until(lambda: metrics(port)["trim_table_reloads_total", outcome] >= wanted)


def truncate(tables: Path) -> None:
    os.truncate(tables / "table.safetensors", 1000)


def edit(tables: Path) -> None:
    path = tables / "table.json"
    path.write_text(path.read_text().replace('"p_weak": 0.85', '"p_weak": 0.86'))


def mix(tables: Path) -> None:
    (tables / "table.safetensors").write_bytes(b"\0" * 5000)


def from_the_future(tables: Path) -> None:
    path = tables / "table.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": 99}))


def remove(tables: Path) -> None:
    shutil.rmtree(tables)


async def test_bad_tables_are_refused_and_the_old_one_serves_on(table_directory: Path, tmp_path: Path) -> None:
    tables, port = tmp_path / "tables", free_ports(1)
    shutil.copytree(table_directory, tables)
    with serving(tables, "--watch-seconds", "0.05", "--metrics", f"127.0.0.1:{port}") as server:
        async with asking(server.address, askers=1) as answers:
            for turn, spoil in enumerate((truncate, edit, mix, from_the_future, remove), start=1):
                spoil(tables)
                await _reloads(port, "refused", turn)
                await _more(answers, len(answers) + 10)
                shutil.rmtree(tables, ignore_errors=True)
                shutil.copytree(table_directory, tmp_path / "staged")
                (tmp_path / "staged").rename(tables)
                await _reloads(port, "taken", turn)
    assert {answer.table_hash for answer in answers} == {PolicyTable.load(table_directory).content_hash}
    refusals = server.said("tables refused, the old ones serve on")
    for complaint in ("SHA-256", "content_hash", "SHA-256", "schema_version is 99", "cannot be read"):
        assert any(complaint in line["error"] and str(tables) in line["error"] for line in refusals), complaint


async def test_a_folder_of_tables_is_one_offer(table: PolicyTable, other_directory: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for place, lam in ((one, 0.0005), (two, 0.006)):
        index = table.index(lam)
        part = PolicyTable(
            **{
                **{name: getattr(table, name) for name in table.__dataclass_fields__},
                "entries": (table.entries[index],),
                "break_even": table.break_even[index : index + 1],
            }
        )
        part.save(place)
    hashes = {lam: PolicyTable.load(place).content_hash for place, lam in ((one, 0.0005), (two, 0.006))}
    with serving(tmp_path, "--watch-seconds", "0.05") as server:
        async with PlannerClient(server.address, attempts=1) as client:
            listed = {policy.lam: policy.table_hash for policy in await client.list_policies()}
            assert listed == hashes
            for lam, table_hash in hashes.items():
                assert (await client.decide(f"pomdp:{lam!r}", FIRST, None)).table_hash == table_hash
            shutil.copytree(other_directory, tmp_path / "three")  # answers for lambdas that others answer for
            await asyncio.sleep(0.4)
            assert {policy.lam: policy.table_hash for policy in await client.list_policies()} == hashes
    (refusal,) = server.said("tables refused, the old ones serve on")
    assert "both answer for it" in refusal["error"]


def test_a_folder_that_goes_away_while_it_is_looked_at_is_looked_at_again(
    table_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swap(tmp_path, table_directory)
    store = TableStore(tmp_path)

    def gone(_: Path) -> NoReturn:
        raise FileNotFoundError

    with monkeypatch.context() as patch:
        patch.setattr(tables, "artefact_places", gone)
        assert not store.settled()
    assert not store.settled()
    assert not store.stale


def test_a_hang_up_while_tables_are_first_read_ends_nothing(table_directory: Path, tmp_path: Path) -> None:
    swap(tmp_path, table_directory)
    slow, content = tmp_path / "table.json", (table_directory / "table.json").read_bytes()
    slow.unlink()
    os.mkfifo(slow)
    command = [*TRIM, "serve", "--tables", str(tmp_path), "--listen", "127.0.0.1:0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    with slow.open("wb") as pipe:  # the server reads
        swap(tmp_path, table_directory)
        process.send_signal(signal.SIGHUP)
        time.sleep(0.2)
        assert process.poll() is None
        pipe.write(content)
    assert process.stdout.readline().startswith(b"planner ready")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 0
