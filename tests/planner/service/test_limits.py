"""Malformed, excessive, slow and stuck clients: each gets a precise answer, and nobody else notices."""

import asyncio
import socket
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc import aio
from grpc_status import rpc_status
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kde.errors import InputError
from planner.service.status import status_of
from planner.v1 import planner_pb2 as pb
from planner.v1 import planner_pb2_grpc as pb_grpc
from tests.planner.servers import request, serving

DECIDE = "/planner.v1.PlannerService/Decide"
PRECISE = {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND}
number = st.floats(width=64) | st.sampled_from([float("nan"), float("inf"), -1.0, 0.0, 0.5, 1.0, 1e-310])
count = st.integers(0, 2**32 - 1)
belief = st.builds(pb.Belief, correct=number, derailed=number | st.none(), recoverable=number)
anything = st.builds(
    request,
    policy_id=st.sampled_from(
        ["pomdp:0.002", "pomdp:1", "pomdp:nan", "thr:0.5", "thr:2", "weak", "", "x" * 5000, "é\n"]
    ),
    step=count | st.none() | st.integers(0, 3),
    scores=st.builds(pb.Scores, values=st.lists(number, max_size=4)) | st.none(),
    token_count=count | st.none(),
    final=st.booleans() | st.none(),
    belief=belief | st.none(),
    last_action=st.sampled_from([None, 0, 1, 2, 3, -7, 2**31 - 1]),
)


def test_whatever_is_asked_gets_a_precise_answer(address: str) -> None:
    channel = grpc.insecure_channel(address)
    stub: Any = pb_grpc.PlannerServiceStub(channel)

    @settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
    @given(anything)
    def check(asked: pb.DecideRequest) -> None:
        try:
            assert stub.Decide(asked).action in {pb.ACTION_CONTINUE, pb.ACTION_REGENERATE}
        except grpc.RpcError as error:
            call: Any = error
            assert call.code() in PRECISE
            details = {detail.TypeName(): detail for detail in rpc_status.from_call(call).details}
            violations = error_details_pb2.BadRequest()
            assert details["google.rpc.BadRequest"].Unpack(violations)
            assert violations.field_violations[0].field
            assert "google.rpc.ErrorInfo" in details

    check()
    assert stub.Decide(request()).action
    channel.close()


def test_random_bytes_on_the_wire_crash_nothing(address: str) -> None:
    channel = grpc.insecure_channel(address)
    calls: list[Any] = [
        channel.unary_unary(f"/planner.v1.PlannerService/{name}") for name in ("Decide", "DecideBatch", "GetPolicy")
    ]

    @settings(max_examples=100)
    @given(st.binary(max_size=300), st.sampled_from(calls))
    def check(content: bytes, call: Any) -> None:
        try:
            call(content)
        except grpc.RpcError as error:
            refused: Any = error
            assert refused.code() in PRECISE

    check()
    stub: Any = pb_grpc.PlannerServiceStub(channel)
    assert stub.Decide(request()).action
    channel.close()


def test_bytes_that_are_not_http2_crash_nothing(address: str) -> None:
    host, _, port = address.rpartition(":")
    for content in (b"GET / HTTP/1.1\r\n\r\n", b"\0" * 1000, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 200):
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            connection.sendall(content)
    with grpc.insecure_channel(address) as channel:
        stub: Any = pb_grpc.PlannerServiceStub(channel)
        assert stub.Decide(request()).action


async def test_ten_megabytes_are_too_much(channel: aio.Channel) -> None:
    call: Any = channel.unary_unary(DECIDE)
    with pytest.raises(aio.AioRpcError) as caught:
        await call(b"\0" * 10_000_000)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (await pb_grpc.PlannerServiceStub(channel).Decide(request())).action


async def test_a_long_queue_sheds_load_and_says_when_to_come_back(table_directory: Path) -> None:
    rows = 40_000  # one such batch keeps the others waiting for longer than the queue may take
    with serving(table_directory, "--queue-seconds", "0.005", "--batch-rows", str(rows)) as server:
        async with aio.insecure_channel(server.address) as channel:
            stub = pb_grpc.PlannerServiceStub(channel)
            ones = [1] * rows
            heavy = pb.DecideBatchRequest(
                policy_ids=["pomdp:0.002"],
                steps=ones,
                earlier=ones,
                newest=ones,
                token_counts=ones,
                finals=[False] * rows,
            )

            async def ask() -> aio.AioRpcError | None:
                try:
                    await stub.DecideBatch(heavy, timeout=30)
                except aio.AioRpcError as error:
                    return error
                return None

            outcomes = await asyncio.gather(*(ask() for _ in range(40)))
            shed = [error for error in outcomes if error is not None]
            assert shed
            assert None in outcomes
            for error in shed:
                assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            call: Any = shed[0]  # the helper's type is a call of the other API
            status = rpc_status.from_call(call)
            assert status is not None
            hint = error_details_pb2.RetryInfo()
            assert any(detail.Unpack(hint) for detail in status.details)
            assert 0.005 < hint.retry_delay.ToTimedelta().total_seconds() <= 2
            assert "grpc-retry-pushback-ms" in dict(shed[0].trailing_metadata() or ())
            await asyncio.sleep(0.2)
            assert await ask() is None


async def test_concurrent_calls_are_limited(table_directory: Path) -> None:
    with serving(table_directory, "--concurrent-calls", "3") as server:
        async with aio.insecure_channel(server.address) as channel:
            stub = pb_grpc.PlannerServiceStub(channel)
            streams = [stub.RouteTrace() for _ in range(3)]
            for stream in streams:
                await stream.write(pb.RouteTraceRequest(sequence=1, proposal=request()))
                await stream.read()
            with pytest.raises(aio.AioRpcError) as caught:
                await stub.Decide(request())
            assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            streams[0].cancel()
            await asyncio.sleep(0.2)
            assert (await stub.Decide(request())).action
            for stream in streams:
                stream.cancel()


async def test_streams_of_one_connection_are_limited_and_others_are_not_hurt(table_directory: Path) -> None:
    with serving(table_directory, "--streams-per-connection", "2") as server:
        options = [("grpc.use_local_subchannel_pool", 1)]
        async with (
            aio.insecure_channel(server.address, options=options) as greedy,
            aio.insecure_channel(server.address, options=options) as modest,
        ):
            stub = pb_grpc.PlannerServiceStub(greedy)
            streams = [stub.RouteTrace() for _ in range(2)]
            for stream in streams:
                await stream.write(pb.RouteTraceRequest(sequence=1, proposal=request()))
                await stream.read()
            with pytest.raises(aio.AioRpcError) as caught:
                await stub.Decide(request(), timeout=0.5)
            assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            assert (await pb_grpc.PlannerServiceStub(modest).Decide(request(), timeout=5)).action
            for stream in streams:
                stream.cancel()


async def test_a_client_that_never_reads_hurts_nobody(address: str) -> None:
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with (
        aio.insecure_channel(address, options=options) as stuck,
        aio.insecure_channel(address, options=options) as other,
    ):
        stream = pb_grpc.PlannerServiceStub(stuck).RouteTrace()
        writing = asyncio.create_task(_write_without_reading(stream))
        stub = pb_grpc.PlannerServiceStub(other)
        for _ in range(200):
            assert (await stub.Decide(request(), timeout=5)).action
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        stream.cancel()


async def _write_without_reading(stream: Any) -> None:
    for sequence in range(20_000):
        await stream.write(pb.RouteTraceRequest(sequence=sequence, proposal=request()))


async def test_old_connections_are_replaced_and_stuck_calls_end_with_them(table_directory: Path) -> None:
    with serving(table_directory, "--connection-seconds", "0.3", "--call-seconds", "0.3") as server:
        async with aio.insecure_channel(server.address) as channel, asyncio.timeout(20):
            stub = pb_grpc.PlannerServiceStub(channel)
            silent: Any = channel.stream_unary(DECIDE)
            stuck = silent(timeout=30)  # a unary call whose message never comes
            while not stuck.done():
                assert (await stub.Decide(request())).action
            assert await stuck.code() is grpc.StatusCode.UNAVAILABLE


def test_a_long_message_fits_into_what_clients_take_of_metadata() -> None:
    error = InputError("policy table", field="lambda", value=1, remedy="it was built for " + "0.0123, " * 3000)
    status = rpc_status.to_status(status_of(error))
    sent = [status.details.encode(), *(value for _, value in status.trailing_metadata)]
    assert sum(map(len, sent)) * 4 / 3 < 8192
    assert status.details.startswith("policy table: lambda is 1")
