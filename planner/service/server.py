"""The planner's gRPC server: decisions, standard health, reflection, graceful shutdown."""

import asyncio
import ipaddress
import logging
import signal
from collections.abc import Callable

import grpc
from grpc import aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from kde.errors import InputError, TrimError
from planner.decision import UnknownPolicyError
from planner.policies.catalogue import Catalogue
from planner.v1 import planner_pb2 as pb
from planner.v1 import planner_pb2_grpc as pb_grpc
from planner.wire import read_request, response_message

log = logging.getLogger(__name__)

SERVICE = pb.DESCRIPTOR.services_by_name["PlannerService"].full_name
_MESSAGE_BYTES = 64 * 1024
_CONCURRENT_CALLS = 1024
_DRAIN_SECONDS = 5.0
_LARGEST_PORT = 65535


class PlannerServicer(pb_grpc.PlannerServiceServicer):
    """Answers `Decide` from a catalogue of policies."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    async def Decide(  # noqa: N802
        self, request: pb.DecideRequest, context: aio.ServicerContext[pb.DecideRequest, pb.DecideResponse]
    ) -> pb.DecideResponse:
        """Decide one proposal."""
        try:
            policy, proposal, carry = read_request(request)
            return response_message(self._catalogue.get(policy).decide(proposal, carry))
        except UnknownPolicyError as error:
            await context.abort(grpc.StatusCode.NOT_FOUND, str(error))
        except InputError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))


async def serve(catalogue: Catalogue, listen: str, *, on_ready: Callable[[str], None], stop: asyncio.Event) -> None:
    """Serve until `stop` is set or SIGTERM or SIGINT comes, then say so, drain and return.

    Args:
        catalogue: the policies, loaded and checked: the server reports ready as soon as it listens.
        listen: `HOST:PORT` on a loopback address (port 0 picks one) or `unix:PATH`.
        on_ready: told the address in use once requests are answered.
        stop: set it to end the server.

    Raises:
        InputError: the address is not loopback, or is taken.
    """
    check_loopback(listen)
    options = [("grpc.max_receive_message_length", _MESSAGE_BYTES), ("grpc.so_reuseport", 0)]
    server = aio.server(options=options, maximum_concurrent_rpcs=_CONCURRENT_CALLS)
    pb_grpc.add_PlannerServiceServicer_to_server(PlannerServicer(catalogue), server)
    status = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(status, server)
    reflection.enable_server_reflection((SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
    address = _bind(server, listen)
    await server.start()
    await status.set(SERVICE, health_pb2.HealthCheckResponse.SERVING)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    on_ready(address)
    await stop.wait()
    log.info("draining for at most %s s", _DRAIN_SECONDS)
    await status.enter_graceful_shutdown()
    await server.stop(_DRAIN_SECONDS)


def check_loopback(listen: str) -> None:
    """Refuse an address that other machines can reach: this version has neither TLS nor tokens.

    Raises:
        InputError: the address is malformed or not loopback.
    """
    host, _, port = listen.rpartition(":")
    if host == "unix" and port:
        return
    if not port.isdigit() or int(port) > _LARGEST_PORT:
        raise InputError("--listen", field="address", value=listen, remedy="write HOST:PORT or unix:PATH")
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise InputError(
            "--listen",
            field="address",
            value=listen,
            remedy="only loopback is served in plaintext, for example 127.0.0.1:50051",
        )


def _bind(server: aio.Server, listen: str) -> str:
    try:
        port = server.add_insecure_port(listen)
    except RuntimeError as error:
        raise TrimError(f"--listen: cannot bind {listen}; choose another address, or stop what holds it") from error
    return listen if listen.startswith("unix:") else f"{listen.rpartition(':')[0]}:{port}"
