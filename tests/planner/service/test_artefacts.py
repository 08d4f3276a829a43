"""A server of a folder that holds a table, a budget table and a learned policy."""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from planner.budget import BudgetTable
from planner.client import PlannerClient, PlannerRefusedError
from planner.decision import Decision, Proposal
from planner.local import LocalPlanner
from planner.policies.learned import LearnedPolicy
from planner.policies.offer import Offer
from planner.table import PolicyTable
from tests.planner.servers import FIRST, Server, serving

SCORES = (0.9, 0.2, 0.7, 0.05, 0.4)


@pytest.fixture(scope="module")
def folder(
    table: PolicyTable, budget_table: BudgetTable, learned: LearnedPolicy, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    place = tmp_path_factory.mktemp("offer")
    table.save(place / "table")
    budget_table.save(place / "budget")
    learned.save(place / "agg")
    return place


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    with serving(folder) as server:
        yield server


@pytest.mark.parametrize("linger", [None, 0.001])
@pytest.mark.parametrize(
    "policy", ["budget:100", "agg:0.002", "one-step-thr:0.3", "random:0.5", "rsd", "specreason:4", "pomdp:0.002"]
)
async def test_what_is_carried_survives_the_wire(
    folder: Path, server: Server, policy: str, linger: float | None
) -> None:
    local, carry = LocalPlanner(Offer.load(folder).catalogue), None
    made: list[Decision] = []
    async with PlannerClient(server.address, linger=linger) as remote:
        for step in range(1, len(SCORES) + 1):
            proposal = Proposal.from_scores(SCORES[:step], tokens=20 + step, final=step == len(SCORES))
            made.append(await remote.decide(policy, proposal, carry))
            assert made[-1] == await local.decide(policy, proposal, carry)
            carry = made[-1].carry
    if policy.startswith("budget"):
        spent = [decision.spent for decision in made]
        assert None not in spent
        assert 0 < max(tokens for tokens in spent if tokens is not None) <= 100


async def test_the_oracle_is_refused_with_the_reason(server: Server) -> None:
    async with PlannerClient(server.address) as client:
        with pytest.raises(PlannerRefusedError, match="no planner serves it"):
            await client.decide("oracle:0.002", FIRST, None)


async def test_learned_policies_are_listed_with_their_version(folder: Path, server: Server) -> None:
    async with PlannerClient(server.address) as client:
        listed = {policy.policy_id: policy.table_hash for policy in await client.list_policies()}
    assert listed["agg:0.002"] == LearnedPolicy.load(folder / "agg").table_hash
    assert set(listed) == {"pomdp:0.0005", "pomdp:0.002", "pomdp:0.006", "agg:0.002"}


async def test_a_folder_without_a_table_is_served_and_grows(
    learned: LearnedPolicy, budget_table: BudgetTable, tmp_path: Path
) -> None:
    learned.save(tmp_path / "agg")
    with serving(tmp_path, "--watch-seconds", "0.1") as server:
        async with PlannerClient(server.address) as client:
            assert (await client.decide("agg:0.002", FIRST, None)).belief is not None
            with pytest.raises(PlannerRefusedError, match="trim tables budget"):
                await client.decide("budget:100", FIRST, None)
            budget_table.save(tmp_path / ".budget")
            shutil.move(tmp_path / ".budget", tmp_path / "budget")
            async with asyncio.timeout(20):
                while (decision := await _served(client)) is None:  # noqa: ASYNC110  another process looks for it
                    await asyncio.sleep(0.05)
            assert decision.spent is not None


async def _served(client: PlannerClient) -> Decision | None:
    try:
        return await client.decide("budget:100", FIRST, None)
    except PlannerRefusedError:
        return None
