"""The client: pool, retries, breaker, fallback, batching, threads; against real servers that come and go."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from kde.errors import InputError
from planner.client import PlannerClient, PlannerRefusedError, PlannerUnavailableError, Security, SyncPlannerClient
from planner.client.breaker import Breaker
from planner.client.fallback import Fallback
from planner.decision import Action, Carry, Decision, Proposal
from planner.exact import solve_exact
from planner.local import LocalPlanner
from planner.pomdp import RoutingPOMDP
from planner.table import PolicyTable, tabulate
from planner.v1 import planner_pb2 as pb
from tests.planner.servers import FIRST, free_ports, metrics, serving, start, until

SECOND = Proposal(2, 0.4, 0.9, 30, final=False)


@contextmanager
def black_hole() -> Iterator[str]:
    """An address that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as hole:
        yield f"127.0.0.1:{hole.getsockname()[1]}"


async def planners_own(client: PlannerClient, proposal: Proposal, carry: Carry | None) -> Decision:
    """The first decision that is no fallback's."""
    async with asyncio.timeout(15):
        while (decision := await client.decide("pomdp:0.002", proposal, carry)).fallback:  # noqa: ASYNC110  of a server
            await asyncio.sleep(0.05)
    return decision


async def test_calls_are_spread_over_replicas(table_directory: Path) -> None:
    port = free_ports(1)
    with serving(table_directory, "--metrics", f"127.0.0.1:{port}") as one, serving(table_directory) as two:
        async with PlannerClient([one.address, two.address]) as client:
            await asyncio.gather(*(client.decide("weak", FIRST, None) for _ in range(40)))
        read = await asyncio.to_thread(metrics, port)
        assert read["trim_calls_total", "OK", "Decide"] == 20


async def test_a_dead_replica_is_left_alone_and_found_again(table_directory: Path, tmp_path: Path) -> None:
    addresses = [f"unix:{tmp_path / name}" for name in ("one", "two")]
    process, _ = start(table_directory, listen=addresses[0])
    with serving(table_directory, listen=addresses[1]):
        async with PlannerClient(addresses, breaker=(2, 0.2)) as client:
            await asyncio.gather(*(client.decide("weak", FIRST, None) for _ in range(10)))
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
            for _ in range(50):
                await client.decide("weak", FIRST, None)
            assert 1 <= client.counts.retries <= 10
            retries = client.counts.retries
            began = time.monotonic()
            for _ in range(50):
                await client.decide("weak", FIRST, None)
            assert time.monotonic() - began < 5
            with serving(table_directory, listen=addresses[0]):
                await asyncio.sleep(1.0)
                for _ in range(50):
                    await client.decide("weak", FIRST, None)
            assert client.counts.retries - retries <= 8
            assert client.counts.decisions == 160


@pytest.mark.parametrize(
    ("declared", "action"),
    [("continue", Action.CONTINUE), ("thr:0.5", Action.REGENERATE), ("thr:0.3", Action.CONTINUE)],
)
async def test_a_fallback_decides_while_nobody_answers_and_is_marked(declared: str, action: Action) -> None:
    async with PlannerClient("127.0.0.1:1", fallback=declared, patience=0.5) as client:
        decision = await client.decide("pomdp:0.002", FIRST, None)
        assert (decision.action, decision.fallback, decision.policy) == (action, True, "pomdp:0.002")
        carry = Carry((0.6, 0.3, 0.1), Action.CONTINUE)
        assert (await client.decide("pomdp:0.002", SECOND, carry)).belief == (0.6, 0.3, 0.1)
        assert (await client.decide("thr:0.7", SECOND, carry)).belief is None
        assert client.counts.fallbacks == 3
        assert client.counts.decisions == 0


async def test_generation_never_stalls_for_a_planner_that_is_stuck() -> None:
    with black_hole() as address:
        async with PlannerClient(address, fallback="continue", patience=0.3, breaker=(2, 30)) as client:
            began = time.monotonic()
            decisions = await asyncio.gather(*(client.decide("weak", FIRST, None) for _ in range(50)))
            assert time.monotonic() - began < 10  # one after another they would take 15 s
            began = time.monotonic()
            for _ in range(1000):
                await client.decide("weak", FIRST, None)
            assert time.monotonic() - began < 30  # the breaker is open: waiting would take 300 s
            assert all(decision.fallback for decision in decisions)
            assert client.counts.fallbacks == 1050


async def test_a_trace_goes_back_to_the_planner_after_a_fallback(table_directory: Path, tmp_path: Path) -> None:
    address = f"unix:{tmp_path / 'planner'}"
    async with PlannerClient(address, fallback="continue", patience=0.3, breaker=(1, 0.05)) as client:
        first = await client.decide("pomdp:0.002", FIRST, None)
        assert first.fallback
        with serving(table_directory, listen=address):
            second = await planners_own(client, SECOND, first.carry)
    assert second.belief is not None


async def test_the_fetched_table_decides_like_the_planner_did(table_directory: Path, tmp_path: Path) -> None:
    local = LocalPlanner(PolicyTable.load(table_directory))
    address = f"unix:{tmp_path / 'planner'}"
    async with PlannerClient(address, fallback="table,thr:0.9", patience=0.5) as client:
        early = await client.decide("pomdp:0.002", FIRST, None)
        assert (early.action, early.break_even_tokens) == (Action.REGENERATE, None)
        with serving(table_directory, listen=address):
            answered = await planners_own(client, FIRST, None)
            await until(lambda: client.ready_to_fall_back)
        alone = await client.decide("pomdp:0.002", SECOND, answered.carry)
        assert alone == replace(await local.decide("pomdp:0.002", SECOND, answered.carry), fallback=True)


async def test_a_table_that_cannot_be_fetched_stops_nothing(
    table_directory: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tables = tmp_path / "tables"
    shutil.copytree(table_directory, tables)
    with serving(tables, "--watch-seconds", "60") as server:
        shutil.rmtree(tables)
        async with PlannerClient(server.address, fallback="table", patience=0.5) as client:
            for _ in range(20):
                assert not (await client.decide("pomdp:0.002", FIRST, None)).fallback
            await until(lambda: "could not be fetched" in caplog.text)
            server.process.kill()
            server.process.wait()
            decision = await client.decide("pomdp:0.002", FIRST, None)
            assert (decision.fallback, decision.action) == (True, Action.CONTINUE)
            assert not client.ready_to_fall_back
        server.process.returncode = 0  # it was told to
    assert caplog.text.count("could not be fetched") == 1


async def test_a_table_that_is_not_the_one_asked_for_is_refused(
    table_directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def another(_: str) -> AsyncIterator[pb.GetTableResponse]:
        for file in ("table.json", "table.safetensors"):
            yield pb.GetTableResponse(file=file, content=(table_directory / file).read_bytes())

    fallback = Fallback("table")
    fallback.heard(Decision(Action.CONTINUE, "pomdp:0.002", table_hash="0123456789abcdef"), another)
    await until(lambda: "for 0123456789ab" in caplog.text)
    assert not fallback.ready


@pytest.mark.parametrize("declared", ["", "stop", "thr:", "thr:2", "thr:nan", "table,table", "thr:0.5,table"])
async def test_fallbacks_that_make_no_sense_are_refused(declared: str) -> None:
    with pytest.raises(InputError, match="fallback"):
        PlannerClient("127.0.0.1:1", fallback=declared)


async def test_other_arguments_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least one"):
        PlannerClient([])
    for security in (
        Security(certificate=tmp_path),
        Security(token=tmp_path / "absent"),
        Security(ca=tmp_path / "absent"),
    ):
        with pytest.raises(InputError):
            PlannerClient("127.0.0.1:1", security=security)


async def test_a_refusal_is_no_failure_of_the_replica(table_directory: Path) -> None:
    with serving(table_directory) as server:
        async with PlannerClient(server.address, breaker=(1, 30), fallback="continue") as client:
            for _ in range(3):
                with pytest.raises(PlannerRefusedError):
                    await client.decide("pomdp:9", FIRST, None)
            assert not (await client.decide("weak", FIRST, None)).fallback


async def test_a_cancelled_decision_leaves_the_others_of_its_batch(table_directory: Path) -> None:
    with serving(table_directory) as server:
        async with PlannerClient(server.address, linger=0.1) as client:
            tasks = [asyncio.create_task(client.decide("weak", FIRST, None)) for _ in range(5)]
            await asyncio.sleep(0.02)
            tasks[2].cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(outcomes[2], asyncio.CancelledError)
    assert sum(isinstance(outcome, BaseException) for outcome in outcomes) == 1


async def test_batches_fall_back_too() -> None:
    async with PlannerClient("127.0.0.1:1", linger=0.01, fallback="continue", patience=0.3) as client:
        decisions = await asyncio.gather(*(client.decide("weak", FIRST, None) for _ in range(5)))
    assert all(decision.fallback for decision in decisions)


def test_threads_share_a_blocking_client(table_directory: Path) -> None:
    with serving(table_directory) as server, SyncPlannerClient(server.address, linger=0.002) as client:
        decisions: list[Decision] = []

        def work() -> None:
            decisions.extend(client.decide("pomdp:0.002", FIRST, None) for _ in range(20))

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(decisions) == 160
        assert len(set(decisions)) == 1
        assert [policy.lam for policy in client.list_policies()] == [0.0005, 0.002, 0.006]
        assert client.counts.decisions == 160
    with SyncPlannerClient("127.0.0.1:1", attempts=1) as client, pytest.raises(PlannerUnavailableError):
        client.decide("weak", FIRST, None)
    with pytest.raises(InputError):
        SyncPlannerClient([])


def test_a_breaker_opens_tries_and_closes() -> None:
    breaker = Breaker(failures=2, cool_down=0.05)
    breaker.failed()
    assert breaker.allows()
    breaker.failed()
    assert not breaker.allows()
    time.sleep(0.07)
    assert breaker.allows()
    breaker.started()
    assert not breaker.allows()  # one trial at a time
    breaker.failed()
    time.sleep(0.07)
    assert not breaker.allows()  # the wait has doubled
    time.sleep(0.06)
    breaker.started()
    breaker.succeeded()
    assert breaker.allows()
    assert breaker.closed


def test_calls_that_fail_together_open_a_breaker_for_its_first_wait_only() -> None:
    breaker = Breaker(failures=5, cool_down=0.5)
    for _ in range(64):
        breaker.started()
    for _ in range(64):
        breaker.failed()
    assert 0.3 < breaker.opens_in <= 0.6


def test_closing_a_blocking_client_lets_go_of_threads_that_ask() -> None:
    client = SyncPlannerClient("127.0.0.1:1")
    outcomes: list[Exception] = []

    def work() -> None:
        try:
            client.decide("weak", FIRST, None)
        except PlannerUnavailableError as error:
            outcomes.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    time.sleep(0.3)  # it waits to ask again
    client.close()
    thread.join(5)
    assert not thread.is_alive()
    assert "closed" in str(outcomes[0])


async def test_a_fallback_holds_the_tables_of_all_its_policies(pomdp: RoutingPOMDP, tmp_path: Path) -> None:
    policies = {f"pomdp:{lam}": lam for lam in (0.001, 0.003, 0.005)}
    for policy, lam in policies.items():
        tabulate(pomdp, solve_exact(pomdp, [lam])).save(tmp_path / policy)
    with serving(tmp_path) as server:
        async with PlannerClient(server.address, fallback="table", patience=0.5, attempts=1) as client:
            async with asyncio.timeout(15):
                while not client.ready_to_fall_back:
                    answered = {policy: await client.decide(policy, FIRST, None) for policy in policies}
                    await asyncio.sleep(0.05)
            server.process.terminate()
            await asyncio.to_thread(server.process.wait)
            alone = {policy: await client.decide(policy, FIRST, None) for policy in policies}
    assert alone == {policy: replace(decision, fallback=True) for policy, decision in answered.items()}


def test_the_client_needs_neither_numerics_nor_time_to_import() -> None:
    code = "import sys, planner.client; print(sorted({'numpy', 'pydantic', 'prometheus_client'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
