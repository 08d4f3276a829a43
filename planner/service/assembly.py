"""The parts of one server process, put together."""

import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from grpc import aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from kde.errors import TrimError
from planner.service.addresses import host_and_port
from planner.service.admission import LoadGate
from planner.service.calls import CallRules
from planner.service.certificates import CertificateFiles
from planner.service.decision_log import DecisionLog, LogSettings
from planner.service.decisions import DecisionDesk
from planner.service.handlers import service_handlers
from planner.service.information import InformationDesk
from planner.service.metrics import ServiceMetrics
from planner.service.settings import ServeSettings
from planner.service.tables import TableStore
from planner.service.tokens import TokenFile, TokenInterceptor
from planner.v1 import admin_pb2 as admin_pb
from planner.v1 import planner_pb2 as pb

log = logging.getLogger(__name__)

_SERVICE = pb.DESCRIPTOR.services_by_name["PlannerService"]
_ADMIN = admin_pb.DESCRIPTOR.services_by_name["PolicyAdminService"]
SERVICE, ADMIN_SERVICE = _SERVICE.full_name, _ADMIN.full_name


@dataclass(frozen=True, slots=True)
class Place:
    """Where one server process stands.

    Attributes:
        listen: address to bind.
        worker: number of the process, from 0.
        shared: other processes bind the same port.
    """

    listen: str
    worker: int = 0
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Parts:
    """What a running server is made of.

    Attributes:
        grpc: the gRPC server, bound.
        address: where it listens.
        health: the standard health service; not ready yet.
        gate: measures the queue once it is watched.
        rules: of open calls.
    """

    grpc: aio.Server
    address: str
    health: Any  # its stubs do not know grpc.aio
    gate: LoadGate
    rules: CallRules


class PlannerServicer:
    """The methods of the wire, at the desks that answer them: bound, not wrapped, which is one call less for every decision."""

    def __init__(self, decisions: DecisionDesk, information: InformationDesk) -> None:
        self.Decide = decisions.decide
        self.DecideBatch = decisions.decide_batch
        self.RouteTrace = decisions.route_trace
        self.ListPolicies = information.list_policies
        self.GetPolicy = information.get_policy
        self.WatchPolicies = information.watch_policies
        self.GetTable = information.get_table


async def assemble(
    settings: ServeSettings,
    store: TableStore,
    place: Place,
    resources: AsyncExitStack,
    extend: Callable[[aio.Server], None],
) -> Parts:
    """Build a server and bind it; what has to be closed at the end goes to `resources`.

    Raises:
        TrimError: an address is taken, or a file of certificates or tokens is not acceptable.
    """
    metrics, gate, rules = ServiceMetrics(), LoadGate(settings.queue_seconds), CallRules(settings.call_seconds)
    decision_log = _open_decision_log(settings, place.worker, resources)
    if settings.metrics is not None:
        from planner.service.exposition import PlannerCollector  # noqa: PLC0415  only where it is asked for

        collector = PlannerCollector(metrics, store, gate, decision_log)
        _expose(settings.metrics, place.worker, collector, resources)
    server = aio.server(
        interceptors=_interceptors(settings, metrics, resources),
        options=_options(settings, place),
        maximum_concurrent_rpcs=settings.concurrent_calls,
    )
    resources.push_async_callback(server.stop, None)
    decisions = DecisionDesk(store, gate, rules, metrics, decision_log, settings.batch_rows)
    servicer = PlannerServicer(decisions, InformationDesk(store, rules, metrics))
    server.add_generic_rpc_handlers((service_handlers(_SERVICE, servicer),))
    names = [SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME]
    status: Any = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(status, server)
    await status.set(SERVICE, health_pb2.HealthCheckResponse.NOT_SERVING)
    if settings.admin:
        _add_admin(server, store, rules, metrics)
        names.append(ADMIN_SERVICE)
    reflection.enable_server_reflection(names, server)
    extend(server)
    return Parts(server, _bind(server, settings, place.listen), status, gate, rules)


def _options(settings: ServeSettings, place: Place) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", settings.message_bytes),
        ("grpc.max_concurrent_streams", settings.streams_per_connection),
        ("grpc.so_reuseport", int(place.shared)),
        ("grpc.max_connection_age_ms", _milliseconds(settings.connection_seconds)),
        ("grpc.max_connection_age_grace_ms", _milliseconds(settings.call_seconds)),
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ]


def _milliseconds(seconds: float) -> int:
    return max(1, min(int(seconds * 1000), 2**31 - 1))


def _interceptors(settings: ServeSettings, metrics: ServiceMetrics, resources: AsyncExitStack) -> list[Any]:
    """As few as the settings ask for: each costs every call its time."""
    found: list[Any] = []
    if settings.traces:
        from planner.service.tracing import start_tracing  # noqa: PLC0415  an extra

        interceptor, finish = start_tracing()
        resources.callback(finish)
        found.append(interceptor)
    callers = None if settings.tokens is None else TokenFile(settings.tokens, every=settings.watch_seconds)
    required = {} if callers is None else dict.fromkeys((SERVICE, ADMIN_SERVICE, reflection.SERVICE_NAME), callers)
    if settings.admin_tokens is not None:
        required[ADMIN_SERVICE] = TokenFile(settings.admin_tokens, every=settings.watch_seconds)
    if required:
        found.append(TokenInterceptor(required, metrics))
    return found


def _open_decision_log(settings: ServeSettings, worker: int, resources: AsyncExitStack) -> DecisionLog | None:
    if settings.decision_log is None:
        return None
    wanted = LogSettings(
        settings.decision_log, settings.decision_log_rate, settings.decision_log_bytes, settings.decision_log_files
    )
    decision_log = DecisionLog(wanted, worker)
    resources.callback(decision_log.close)
    return decision_log


def _expose(address: str, worker: int, collector: Any, resources: AsyncExitStack) -> None:
    from planner.service.exposition import MetricsEndpoint  # noqa: PLC0415  only where it is asked for

    host, port = host_and_port("--metrics", address)
    endpoint = MetricsEndpoint(host, port + worker if port else 0, collector)
    resources.callback(endpoint.close)
    log.info("metrics", extra={"address": f"{host}:{endpoint.port}"})


def _add_admin(server: aio.Server, store: TableStore, rules: CallRules, metrics: ServiceMetrics) -> None:
    from planner.service.admin import AdminServicer  # noqa: PLC0415  off unless enabled

    server.add_generic_rpc_handlers((service_handlers(_ADMIN, AdminServicer(store, rules, metrics)),))


def _bind(server: aio.Server, settings: ServeSettings, listen: str) -> str:
    try:
        if settings.tls_certificate is not None and settings.tls_key is not None:
            files = CertificateFiles(settings.tls_certificate, settings.tls_key, settings.tls_client_ca)
            port = server.add_secure_port(listen, files.credentials())
        else:
            port = server.add_insecure_port(listen)
    except RuntimeError as error:
        raise TrimError(f"--listen: cannot bind {listen}; choose another address, or stop what holds it") from error
    return listen if listen.startswith("unix:") else f"{listen.rpartition(':')[0]}:{port}"
