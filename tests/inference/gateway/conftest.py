"""Real gateways on real sockets, all before one set of the lab's models."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from inference.gateway.router import GatewayRouter, open_router
from inference.gateway.server import serve
from inference.gateway.settings import GatewaySettings

Gateway = Callable[..., AbstractAsyncContextManager[str]]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def router(table_directory: Path) -> AsyncIterator[GatewayRouter]:
    settings = GatewaySettings.read(None, {"lab": True, "tables": table_directory})
    async with open_router(settings) as router:
        yield router


@pytest.fixture
def gateway(router: GatewayRouter) -> Gateway:
    """`gateway(setting=value, ...)` serves for the time of a block and yields HOST:PORT."""

    @asynccontextmanager
    async def serving(answers: GatewayRouter = router, **options: Any) -> AsyncIterator[str]:
        settings = GatewaySettings.read(None, {"lab": True, "listen": "127.0.0.1:0", "drain_seconds": 1, **options})
        stop, ready = asyncio.Event(), asyncio.get_running_loop().create_future()
        served = asyncio.create_task(serve(settings, answers, on_ready=ready.set_result, stop=stop))
        await asyncio.wait({served, ready}, return_when=asyncio.FIRST_COMPLETED)
        try:
            yield served.result() or "" if served.done() else await ready
        finally:
            stop.set()
            await served

    return serving
