"""Streams through a real server: traces, watches, tables."""

import asyncio
import json
from pathlib import Path

import grpc
import pytest
from grpc import aio

from planner.table import PolicyTable
from planner.v1 import planner_pb2 as pb
from planner.v1 import planner_pb2_grpc as pb_grpc
from tests.planner.servers import request, serving, swap


async def test_a_trace_is_routed_on_one_stream(channel: aio.Channel) -> None:
    stub = pb_grpc.PlannerServiceStub(channel)
    stream = stub.RouteTrace()
    await stream.write(pb.RouteTraceRequest(sequence=7, proposal=request()))
    first = await stream.read()
    assert isinstance(first, pb.RouteTraceResponse)
    assert (first.sequence, first.decision) == (7, await stub.Decide(request()))
    await stream.write(pb.RouteTraceRequest(sequence=8, proposal=request(token_count=0)))
    refused = await stream.read()
    assert isinstance(refused, pb.RouteTraceResponse)
    assert (refused.sequence, refused.refusal.refusal) == (8, pb.REFUSAL_INVALID_ARGUMENT)
    assert refused.refusal.field == "token_count"
    second = request(step=2, scores=pb.Scores(values=[0.4, 0.9]), belief=first.decision.belief, last_action=1)
    await stream.write(pb.RouteTraceRequest(sequence=9, proposal=second))
    answer = await stream.read()
    assert isinstance(answer, pb.RouteTraceResponse)
    assert answer.decision == await stub.Decide(second)
    await stream.done_writing()
    assert await stream.read() is aio.EOF
    assert await stream.code() is grpc.StatusCode.OK


async def test_policies_are_listed_and_described(channel: aio.Channel, saved_table: PolicyTable) -> None:
    stub = pb_grpc.PlannerServiceStub(channel)
    listed = (await stub.ListPolicies(pb.ListPoliciesRequest())).policies
    assert [(p.policy_id, p.lam, p.table_hash) for p in listed] == [
        (f"pomdp:{entry.lam!r}", entry.lam, saved_table.content_hash) for entry in saved_table.entries
    ]
    described = await stub.GetPolicy(pb.GetPolicyRequest(policy_id="pomdp:0.002"))
    assert described.policy == listed[1]
    assert described.policy.lower <= described.policy.value <= described.policy.upper
    assert (described.max_steps, described.resolution) == (saved_table.break_even.shape[1], saved_table.resolution)
    assert json.loads(described.provenance_json) == saved_table.provenance
    for unknown in ("pomdp:9", "thr:0.5", ""):
        with pytest.raises(aio.AioRpcError) as caught:
            await stub.GetPolicy(pb.GetPolicyRequest(policy_id=unknown))
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_a_table_comes_whole(channel: aio.Channel, saved_table: PolicyTable, tmp_path: Path) -> None:
    stub = pb_grpc.PlannerServiceStub(channel)
    async for piece in stub.GetTable(pb.GetTableRequest(table_hash=saved_table.content_hash)):
        with (tmp_path / piece.file).open("ab") as stream:
            stream.write(piece.content)
    assert PolicyTable.load(tmp_path).content_hash == saved_table.content_hash
    with pytest.raises(aio.AioRpcError) as caught:
        await stub.GetTable(pb.GetTableRequest(table_hash="x")).read()
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_watchers_hear_of_changes_and_of_the_end(
    table_directory: Path, other_directory: Path, tmp_path: Path
) -> None:
    swap(tmp_path, table_directory)
    with serving(tmp_path, "--watch-seconds", "0.05") as server:
        async with aio.insecure_channel(server.address) as channel, asyncio.timeout(20):
            stub = pb_grpc.PlannerServiceStub(channel)
            watch = stub.WatchPolicies(pb.WatchPoliciesRequest())
            trace = stub.RouteTrace()
            first = await watch.read()
            assert isinstance(first, pb.WatchPoliciesResponse)
            swap(tmp_path, other_directory)
            second = await watch.read()
            assert isinstance(second, pb.WatchPoliciesResponse)
            hashes = [{policy.table_hash for policy in answer.policies} for answer in (first, second)]
            assert hashes == [{PolicyTable.load(d).content_hash} for d in (table_directory, other_directory)]
            await trace.write(pb.RouteTraceRequest(sequence=1, proposal=request()))
            await trace.read()
            server.process.terminate()
            for stream in (watch, trace):
                with pytest.raises(aio.AioRpcError) as caught:
                    await stream.read()
                assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
                assert "leaving" in (caught.value.details() or "")
            assert await asyncio.to_thread(server.process.wait) == 0


async def test_a_stream_without_a_deadline_gets_one(table_directory: Path) -> None:
    with serving(table_directory, "--call-seconds", "0.3") as server:
        async with aio.insecure_channel(server.address) as channel:
            stub = pb_grpc.PlannerServiceStub(channel)
            stream = stub.RouteTrace()
            await stream.write(pb.RouteTraceRequest(sequence=1, proposal=request()))
            assert await stream.read() is not aio.EOF
            with pytest.raises(aio.AioRpcError) as caught:
                await stream.read()
            assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            assert "0.3 s" in (caught.value.details() or "")
            patient = stub.RouteTrace(timeout=20)
            await asyncio.sleep(0.5)
            await patient.write(pb.RouteTraceRequest(sequence=1, proposal=request()))
            assert await patient.read() is not aio.EOF
            patient.cancel()


async def test_a_client_that_does_not_read_is_told_all_the_same(
    table_directory: Path, saved_table: PolicyTable
) -> None:
    narrow = [("grpc.http2.lookahead_bytes", 1024), ("grpc.http2.bdp_probe", 0)]  # so that the first message fills it
    with serving(table_directory, "--call-seconds", "0.3") as server:
        async with aio.insecure_channel(server.address, options=narrow) as channel, asyncio.timeout(20):
            stream = pb_grpc.PlannerServiceStub(channel).GetTable(
                pb.GetTableRequest(table_hash=saved_table.content_hash)
            )
            await asyncio.sleep(0.6)
            with pytest.raises(aio.AioRpcError) as caught:
                [piece async for piece in stream]
            assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            assert "0.3 s" in (caught.value.details() or "")
