"""One request and its answer, as headers, logs and metrics know it."""

import logging
import time
import uuid
from dataclasses import dataclass, field

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from inference.gateway.metrics import GatewayMetrics
from inference.records import StepRecord
from inference.step import Author

log = logging.getLogger(__name__)

TRACE_HEADER = "x-trim-trace-id"
_KEY = "trim.exchange"
_CLIENT_LEFT = 499
"""What proxies count when a client does not wait for its answer."""


@dataclass(slots=True)
class Exchange:
    """What is known of a request by now.

    Attributes:
        trace_id: 32 hexadecimal digits, in the answer's headers and in the log.
        model: label of the model asked for; `none` until it is known to exist.
        status: of the answer; 499 if the client left before it began.
        outcome: how a completion ended: its ending, `token_limit`, the code of an error, or `client_left`.
        steps: of the answer so far.
        unsent: the step that the token limit kept out of the answer.
        first_step_seconds: from the request to its first step.
    """

    trace_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    model: str = "none"
    status: int = _CLIENT_LEFT
    outcome: str = ""
    steps: list[StepRecord] = field(default_factory=list)
    unsent: StepRecord | None = None
    first_step_seconds: float | None = None
    began: float = field(default_factory=time.perf_counter)

    @property
    def seconds(self) -> float:
        """Since the request came."""
        return time.perf_counter() - self.began

    @property
    def answer_tokens(self) -> int:
        """Tokens of the answer."""
        return sum(step.tokens for step in self.steps)

    @property
    def discarded_tokens(self) -> int:
        """Decoded and thrown away: proposals that M_s rewrote, and the step that was not sent."""
        unsent = 0 if self.unsent is None else self.unsent.tokens
        return unsent + sum(step.discarded_tokens for step in self._decided)

    @property
    def weak_tokens(self) -> int:
        """All that M_w decoded."""
        own = sum(step.tokens for step in self._decided if step.author is Author.WEAK)
        return own + sum(step.discarded_tokens for step in self._decided)

    @property
    def strong_tokens(self) -> int:
        """All that M_s decoded."""
        return sum(step.tokens for step in self._decided if step.author is Author.STRONG)

    @property
    def _decided(self) -> list[StepRecord]:
        return self.steps if self.unsent is None else [*self.steps, self.unsent]


def exchange_of(scope: Scope) -> Exchange:
    """The exchange that a request belongs to."""
    found: Exchange = scope[_KEY]
    return found


class Exchanges:
    """Gives every request its exchange and its trace id, and tells log and metrics how it ended."""

    def __init__(self, app: ASGIApp, metrics: GatewayMetrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = scope[_KEY] = Exchange()

        async def send_traced(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[TRACE_HEADER] = headers["x-request-id"] = exchange.trace_id
            await send(message)

        try:
            await self._app(scope, receive, send_traced)
        finally:
            self._metrics.ended(exchange)
            log.info("request", extra=_line(scope, exchange))


def _line(scope: Scope, exchange: Exchange) -> dict[str, object]:
    """What the log says of a request: never its content, nor its key."""
    line: dict[str, object] = {
        "trace_id": exchange.trace_id,
        "method": scope["method"],
        "path": scope["path"],
        "status": exchange.status,
        "seconds": round(exchange.seconds, 6),
    }
    if exchange.model != "none":
        line |= {
            "model": exchange.model,
            "outcome": exchange.outcome,
            "steps": len(exchange.steps),
            "weak_tokens": exchange.weak_tokens,
            "strong_tokens": exchange.strong_tokens,
            "discarded_tokens": exchange.discarded_tokens,
        }
    return line
