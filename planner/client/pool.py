"""Channels to the replicas of a planner, and which one the next call takes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from grpc import aio

from kde.errors import InputError
from planner.client.breaker import Breaker
from planner.v1 import planner_pb2_grpc as pb_grpc

_OPTIONS = [
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
    ("grpc.use_local_subchannel_pool", 1),  # else all channels to one address share a connection
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.max_receive_message_length", 16 * 2**20),
    ("grpc.service_config", '{"loadBalancingConfig": [{"round_robin": {}}]}'),  # over all addresses of a DNS name
]


@dataclass(frozen=True, slots=True)
class Security:
    """How to speak to a planner beyond loopback. Files are read when the client is made.

    Attributes:
        ca: PEM file of the authority that signed the server's certificate; None for plaintext.
        certificate, key: PEM files of the client's own, where the planner asks for one.
        token: file that holds the bearer token.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    token: Path | None = None

    def channel(self, address: str) -> aio.Channel:
        """A channel to an address.

        Raises:
            InputError: as `credentials`.
        """
        credentials = self.credentials()
        if credentials is None:
            return aio.insecure_channel(address, options=_OPTIONS)
        return aio.secure_channel(address, credentials, options=_OPTIONS)

    def credentials(self) -> grpc.ChannelCredentials | None:
        """What a channel is made with; None for plaintext.

        Raises:
            InputError: a file cannot be read, or what belongs together is not given together.
        """
        if (self.certificate is None) != (self.key is None):
            raise InputError("client", field="key", value=self.key, remedy="a certificate and its key come together")
        if self.ca is None:
            if self.certificate is not None:
                raise InputError("client", field="ca", value=None, remedy="a client certificate needs TLS: name the ca")
            return None
        return grpc.ssl_channel_credentials(
            _read(self.ca),
            None if self.key is None else _read(self.key),
            None if self.certificate is None else _read(self.certificate),
        )

    def metadata(self) -> tuple[tuple[str, str], ...] | None:
        """What every call carries.

        Raises:
            InputError: the token's file cannot be read.
        """
        if self.token is None:
            return None
        return (("authorization", f"Bearer {_read(self.token).decode().strip()}"),)


@dataclass(frozen=True, slots=True)
class Replica:
    """One connection to one address.

    Attributes:
        address: where.
        channel: the connection.
        stub: the calls.
        breaker: whether to ask it.
    """

    address: str
    channel: aio.Channel
    stub: Any
    breaker: Breaker


class Pool:
    """Replicas in turn, those that have failed left out for a while."""

    def __init__(
        self, addresses: Sequence[str], connections: int, security: Security, breaker: tuple[int, float]
    ) -> None:
        if not addresses or not all(addresses):
            raise InputError("client", field="server", value=addresses, remedy="name at least one HOST:PORT")
        self._replicas = []
        for address in [address for _ in range(connections) for address in addresses]:
            channel = security.channel(address)
            self._replicas.append(Replica(address, channel, pb_grpc.PlannerServiceStub(channel), Breaker(*breaker)))
        self._next = 0

    def pick(self) -> Replica | None:
        """The next replica that may be asked; None while none may."""
        for _ in self._replicas:
            replica = self._replicas[self._next % len(self._replicas)]
            self._next += 1
            if replica.breaker.allows():
                return replica
        return None

    def soonest(self) -> Replica:
        """The replica whose turn to be tried comes first, for callers that have nowhere else to go."""
        return min(self._replicas, key=lambda replica: replica.breaker.opens_in)

    async def close(self) -> None:
        """Close every channel."""
        for replica in self._replicas:
            await replica.channel.close()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(path, field="content", value="", remedy=f"it cannot be read ({error.strerror})") from error
