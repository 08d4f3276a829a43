from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from grpc import aio

from planner.exact import solve_exact
from planner.pomdp import RoutingPOMDP
from planner.table import PolicyTable, tabulate
from tests.planner.servers import serving


@pytest.fixture(scope="session")
def other_directory(pomdp: RoutingPOMDP, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of the same lambdas with another hash and other beliefs."""
    directory = tmp_path_factory.mktemp("other")
    cells = pomdp.cells * 0.9 + 0.1 / pomdp.cells[0].size
    changed = RoutingPOMDP(cells=cells, p_weak=0.7, p_strong=0.9, hazard=pomdp.hazard, tokens=pomdp.tokens)
    tabulate(changed, solve_exact(changed, [0.0005, 0.002, 0.006])).save(directory)
    return directory


@pytest.fixture(scope="session")
def saved_table(table_directory: Path) -> PolicyTable:
    return PolicyTable.load(table_directory)


@pytest.fixture(scope="module")
def address(table_directory: Path) -> Iterator[str]:
    with serving(table_directory) as server:
        yield server.address


@pytest.fixture
async def channel(address: str) -> AsyncIterator[aio.Channel]:
    async with aio.insecure_channel(address) as channel:
        yield channel
