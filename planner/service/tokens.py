"""Bearer tokens: who may call. Tokens are read from a file, read again when it changes, and never written anywhere."""

import hashlib
import hmac
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import grpc
from grpc import aio

from kde.errors import InputError
from planner.service.handlers import handler as same_kind
from planner.service.metrics import ServiceMetrics
from planner.service.status import UnauthenticatedError, abort

log = logging.getLogger(__name__)

_SCHEME = "Bearer "
_SHORTEST = 16


class TokenFile:
    """The accepted tokens, one a line; empty lines and lines from # on are no tokens.

    Raises:
        InputError: the file cannot be read, holds no token, or one that is too short to be a secret.
    """

    def __init__(self, path: Path, *, every: float) -> None:
        self._path, self._every = path, every
        self._stamp, self._looked = self._look(), time.monotonic()
        self._digests = self._read()

    def accepts(self, header: str) -> bool:
        """Whether an `authorization` header carries an accepted token; takes as long whichever it is."""
        self._follow()
        shown = _digest(header.removeprefix(_SCHEME) if header.startswith(_SCHEME) else "")
        matches = [hmac.compare_digest(shown, known) for known in self._digests]
        return any(matches)

    def _follow(self) -> None:
        now = time.monotonic()
        if now - self._looked < self._every:
            return
        self._looked, stamp = now, self._look()
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._digests = self._read()
                log.info("tokens loaded", extra={"count": len(self._digests)})
            except InputError as error:
                log.error("tokens refused, the old ones hold on", extra={"error": str(error)})  # noqa: TRY400

    def _look(self) -> tuple[int, int, int] | None:
        try:
            stat = self._path.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_size, stat.st_ino

    def _read(self) -> tuple[bytes, ...]:
        try:
            lines = [line.strip() for line in self._path.read_text().splitlines()]
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(self._path, field="tokens", value="", remedy="it cannot be read as text") from error
        tokens = [line for line in lines if line and not line.startswith("#")]
        if not tokens or min(map(len, tokens)) < _SHORTEST:
            remedy = f"one token a line, each of {_SHORTEST} characters at least"
            raise InputError(self._path, field="tokens", value=f"{len(tokens)} tokens", remedy=remedy)
        return tuple(map(_digest, tokens))


class TokenInterceptor(aio.ServerInterceptor):
    """Asks every call for a token, by the service it is for; services that are not named are open to all."""

    def __init__(self, required: Mapping[str, TokenFile], metrics: ServiceMetrics) -> None:
        self._required, self._metrics = required, metrics

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """The handler, or one that refuses."""
        handler = await continuation(handler_call_details)
        if handler is None:  # the path of no method of ours: it may have no slash at all
            return None
        tokens = self._required.get(handler_call_details.method.split("/")[1])
        if tokens is None:
            return handler
        headers = [value for key, value in handler_call_details.invocation_metadata or () if key == "authorization"]
        if len(headers) == 1 and tokens.accepts(str(headers[0])):
            return handler
        return self._refusal(handler)

    def _refusal(self, asked: Any) -> Any:
        error = UnauthenticatedError("the call carries no accepted bearer token; send `authorization: Bearer TOKEN`")
        self._metrics.refused(error)

        async def refuse(_: object, context: aio.ServicerContext[Any, Any]) -> None:
            await abort(context, error)

        return same_kind(
            asked.request_streaming,
            asked.response_streaming,
            refuse,
            asked.request_deserializer,
            asked.response_serializer,
        )


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
