"""The life of one server process: assembled, ready, reloaded on SIGHUP, drained on SIGTERM."""

import asyncio
import gc
import logging
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack

from grpc import aio
from grpc_health.v1 import health_pb2

from planner.service.assembly import SERVICE, Parts, Place, assemble
from planner.service.settings import ServeSettings
from planner.service.tables import TableStore

log = logging.getLogger(__name__)


async def serve(
    settings: ServeSettings,
    store: TableStore,
    place: Place,
    *,
    on_ready: Callable[[str], None],
    stop: asyncio.Event,
    extend: Callable[[aio.Server], None] = lambda _: None,
) -> None:
    """Serve until `stop` is set or SIGTERM or SIGINT comes; then say so, drain and return. SIGHUP reloads the tables.

    Args:
        settings: of the server.
        store: the tables, loaded and checked; what has changed since is loaded before the server says that it is ready.
        place: where this process stands.
        on_ready: told the address in use once requests are answered.
        stop: set it to end the server.
        extend: may add services before the start.

    Raises:
        TrimError: an address is taken, or a file of certificates or tokens is not acceptable.
    """
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    hang_up = asyncio.Event()
    loop.add_signal_handler(signal.SIGHUP, hang_up.set)
    async with AsyncExitStack() as resources:
        if store.stale:
            await store.reload()
        server = await assemble(settings, store, place, resources, extend)
        await server.grpc.start()
        for work in (server.gate.watch(), store.watch(settings.watch_seconds), _reload_on(hang_up, store)):
            resources.callback(asyncio.create_task(work).cancel)
        gc.collect()
        gc.freeze()  # what is here now stays: collections need not look at it again
        await server.health.set(SERVICE, health_pb2.HealthCheckResponse.SERVING)
        log.info("ready", extra={"address": server.address})
        on_ready(server.address)
        await stop.wait()
        await _drain(server, settings)


async def _reload_on(hang_up: asyncio.Event, store: TableStore) -> None:
    while True:
        await hang_up.wait()
        hang_up.clear()
        await store.reload()


async def _drain(server: Parts, settings: ServeSettings) -> None:
    log.info("draining", extra={"notice_seconds": settings.notice_seconds, "drain_seconds": settings.drain_seconds})
    await server.health.enter_graceful_shutdown()
    await asyncio.sleep(settings.notice_seconds)
    server.rules.draining.set()
    await server.grpc.stop(settings.drain_seconds)
    log.info("left")
