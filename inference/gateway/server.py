"""The life of a gateway: bound, ready, drained on SIGTERM."""

import asyncio
import contextlib
import logging
import signal
import socket
import ssl
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack

import uvicorn

from inference.gateway.application import application
from inference.gateway.completions import Completions
from inference.gateway.metrics import GatewayMetrics
from inference.gateway.router import GatewayRouter
from inference.gateway.settings import GatewaySettings
from kde.errors import TrimError
from planner.service.addresses import host_and_port
from planner.service.certificates import CertificateFiles
from planner.service.tokens import TokenFile

log = logging.getLogger(__name__)


class _Server(uvicorn.Server):
    """Uvicorn that leaves signals to us and says when it answers."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()


async def serve(
    settings: GatewaySettings, router: GatewayRouter, *, on_ready: Callable[[str], None], stop: asyncio.Event
) -> None:
    """Serve until `stop` is set or SIGTERM or SIGINT comes; then say so, drain and return.

    Args:
        settings: of the gateway.
        router: what answers.
        on_ready: told the address in use once requests are answered.
        stop: set it to end the gateway.

    Raises:
        TrimError: an address is taken, or a file of certificates or tokens is not acceptable.
    """
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    metrics = GatewayMetrics()
    tokens = None if settings.tokens is None else TokenFile(settings.tokens, every=settings.watch_seconds)
    completions = Completions(router, settings, metrics)
    config = _config(settings, application(router, completions, tokens, metrics))
    async with AsyncExitStack() as resources:
        certificates = _certificates(settings, config)
        if certificates is not None:
            resources.callback(asyncio.create_task(certificates).cancel)
        _expose(settings, metrics, resources)
        bound = resources.enter_context(_bind(settings.listen))
        address = f"{settings.listen.rpartition(':')[0]}:{bound.getsockname()[1]}"

        def ready() -> None:
            log.info("ready", extra={"address": address})
            on_ready(address)

        server = _Server(config, ready)
        leaving = asyncio.create_task(_leave(stop, server, completions, settings))
        resources.callback(leaving.cancel)
        await server.serve(sockets=[bound])
        log.info("left")


async def _leave(
    stop: asyncio.Event, server: uvicorn.Server, completions: Completions, settings: GatewaySettings
) -> None:
    await stop.wait()
    log.info("draining", extra={"notice_seconds": settings.notice_seconds, "drain_seconds": settings.drain_seconds})
    completions.draining = True
    await asyncio.sleep(settings.notice_seconds)
    server.should_exit = True


def _config(settings: GatewaySettings, app: object) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]  # an ASGI application
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=settings.drain_seconds,  # type: ignore[arg-type]  # passed on to asyncio, which takes fractions
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
        ssl_ca_certs=None if settings.tls_client_ca is None else str(settings.tls_client_ca),
        ssl_cert_reqs=ssl.CERT_NONE if settings.tls_client_ca is None else ssl.CERT_REQUIRED,
    )


def _certificates(settings: GatewaySettings, config: uvicorn.Config) -> Coroutine[None, None, None] | None:
    """Check the files of certificates, and what keeps the server's context up with them."""
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    files = CertificateFiles(settings.tls_certificate, settings.tls_key, settings.tls_client_ca)
    config.load()
    return _follow(files, config.ssl, settings)


async def _follow(files: CertificateFiles, context: ssl.SSLContext | None, settings: GatewaySettings) -> None:
    held = files.fetch()
    while True:
        await asyncio.sleep(settings.watch_seconds)
        found = files.fetch()
        if found is not held and context is not None and settings.tls_certificate is not None:
            held = found
            context.load_cert_chain(settings.tls_certificate, settings.tls_key)


def _expose(settings: GatewaySettings, metrics: GatewayMetrics, resources: AsyncExitStack) -> None:
    if settings.metrics is None:
        return
    from planner.service.exposition import MetricsEndpoint  # noqa: PLC0415  only where it is asked for

    host, port = host_and_port("--metrics", settings.metrics)
    endpoint = MetricsEndpoint(host, port, metrics.registry)
    resources.callback(endpoint.close)
    log.info("metrics", extra={"address": f"{host}:{endpoint.port}"})


def _bind(listen: str) -> socket.socket:
    host, port = host_and_port("--listen", listen)
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise TrimError(f"--listen: cannot bind {listen}; choose another address, or stop what holds it") from error
