"""`DecideBatch` through a real server: row for row what `Decide` says."""

import asyncio
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from grpc import aio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from planner.client import PlannerClient
from planner.client.batching import Question, batch_message, read_answers
from planner.decision import Action, Carry, Decision, Proposal
from planner.policies.catalogue import Catalogue
from planner.table import PolicyTable
from planner.v1 import planner_pb2 as pb
from planner.v1 import planner_pb2_grpc as pb_grpc

POLICIES = ["pomdp:0.002", "pomdp-memoryless:0.0005", "thr:0.5", "weak", "strong"]
unit = st.floats(0, 1)


@st.composite
def questions(draw: st.DrawFn) -> tuple[str, Proposal, Carry | None]:
    step = draw(st.integers(1, 9))
    proposal = Proposal(
        step, 1.0 if step == 1 else draw(unit), draw(unit), draw(st.integers(1, 900)), draw(st.booleans())
    )
    low, high = sorted((draw(unit), draw(unit)))
    carry = None if step == 1 else Carry((low, high - low, 1 - high), draw(st.sampled_from(list(Action))))
    return draw(st.sampled_from(POLICIES)), proposal, carry


def test_batched_decisions_are_the_local_ones_bit_for_bit(address: str, saved_table: PolicyTable) -> None:
    channel = grpc.insecure_channel(address)
    stub: Any = pb_grpc.PlannerServiceStub(channel)
    catalogue = Catalogue(saved_table)

    @settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(questions(), min_size=1, max_size=30))
    def check(asked: list[tuple[str, Proposal, Carry | None]]) -> None:
        nobody: Any = None
        rows = [Question(*question, answer=nobody) for question in asked]
        answers = read_answers(rows, stub.DecideBatch(batch_message(rows)))
        assert answers == [catalogue.get(policy).decide(proposal, carry) for policy, proposal, carry in asked]

    check()
    channel.close()


def columns(**changes: Any) -> pb.DecideBatchRequest:
    fields: dict[str, Any] = {
        "policy_ids": ["pomdp:0.002"],
        "steps": [1, 1, 2],
        "earlier": [1.0, 1.0, 0.4],
        "newest": [0.4, 0.9, 0.2],
        "token_counts": [30, 40, 50],
        "finals": [False, False, True],
        "last_actions": [0, 0, 1],
        "beliefs": [0, 0, 0, 0, 0, 0, 0.5, 0.2, 0.3],
    }
    return pb.DecideBatchRequest(**(fields | changes))


async def test_a_refused_row_is_named_and_hurts_no_other(channel: aio.Channel) -> None:
    stub = pb_grpc.PlannerServiceStub(channel)
    whole = await stub.DecideBatch(columns())
    assert not whole.refusals
    torn = await stub.DecideBatch(columns(newest=[0.4, 1.5, 0.2]))
    (refusal,) = torn.refusals
    assert (refusal.row, refusal.refusal, refusal.field) == (1, pb.REFUSAL_INVALID_ARGUMENT, "r")
    assert list(torn.actions) == [whole.actions[0], pb.ACTION_UNSPECIFIED, whole.actions[2]]
    assert torn.break_even_tokens[2] == whole.break_even_tokens[2]


async def test_rows_of_unknown_policies_are_not_found(channel: aio.Channel) -> None:
    stub = pb_grpc.PlannerServiceStub(channel)
    answer = await stub.DecideBatch(columns(policy_ids=["pomdp:0.002", "pomdp:9"], policies=[0, 1, 0]))
    (refusal,) = answer.refusals
    assert (refusal.row, refusal.refusal, refusal.field) == (1, pb.REFUSAL_NOT_FOUND, "lambda")
    assert list(answer.table_hashes)[1] == ""


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"steps": []}, "steps"),
        ({"newest": [0.5]}, "newest"),
        ({"beliefs": [0.5]}, "beliefs"),
        ({"last_actions": [1]}, "last_actions"),
        ({"policy_ids": []}, "policy_ids"),
        ({"policy_ids": ["weak"] * 65}, "policy_ids"),
        ({"policy_ids": ["weak", "strong"]}, "policies"),
        ({"policies": [0, 0, 1]}, "policies[2]"),
        ({"steps": [1] * 4097}, "steps"),
    ],
)
async def test_columns_that_do_not_fit_are_refused_whole(channel: aio.Channel, changes: Any, field: str) -> None:
    with pytest.raises(aio.AioRpcError) as caught:
        await pb_grpc.PlannerServiceStub(channel).DecideBatch(columns(**changes))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert field in (caught.value.details() or "")


def _parsed(content: bytes) -> Message:
    return pb.DecideBatchResponse.FromString(content)


async def test_unpacked_columns_are_understood(channel: aio.Channel) -> None:
    """The wire allows repeated numbers one by one, too."""
    packed = columns(steps=[])
    unpacked = packed.SerializeToString() + b"\x18\x01\x18\x01\x18\x02"
    call: Any = channel.unary_unary("/planner.v1.PlannerService/DecideBatch")
    assert _parsed(await call(unpacked)) == await pb_grpc.PlannerServiceStub(channel).DecideBatch(columns())


async def test_the_client_gathers_concurrent_decisions(address: str, saved_table: PolicyTable) -> None:

    catalogue = Catalogue(saved_table)
    proposals = [Proposal(1, 1.0, score / 200, 30, final=False) for score in range(200)]
    asked = [(POLICIES[index % len(POLICIES)], proposal) for index, proposal in enumerate(proposals)]
    async with PlannerClient(address, linger=0.01) as client:
        answers = await asyncio.gather(*(client.decide(policy, proposal, None) for policy, proposal in asked))
        refused = await asyncio.gather(
            client.decide("pomdp:9", proposals[0], None),
            client.decide("weak", proposals[0], None),
            return_exceptions=True,
        )
    assert answers == [catalogue.get(policy).decide(proposal, None) for policy, proposal in asked]
    assert "it was built for" in str(refused[0])
    assert isinstance(refused[1], Decision)
    assert client.counts.decisions == 201
