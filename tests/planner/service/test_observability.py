"""Metrics, logs, traces and the decision log of a real server."""

import asyncio
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import aio
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from planner.client import PlannerClient, PlannerRefusedError
from planner.decision import Action, Carry, Decision, Proposal
from planner.policies.catalogue import Catalogue
from planner.replay import replay
from planner.service.decision_log import DecisionLog, LoggedDecision, LogSettings
from planner.table import PolicyTable
from planner.v1 import planner_pb2 as pb
from planner.v1 import planner_pb2_grpc as pb_grpc
from tests.conftest import ROOT
from tests.planner.servers import FIRST, Server, free_ports, metrics, request, serving
from tests.planner.test_cli import trim

PORT = free_ports(1)
OPERATIONS = ROOT / "docs" / "operations.md"


async def test_every_metric_is_there_right_and_documented(table_directory: Path, tmp_path: Path) -> None:
    options = ["--metrics", f"127.0.0.1:{PORT}", "--decision-log", str(tmp_path)]
    table_hash = PolicyTable.load(table_directory).content_hash
    with serving(table_directory, *options) as server:
        async with PlannerClient(server.address) as client:
            decisions = [await client.decide("pomdp:0.002", FIRST, None) for _ in range(5)]
            await client.decide("thr:0.123", FIRST, None)
            with pytest.raises(PlannerRefusedError):
                await client.decide("pomdp:9", FIRST, None)
        async with aio.insecure_channel(server.address) as channel:
            stub = pb_grpc.PlannerServiceStub(channel)
            await stub.DecideBatch(
                pb.DecideBatchRequest(
                    policy_ids=["strong"],
                    steps=[1, 1],
                    earlier=[1, 1],
                    newest=[0, 7],
                    token_counts=[1, 1],
                    finals=[False, False],
                )
            )
        read = await asyncio.to_thread(metrics, PORT)
        action = decisions[0].action.value
        assert read["trim_calls_total", "OK", "Decide"] == 6
        assert read["trim_calls_total", "NOT_FOUND", "Decide"] == 1
        assert read["trim_calls_total", "OK", "DecideBatch"] == 1
        assert read["trim_call_seconds_count", "Decide"] == 7
        assert read["trim_decisions_total", action, "pomdp:0.002"] == 5
        assert read["trim_decisions_total", "regenerate", "thr"] == 0
        assert read["trim_decisions_total", "regenerate", "strong"] == 1
        assert read["trim_refusals_total", "NOT_FOUND", "lambda"] == 1
        assert read["trim_refusals_total", "INVALID_ARGUMENT", "r"] == 1
        assert read["trim_belief_entropy_nats_count",] == 5
        assert read["trim_table_info", "pomdp:0.002", table_hash] == 1
        assert 0 <= read["trim_table_age_seconds",] < 60
        assert read["trim_table_reloads_total", "taken"] == 0
        assert read["process_resident_memory_bytes",] > 1e6
        documented = OPERATIONS.read_text()
        families = {key[0] for key in read if key[0].startswith("trim_")}
        suffixes = ("_total", "_bucket", "_count", "_sum")
        for name in families:
            stem = next((name.removesuffix(suffix) for suffix in suffixes if name.endswith(suffix)), name)
            assert f"`{stem}" in documented, f"{name} is not documented"


async def test_the_decision_log_is_complete_and_replays_to_full_agreement(
    table_directory: Path, other_directory: Path, tmp_path: Path
) -> None:
    made = await _decide_some(table_directory, tmp_path / "log")
    lines = logged(tmp_path / "log")
    assert len(lines) == len(made)
    assert [line["break_even_tokens"] for line in lines] == [decision.break_even_tokens for decision in made]
    same = replay(tmp_path / "log", Catalogue(PolicyTable.load(table_directory)))
    assert same.policies["pomdp:0.002"].agreement == 1
    other = replay(tmp_path / "log", Catalogue(PolicyTable.load(other_directory)))
    comparison = other.policies["pomdp:0.002"]
    expected = [
        Catalogue(PolicyTable.load(other_directory))
        .get("pomdp:0.002")
        .decide(
            Proposal(line["step"], line["m"], line["r"], line["tokens"], line["final"]),
            None if line["last_action"] is None else Carry(tuple(line["last_belief"]), Action(line["last_action"])),
        )
        .action
        for line in lines
    ]
    changed = sum(action is not decision.action for action, decision in zip(expected, made, strict=True))
    assert 0 < changed < len(made)
    assert comparison.agreement == pytest.approx(1 - changed / len(made))
    shown = json.loads(trim("replay", tmp_path / "log", "--tables", other_directory, "--json").stdout)
    document = shown["policies"]["pomdp:0.002"]
    assert document["continue_to_regenerate"] + document["regenerate_to_continue"] == changed
    prices = [5 + 1.1 * line["tokens"] for line in lines]
    for side, actions in (("logged", [decision.action for decision in made]), ("replayed", expected)):
        cost = sum(price for price, action in zip(prices, actions, strict=True) if action is Action.REGENERATE)
        assert document[f"{side}_strong_tokens"] == pytest.approx(cost)
    weak = replay(tmp_path / "log", Catalogue(None), policy="weak")
    assert weak.policies["pomdp:0.002"].replayed_tokens == 0


def logged(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for file in sorted(directory.glob("*.jsonl")) for line in file.read_text().splitlines()]


def _entries(directory: Path) -> list[Path]:
    return list(directory.iterdir())


async def _decide_some(tables: Path, log: Path) -> list[Decision]:
    made: list[Decision] = []
    with serving(tables, "--decision-log", str(log)) as server:
        async with PlannerClient(server.address) as client:
            for trace in range(10):
                carry = None
                for step in range(1, 5):
                    earlier = 1.0 if step == 1 else 0.3 + trace / 20
                    proposal = Proposal(
                        step, earlier, (trace * 7 + step * 3) % 11 / 11, 60 * trace + 5, final=step == 4
                    )
                    made.append(await client.decide("pomdp:0.002", proposal, carry))
                    carry = made[-1].carry
    return made


def test_torn_lines_are_counted_and_strange_ones_refused(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text('{"time": 1, "poli\n')
    assert replay(log, Catalogue(None)).torn_lines == 1
    log.write_text('{"other": 1}\n')
    for arguments in ([log], [tmp_path / "absent"], [tmp_path / "empty"]):
        (tmp_path / "empty").mkdir(exist_ok=True)
        done = trim("replay", *arguments, "--tables", tmp_path)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)


async def test_the_log_is_sampled_and_rotated(table_directory: Path, tmp_path: Path) -> None:
    options = ["--decision-log-rate", "0.5", "--decision-log-bytes", "2000", "--decision-log-files", "3"]
    with serving(table_directory, "--decision-log", str(tmp_path), *options) as server:
        async with PlannerClient(server.address) as client:
            await asyncio.gather(*(client.decide("pomdp:0.002", FIRST, None) for _ in range(200)))
    files = sorted(path.name for path in _entries(tmp_path))
    assert len(files) == 3
    numbers = [int(name.removesuffix(".jsonl").rpartition("-")[2]) for name in files]
    assert numbers == list(range(numbers[0], numbers[0] + 3))
    kept = logged(tmp_path)
    assert {line["policy"] for line in kept} == {"pomdp:0.002"}
    size = sum(path.stat().st_size for path in _entries(tmp_path)) / len(kept)
    assert 50 < numbers[-1] * 2000 / size < 160  # of 200, a half


async def test_a_full_disk_loses_log_lines_and_nothing_else(table_directory: Path, tmp_path: Path) -> None:
    (tmp_path / "decisions-0-00000001.jsonl").symlink_to("/dev/full")
    options = ["--decision-log", str(tmp_path), "--metrics", f"127.0.0.1:{PORT}"]
    with serving(table_directory, *options) as server:
        async with PlannerClient(server.address, attempts=1) as client:
            await asyncio.gather(*(client.decide("pomdp:0.002", FIRST, None) for _ in range(300)))
        await asyncio.sleep(0.2)
        read = await asyncio.to_thread(metrics, PORT)
        assert read["trim_decision_log_lines_total", "dropped"] == 300
        assert read["trim_decision_log_lines_total", "written"] == 0
    assert server.said("decisions are not logged")[0]["error"] == "No space left on device"


async def test_policies_that_there_are_not_take_no_labels(table_directory: Path) -> None:
    with serving(table_directory, "--metrics", f"127.0.0.1:{PORT}") as server:
        async with aio.insecure_channel(server.address) as channel:
            stub = pb_grpc.PlannerServiceStub(channel)
            row: dict[str, Any] = {
                "steps": [1],
                "earlier": [1],
                "newest": [0.4],
                "token_counts": [1],
                "finals": [False],
            }
            for turn in range(4):
                names = [f"none-{turn}-{place}" for place in range(64)]
                await stub.DecideBatch(pb.DecideBatchRequest(policy_ids=names, policies=[0], **row))
            await stub.Decide(request())
        read = await asyncio.to_thread(metrics, PORT)
        assert {key[2] for key in read if key[0] == "trim_decisions_total"} == {"pomdp:0.002"}


def test_a_log_that_is_slow_holds_so_many_lines_and_no_more(tmp_path: Path) -> None:
    log, disk = DecisionLog(LogSettings(tmp_path, 1, 2**20, 2), 0), threading.Event()

    def rows() -> Iterator[LoggedDecision]:
        disk.wait()
        return iter(())

    for _ in range(50):
        log.put_many(rows, 4096)
    assert 20 * 4096 < log.dropped < 40 * 4096
    disk.set()
    log.close()


def test_strange_files_beside_the_log_stop_nothing(tmp_path: Path, catalogue: Catalogue) -> None:
    strange = tmp_path / "decisions-0-kept.jsonl"
    strange.write_text("x" * 2000)
    log = DecisionLog(LogSettings(tmp_path, 1, 1024, 2), 0)
    log.put("weak", FIRST, None, catalogue.get("weak").decide(FIRST, None))
    log.close()
    assert (log.written, log.dropped) == (1, 0)
    assert strange.exists()


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    def __init__(self) -> None:
        self.names: list[str] = []

    def Export(self, request: Any, _: grpc.ServicerContext) -> Any:  # noqa: N802
        for resource in request.resource_spans:
            self.names += [span.name for scope in resource.scope_spans for span in scope.spans]
        return trace_service_pb2.ExportTraceServiceResponse()


async def test_traces_reach_a_collector(table_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    collector = Collector()
    receiver = grpc.server(ThreadPoolExecutor(2))
    add: Any = trace_service_pb2_grpc.add_TraceServiceServicer_to_server
    add(collector, receiver)
    port = receiver.add_insecure_port("127.0.0.1:0")
    receiver.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_INSECURE", "true")
    with serving(table_directory, "--traces") as server:
        await _ask_once(server)
    receiver.stop(None)
    assert collector.names == ["/planner.v1.PlannerService/Decide"]


async def _ask_once(server: Server) -> None:
    async with aio.insecure_channel(server.address) as channel:
        assert (await pb_grpc.PlannerServiceStub(channel).Decide(request())).action
