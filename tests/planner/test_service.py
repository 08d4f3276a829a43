"""A real server process, a real channel."""

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from planner.client import PlannerClient, PlannerRefusedError, PlannerUnavailableError
from planner.decision import Action, Carry, Proposal
from planner.local import LocalPlanner
from planner.table import PolicyTable
from planner.v1 import planner_pb2 as pb
from planner.v1 import planner_pb2_grpc as pb_grpc
from tests.planner.servers import TRIM, request, start, stop

SERVICE = "planner.v1.PlannerService"
SURE = pb.Belief(correct=1, derailed=0, recoverable=0)


@pytest.fixture(scope="module")
def server(table_directory: Path) -> Iterator[str]:
    process, ready = start(table_directory)
    yield ready["listening"]
    assert stop(process) == 0


@pytest.fixture
async def channel(server: str) -> AsyncIterator[aio.Channel]:
    async with aio.insecure_channel(server) as channel:
        yield channel


scores = st.lists(st.floats(0, 1), min_size=1, max_size=8)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(
    scores,
    st.integers(1, 400),
    st.sampled_from(["pomdp:0.002", "pomdp-memoryless:0.0005", "thr:0.3", "weak", "strong"]),
    st.data(),
)
def test_remote_decisions_are_the_local_ones_bit_for_bit(
    server: str, table_directory: Path, values: list[float], tokens: int, policy: str, data: st.DataObject
) -> None:
    async def walk() -> None:
        local, carry = LocalPlanner(PolicyTable.load(table_directory)), None
        async with PlannerClient(server) as remote:
            for step in range(1, len(values) + 1):
                proposal = Proposal.from_scores(tuple(values[:step]), tokens=tokens, final=step == len(values))
                decision = await remote.decide(policy, proposal, carry)
                assert decision == await local.decide(policy, proposal, carry)
                carry = Carry(decision.belief, data.draw(st.sampled_from(list(Action))))

    asyncio.run(walk())


async def test_the_wire_takes_whole_score_lists(
    channel: aio.Channel, table: PolicyTable, table_directory: Path
) -> None:
    stub = pb_grpc.PlannerServiceStub(channel)
    first = await stub.Decide(request())
    assert first.table_hash == PolicyTable.load(table_directory).content_hash
    by_list = request(step=2, scores=pb.Scores(values=[0.4, 0.7]), belief=first.belief, last_action=first.action)
    by_features = request(
        step=2,
        scores=None,
        features=pb.Features(earlier=0.4, newest=0.7),
        belief=first.belief,
        last_action=first.action,
    )
    assert await stub.Decide(by_list) == await stub.Decide(by_features)


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"policy_id": ""}, grpc.StatusCode.INVALID_ARGUMENT, "policy_id"),
        ({"policy_id": "pomdp:0.5"}, grpc.StatusCode.NOT_FOUND, "lambda"),
        ({"policy_id": None, "lam": 0.5}, grpc.StatusCode.NOT_FOUND, "lambda"),
        ({"policy_id": "nobody"}, grpc.StatusCode.NOT_FOUND, "policy_id"),
        ({"step": None}, grpc.StatusCode.INVALID_ARGUMENT, "step"),
        ({"step": 0, "scores": pb.Scores()}, grpc.StatusCode.INVALID_ARGUMENT, "scores"),
        ({"step": 2}, grpc.StatusCode.INVALID_ARGUMENT, "scores"),
        ({"token_count": None}, grpc.StatusCode.INVALID_ARGUMENT, "token_count"),
        ({"token_count": 0}, grpc.StatusCode.INVALID_ARGUMENT, "token_count"),
        ({"final": None}, grpc.StatusCode.INVALID_ARGUMENT, "final"),
        ({"scores": None}, grpc.StatusCode.INVALID_ARGUMENT, "observation"),
        ({"scores": pb.Scores(values=[float("nan")])}, grpc.StatusCode.INVALID_ARGUMENT, "scores"),
        (
            {"scores": None, "features": pb.Features(earlier=0.5, newest=0.5)},
            grpc.StatusCode.INVALID_ARGUMENT,
            "m is 0.5",
        ),
        ({"scores": None, "features": pb.Features(newest=0.5)}, grpc.StatusCode.INVALID_ARGUMENT, "features.earlier"),
        ({"belief": pb.Belief(correct=1)}, grpc.StatusCode.INVALID_ARGUMENT, "all three"),
        ({"belief": SURE}, grpc.StatusCode.INVALID_ARGUMENT, "last_action"),
        (
            {"belief": pb.Belief(correct=2, derailed=0, recoverable=0), "last_action": 1},
            grpc.StatusCode.INVALID_ARGUMENT,
            "belief",
        ),
        ({"last_action": 7}, grpc.StatusCode.INVALID_ARGUMENT, "last_action"),
        ({"step": 2, "scores": pb.Scores(values=[0.5, 0.5])}, grpc.StatusCode.INVALID_ARGUMENT, "belief"),
        ({"scores": pb.Scores(values=[0.5] * 1310720)}, grpc.StatusCode.RESOURCE_EXHAUSTED, "larger than max"),
    ],
)
async def test_bad_requests_get_a_precise_status(
    channel: aio.Channel, changes: dict[str, Any], code: grpc.StatusCode, field: str
) -> None:
    stub = pb_grpc.PlannerServiceStub(channel)
    with pytest.raises(aio.AioRpcError) as caught:
        await stub.Decide(request(**changes))
    assert (caught.value.code(), field in (caught.value.details() or "")) == (code, True)
    assert (await stub.Decide(request())).action != pb.ACTION_UNSPECIFIED


async def test_random_bytes_do_not_hurt(channel: aio.Channel) -> None:
    call: Any = channel.unary_unary(f"/{SERVICE}/Decide")
    for length in (1, 7, 100):
        with pytest.raises(aio.AioRpcError) as caught:
            await call(b"\xff" * length)
        assert caught.value.code() in {
            grpc.StatusCode.INTERNAL,
            grpc.StatusCode.INVALID_ARGUMENT,
            grpc.StatusCode.UNKNOWN,
        }
    assert (await pb_grpc.PlannerServiceStub(channel).Decide(request())).action != pb.ACTION_UNSPECIFIED


async def test_health_and_reflection(channel: aio.Channel) -> None:
    health: Any = health_pb2_grpc.HealthStub(channel)  # its stubs do not know grpc.aio
    for name in ("", SERVICE):
        answer = await health.Check(health_pb2.HealthCheckRequest(service=name))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    untyped: Any = channel
    reflection: Any = reflection_pb2_grpc.ServerReflectionStub(untyped)
    call = reflection.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
    listed = [service.name async for answer in call for service in answer.list_services_response.service]
    assert SERVICE in listed


async def test_the_client_tells_refusals_from_absence(server: str) -> None:
    proposal = Proposal(1, 1.0, 0.5, 10, final=False)
    async with PlannerClient(server) as client:
        with pytest.raises(PlannerRefusedError, match="it was built for"):
            await client.decide("pomdp:0.7", proposal, None)
    async with PlannerClient("127.0.0.1:1", attempts=2) as client:
        with pytest.raises(PlannerUnavailableError, match="trim serve"):
            await client.decide("thr:0.5", proposal, None)


async def test_a_restarted_planner_is_found_again(table_directory: Path, tmp_path: Path) -> None:
    address = f"unix:{tmp_path / 'planner.sock'}"
    proposal = Proposal(1, 1.0, 0.5, 10, final=False)
    async with PlannerClient(address, attempts=30) as client:
        for _ in range(2):
            process, _ = start(table_directory, listen=address)
            await client.decide("pomdp:0.002", proposal, None)
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()


def test_closing_standard_input_ends_a_child_planner(table_directory: Path) -> None:
    process, _ = start(table_directory, "--until-stdin-closes")
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(timeout=20) == 0
    for pipe in (process.stdout, process.stderr):
        assert pipe is not None
        pipe.close()


def test_a_child_planner_still_listens_to_sigterm(table_directory: Path) -> None:
    process, _ = start(table_directory, "--until-stdin-closes")
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 0
    _, errors = process.communicate()
    assert [json.loads(line)["message"] for line in errors.splitlines()] == ["ready", "draining", "left"]


@pytest.mark.parametrize(
    ("listen", "complaint"),
    [
        ("0.0.0.0:0", "loopback"),
        ("example.org:1", "loopback"),
        ("nonsense", "HOST:PORT"),
        (":50051", "HOST:PORT"),
        ("127.0.0.1:port", "HOST:PORT"),
        ("127.0.0.1:99999", "HOST:PORT"),
        ("unix:", "HOST:PORT"),
    ],
)
def test_only_loopback_is_served(table_directory: Path, listen: str, complaint: str) -> None:
    command = [*TRIM, "serve", "--tables", str(table_directory), "--listen", listen]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_taken_port_is_one_clear_line(server: str, table_directory: Path) -> None:
    command = [*TRIM, "serve", "--tables", str(table_directory), "--listen", server]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "cannot bind" in done.stderr.splitlines()[-1]
