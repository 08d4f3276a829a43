"""The gateway's addresses, and who may use them."""

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from inference.gateway.completions import Completions
from inference.gateway.exchange import Exchanges
from inference.gateway.metrics import GatewayMetrics
from inference.gateway.names import policy_of
from inference.gateway.refusals import ApiError, InvalidRequestError, UnauthenticatedError, api_error
from inference.gateway.router import GatewayRouter
from kde.errors import TrimError
from planner.service.tokens import TokenFile

_OWNER = "trim"


def application(
    router: GatewayRouter, completions: Completions, tokens: TokenFile | None, metrics: GatewayMetrics
) -> ASGIApp:
    """The gateway as an ASGI application."""
    api = [
        Route("/chat/completions", completions),
        Route("/models", _models(router)),
        Route("/models/{model:path}", _model(router)),
    ]
    app = Starlette(
        routes=[
            Route("/health", _health),
            Route("/ready", _ready(router, completions)),
            Mount("/v1", routes=api, middleware=[Middleware(TokenGuard, tokens)]),
        ],
        exception_handlers={HTTPException: _refused, TrimError: _failed, Exception: _broken},
    )
    return Exchanges(app, metrics)


class TokenGuard:
    """Asks every request for a token, if there are any."""

    def __init__(self, app: ASGIApp, tokens: TokenFile | None) -> None:
        self._app, self._tokens = app, tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or answer 401."""
        shown = [value.decode("latin-1") for key, value in scope["headers"] if key == b"authorization"]
        if self._tokens is None or (len(shown) == 1 and self._tokens.accepts(shown[0])):
            await self._app(scope, receive, send)
        else:
            await UnauthenticatedError().response(scope, receive, send)


def _models(router: GatewayRouter) -> Callable[[Request], Awaitable[Response]]:
    async def models(_: Request) -> Response:
        return JSONResponse({"object": "list", "data": [_description(name) for name in await router.models()]})

    return models


def _model(router: GatewayRouter) -> Callable[[Request], Awaitable[Response]]:
    async def model(request: Request) -> Response:
        name = request.path_params["model"]
        await router.check(name, policy_of(name))
        return JSONResponse(_description(name))

    return model


def _description(model: str) -> dict[str, Any]:
    return {"id": model, "object": "model", "created": 0, "owned_by": _OWNER}


async def _health(_: Request) -> Response:
    return JSONResponse({"status": "alive"})


def _ready(router: GatewayRouter, completions: Completions) -> Callable[[Request], Awaitable[Response]]:
    async def ready(_: Request) -> Response:
        problems = ["draining"] if completions.draining else await router.problems()
        return JSONResponse({"ready": not problems, "problems": problems}, 503 if problems else 200)

    return ready


async def _refused(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    told = {404: "there is nothing at this address", 405: "this address does not take that method"}
    code = {404: "not_found", 405: "method_not_allowed"}
    return InvalidRequestError(
        told.get(status, "refused"), param=None, code=code.get(status, "refused"), status=status
    ).response


async def _failed(_: Request, error: Exception) -> Response:
    return api_error(error).response if isinstance(error, TrimError) else await _broken(_, error)


async def _broken(_: Request, __: Exception) -> Response:
    return ApiError(
        "the gateway failed; its log says why", status=500, kind="api_error", code="internal_error"
    ).response
