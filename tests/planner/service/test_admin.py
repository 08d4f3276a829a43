"""Policies built, activated and retired while the server answers."""

import asyncio
import fcntl
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import psutil
import pytest
from grpc import aio

from planner.client import PlannerClient, PlannerRefusedError
from planner.exact import solve_exact
from planner.pomdp import RoutingPOMDP
from planner.service.builds import BuildOrder, running_build
from planner.table import PolicyTable, tabulate
from planner.v1 import admin_pb2 as pb
from planner.v1 import admin_pb2_grpc as pb_grpc
from tests.planner.servers import FIRST, Server, serving, until


@pytest.fixture(scope="module")
def built(pomdp: RoutingPOMDP, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of one table."""
    folder = tmp_path_factory.mktemp("folder")
    tabulate(pomdp, solve_exact(pomdp, [0.002])).save(folder / "first")
    return folder


@pytest.fixture(scope="module")
def admin_server(built: Path) -> "AsyncIterator[Server]":  # type: ignore[misc]
    with serving(built, "--admin", "--watch-seconds", "0.1") as server:
        yield server


@pytest.fixture
async def stub(admin_server: Server) -> "AsyncIterator[pb_grpc.PolicyAdminServiceAsyncStub]":
    async with aio.insecure_channel(admin_server.address) as channel:
        yield pb_grpc.PolicyAdminServiceStub(channel)


async def test_a_policy_is_built_activated_and_retired(
    admin_server: Server, stub: "pb_grpc.PolicyAdminServiceAsyncStub", pomdp: RoutingPOMDP
) -> None:
    async with PlannerClient(admin_server.address) as client:
        told = [answer async for answer in stub.BuildPolicy(pb.BuildPolicyRequest(lam=0.004))]
        stages = [answer.stage for answer in told]
        assert stages[0] == pb.BUILD_STAGE_STARTED
        assert sorted(stages) == stages
        assert stages[-1] == pb.BUILD_STAGE_DONE
        policy = told[-1].policy
        (exact,) = solve_exact(pomdp, [0.004])
        assert policy.value == pytest.approx(exact.value)
        with pytest.raises(PlannerRefusedError, match="it was built for"):
            await client.decide("pomdp:0.004", FIRST, None)
        active = await stub.ActivatePolicy(pb.ActivatePolicyRequest(lam=0.004, table_hash=policy.table_hash))
        assert [each.lam for each in active.policies] == [0.002, 0.004]
        assert (await client.decide("pomdp:0.004", FIRST, None)).table_hash == policy.table_hash
        left = await stub.RetirePolicy(pb.RetirePolicyRequest(lam=0.004))
        assert [each.lam for each in left.policies] == [0.002]
        with pytest.raises(PlannerRefusedError, match="it was built for"):
            await client.decide("pomdp:0.004", FIRST, None)
        await client.decide("pomdp:0.002", FIRST, None)


async def test_decisions_go_on_during_a_build_and_cancelling_ends_its_process(
    admin_server: Server, stub: "pb_grpc.PolicyAdminServiceAsyncStub", built: Path
) -> None:
    build = stub.BuildPolicy(pb.BuildPolicyRequest(lam=1e-5, gap=1e-9, table_hash=_first(built)))
    first = await build.read()
    assert isinstance(first, pb.BuildPolicyResponse)
    (child,) = psutil.Process(admin_server.process.pid).children()
    async with PlannerClient(admin_server.address, attempts=1, deadline=1) as client:
        for _ in range(50):
            await client.decide("pomdp:0.002", FIRST, None)
    with pytest.raises(aio.AioRpcError) as caught:
        await stub.BuildPolicy(pb.BuildPolicyRequest(lam=0.1, table_hash=_first(built))).read()
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    build.cancel()
    await until(lambda: not psutil.pid_exists(child.pid))
    await until(lambda: not list(built.glob(".building-*")))


async def test_a_build_that_fails_says_why(stub: "pb_grpc.PolicyAdminServiceAsyncStub", built: Path) -> None:
    with pytest.raises(aio.AioRpcError) as caught:
        async for _ in stub.BuildPolicy(pb.BuildPolicyRequest(lam=1e-300, gap=1e-18, table_hash=_first(built))):
            pass
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert caught.value.details()


@pytest.mark.parametrize(
    ("asked", "code", "named"),
    [
        (pb.BuildPolicyRequest(), grpc.StatusCode.INVALID_ARGUMENT, "lam"),
        (pb.BuildPolicyRequest(lam=-1), grpc.StatusCode.INVALID_ARGUMENT, "lam"),
        (pb.BuildPolicyRequest(lam=1, gap=0), grpc.StatusCode.INVALID_ARGUMENT, "gap"),
        (pb.BuildPolicyRequest(lam=1, table_hash="x"), grpc.StatusCode.INVALID_ARGUMENT, "table_hash"),
        (pb.ActivatePolicyRequest(lam=1), grpc.StatusCode.INVALID_ARGUMENT, "table_hash"),
        (pb.ActivatePolicyRequest(lam=1, table_hash="x"), grpc.StatusCode.NOT_FOUND, "table_hash"),
        (pb.RetirePolicyRequest(lam=1), grpc.StatusCode.NOT_FOUND, "on offer are"),
    ],
)
async def test_requests_that_make_no_sense_are_refused(
    stub: "pb_grpc.PolicyAdminServiceAsyncStub",
    asked: pb.BuildPolicyRequest | pb.ActivatePolicyRequest | pb.RetirePolicyRequest,
    code: grpc.StatusCode,
    named: str,
) -> None:
    with pytest.raises(aio.AioRpcError) as caught:
        await _call(stub, asked)
    assert caught.value.code() is code
    assert named in (caught.value.details() or "")


async def _call(
    stub: "pb_grpc.PolicyAdminServiceAsyncStub",
    asked: pb.BuildPolicyRequest | pb.ActivatePolicyRequest | pb.RetirePolicyRequest,
) -> object:
    match asked:
        case pb.BuildPolicyRequest():
            return await stub.BuildPolicy(asked).read()
        case pb.ActivatePolicyRequest():
            return await stub.ActivatePolicy(asked)
        case _:
            return await stub.RetirePolicy(asked)


async def test_it_is_off_unless_enabled_and_wants_a_folder(address: str, table_directory: Path) -> None:
    async with aio.insecure_channel(address) as channel:
        with pytest.raises(aio.AioRpcError) as caught:
            await pb_grpc.PolicyAdminServiceStub(channel).RetirePolicy(pb.RetirePolicyRequest(lam=0.002))
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    with serving(table_directory, "--admin") as server:
        async with aio.insecure_channel(server.address) as channel:
            with pytest.raises(aio.AioRpcError) as caught:
                await pb_grpc.PolicyAdminServiceStub(channel).RetirePolicy(pb.RetirePolicyRequest(lam=0.002))
            assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
            assert "serve a folder" in (caught.value.details() or "")


def _first(built: Path) -> str:
    return PolicyTable.load(built / "first").content_hash


async def test_admin_tokens_are_others(built: Path, tmp_path: Path) -> None:
    callers, admins = tmp_path / "callers", tmp_path / "admins"
    callers.write_text("a-token-for-the-callers")
    admins.write_text("a-token-for-the-admins")
    options = ["--admin", "--tokens", str(callers), "--admin-tokens", str(admins)]
    with serving(built, *options) as server:
        async with aio.insecure_channel(server.address) as channel, asyncio.timeout(20):
            stub = pb_grpc.PolicyAdminServiceStub(channel)
            outcomes = []
            for token in ("a-token-for-the-callers", "a-token-for-the-admins"):
                with pytest.raises(aio.AioRpcError) as caught:
                    await stub.RetirePolicy(
                        pb.RetirePolicyRequest(lam=7), metadata=(("authorization", f"Bearer {token}"),)
                    )
                outcomes.append(caught.value.code())
    assert outcomes == [grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.NOT_FOUND]


async def test_decisions_do_not_wait_for_others_who_change_the_folder(
    admin_server: Server, stub: "pb_grpc.PolicyAdminServiceAsyncStub", built: Path
) -> None:
    async with PlannerClient(admin_server.address, attempts=1, deadline=5) as client:
        table_hash = (await client.decide("pomdp:0.002", FIRST, None)).table_hash
        with (built / ".active.json.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            changing = asyncio.ensure_future(
                stub.ActivatePolicy(pb.ActivatePolicyRequest(lam=0.002, table_hash=table_hash))
            )
            await asyncio.sleep(0.2)
            await client.decide("pomdp:0.002", FIRST, None)
            assert not changing.done()
        assert [policy.lam for policy in (await changing).policies] == [0.002]


async def test_a_build_that_is_cancelled_as_it_starts_leaves_no_files(tmp_path: Path) -> None:
    for _ in range(3):
        building = asyncio.ensure_future(_enter(BuildOrder(tmp_path, 0.002, 1e-4), tmp_path))
        await asyncio.sleep(0)  # its directory is there, its process is being started
        assert _files(tmp_path)
        building.cancel()
        await asyncio.gather(building, return_exceptions=True)
        assert not _files(tmp_path)


async def _enter(order: BuildOrder, folder: Path) -> None:
    async with running_build(order, folder):
        raise AssertionError("it was cancelled before")


def _files(folder: Path) -> list[Path]:
    return list(folder.iterdir())
