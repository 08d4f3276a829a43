"""`/v1/chat/completions`: a request in, a routed answer out, whole or step by step."""

import asyncio
import json
import logging
import secrets
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from inference.ending import Ending
from inference.gateway.answers import Answer, ending_name
from inference.gateway.chat_request import ChatRequest, read_chat_request
from inference.gateway.connection import ClientLeftError, read_body, unless_gone
from inference.gateway.exchange import Exchange, exchange_of
from inference.gateway.metrics import GatewayMetrics
from inference.gateway.names import label_of, policy_of
from inference.gateway.refusals import (
    InvalidRequestError,
    OverloadedError,
    TooLateError,
    UnavailableError,
    api_error,
)
from inference.gateway.router import GatewayRouter
from inference.gateway.settings import GatewaySettings
from inference.records import StepRecord
from kde.errors import TrimError

log = logging.getLogger(__name__)

_SEEDS = 2**31
_EVENT_STREAM = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]


class Completions:
    """The endpoint, an ASGI application.

    Attributes:
        draining: set when the gateway leaves: what is under way goes on, what comes is sent elsewhere.
    """

    def __init__(self, router: GatewayRouter, settings: GatewaySettings, metrics: GatewayMetrics) -> None:
        self._router, self._settings, self._metrics = router, settings, metrics
        self._under_way = 0
        self.draining = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, with a completion or an error object."""
        exchange, started = exchange_of(scope), False

        async def send_once_started(message: Any) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            async with asyncio.timeout(self._settings.request_seconds):
                await self._answer(Request(scope, receive), exchange, send_once_started)
        except ClientLeftError:
            exchange.outcome = "client_left"
        except (TrimError, TimeoutError) as error:
            told = TooLateError(self._settings.request_seconds) if isinstance(error, TimeoutError) else api_error(error)
            exchange.outcome = told.code or ""
            if told is not error:
                log.warning("completion failed", extra={"trace_id": exchange.trace_id, "error": str(error) or "late"})
            if started:  # the status is out: the stream says it instead
                await send({"type": "http.response.body", "body": _event(told.document), "more_body": False})
            else:
                await told.response(scope, receive, send)

    async def _answer(self, request: Request, exchange: Exchange, send: Send) -> None:
        if request.method != "POST":
            raise InvalidRequestError("use POST", param=None, code="method_not_allowed", status=405)
        if self.draining:
            raise UnavailableError("the gateway is leaving; ask another", "draining")
        asked = read_chat_request(await read_body(request, self._settings.body_bytes))
        if self._under_way >= self._settings.concurrent_requests:
            raise OverloadedError(self._settings.concurrent_requests)
        self._under_way += 1
        try:
            with self._metrics.in_flight.track_inprogress():
                await unless_gone(request.receive, self._complete(request, asked, exchange, send))
        finally:
            self._under_way -= 1

    async def _complete(self, request: Request, asked: ChatRequest, exchange: Exchange, send: Send) -> None:
        policy = policy_of(asked.model)
        self._router.check_sampling(asked.temperature, asked.top_p)
        on_offer = await self._router.check(asked.model, policy)
        exchange.model = label_of(policy, on_offer=on_offer)
        seed = secrets.randbelow(_SEEDS) if asked.seed is None else asked.seed
        answer = Answer(exchange, asked.model, policy, seed)
        async with aclosing(self._router.steps(asked.conversation, policy, seed)) as steps:
            if asked.stream:
                await self._stream(steps, answer, asked, send)
                return
            async for _ in self._within(steps, asked.token_limit, exchange):
                pass
        ending = self._ending(exchange)
        await JSONResponse(answer.whole(ending))(request.scope, request.receive, send)

    async def _stream(self, steps: AsyncGenerator[StepRecord], answer: Answer, asked: ChatRequest, send: Send) -> None:
        """Chunks as server-sent events. The status waits for the first step, so that what fails before it is a plain error."""
        exchange, opened = answer.exchange, False

        async def say(*events: bytes) -> None:
            nonlocal opened
            if not opened:
                await send({"type": "http.response.start", "status": 200, "headers": list(_EVENT_STREAM)})
                events, opened = (_event(answer.opening()), *events), True
            await send({"type": "http.response.body", "body": b"".join(events), "more_body": True})

        async for _ in self._within(steps, asked.token_limit, exchange):
            await say(_event(answer.newest()))
        ending = self._ending(exchange)
        last = [_event(answer.closing(ending))]
        if asked.stream_options is not None and asked.stream_options.include_usage:
            last.append(_event(answer.usage()))
        await say(*last, b"data: [DONE]\n\n")
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _within(
        self, steps: AsyncGenerator[StepRecord], token_limit: int | None, exchange: Exchange
    ) -> AsyncGenerator[StepRecord]:
        """The steps that fit into the token limit, whole; the first that does not is the last that is written."""
        async for step in steps:
            self._metrics.stepped(step)
            if exchange.first_step_seconds is None:
                exchange.first_step_seconds = exchange.seconds
            if token_limit is not None and exchange.answer_tokens + step.tokens > token_limit:
                exchange.unsent = step
                return
            exchange.steps.append(step)
            yield step

    def _ending(self, exchange: Exchange) -> Ending | None:
        """How the answer has ended; None at the token limit."""
        if not exchange.steps and exchange.unsent is None:
            raise InvalidRequestError(
                "the messages leave no room in the models' context", param="messages", code="context_length_exceeded"
            )
        ending = None if exchange.unsent is not None else self._router.ending(exchange.steps)
        exchange.outcome = ending_name(ending)
        return ending


def _event(document: dict[str, Any]) -> bytes:
    """A server-sent event."""
    return b"data: " + json.dumps(document, allow_nan=False, ensure_ascii=False).encode() + b"\n\n"
