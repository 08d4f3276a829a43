"""Errors as OpenAI's clients know them: a status, a type, a message, and what it is about.

ApiError
├── InvalidRequestError    400  a parameter is malformed, not supported or missing
├── ModelNotFoundError     404  there is no such model
├── OverloadedError        429  too many requests are under way
├── UnavailableError       503  an engine or the planner does not answer, or the gateway is leaving
└── TooLateError           504  the completion took longer than the gateway lets it
"""

from typing import Any

from starlette.responses import JSONResponse

from inference.engines.base import EngineError
from kde.errors import InputError, TrimError
from planner.client import PlannerRefusedError, PlannerUnavailableError

_RETRY_SECONDS = 5


class ApiError(TrimError):
    """What a client is told instead of an answer.

    Args:
        message: one line for a person.
        status: HTTP status.
        kind: OpenAI's `type`.
        param: the parameter that it is about.
        code: OpenAI's `code`, for programs.
        headers: of the answer.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        kind: str,
        param: str | None = None,
        code: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.kind, self.param, self.code, self.headers = status, kind, param, code, headers

    @property
    def document(self) -> dict[str, Any]:
        """The error object."""
        return {"error": {"message": str(self), "type": self.kind, "param": self.param, "code": self.code}}

    @property
    def response(self) -> JSONResponse:
        """The whole answer."""
        return JSONResponse(self.document, self.status, self.headers)


class InvalidRequestError(ApiError):
    """A parameter is malformed, not supported or missing."""

    def __init__(self, message: str, *, param: str | None, code: str, status: int = 400) -> None:
        super().__init__(message, status=status, kind="invalid_request_error", param=param, code=code)


class ModelNotFoundError(ApiError):
    """There is no model of this name."""

    def __init__(self, model: str, remedy: str) -> None:
        super().__init__(
            f"there is no model {model[:80]!r}; {remedy}",
            status=404,
            kind="invalid_request_error",
            param="model",
            code="model_not_found",
        )


class UnauthenticatedError(ApiError):
    """The request carries no bearer token that is accepted."""

    def __init__(self) -> None:
        super().__init__(
            "no accepted API key: send `Authorization: Bearer KEY`",
            status=401,
            kind="authentication_error",
            code="invalid_api_key",
            headers={"WWW-Authenticate": "Bearer"},
        )


class OverloadedError(ApiError):
    """As many requests are under way as the gateway takes."""

    def __init__(self, most: int) -> None:
        super().__init__(
            f"{most} completions are under way already, and that is the limit; ask again",
            status=429,
            kind="rate_limit_error",
            code="rate_limit_exceeded",
            headers={"Retry-After": "1"},
        )


class UnavailableError(ApiError):
    """What the gateway needs does not answer."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message, status=503, kind="api_error", code=code, headers={"Retry-After": str(_RETRY_SECONDS)})


class TooLateError(ApiError):
    """The deadline has passed."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"the completion was not done within {seconds:g} s", status=504, kind="api_error", code="deadline_exceeded"
        )


def api_error(error: TrimError) -> ApiError:
    """What a client is told of an error of the rooms below. Addresses and files of the operator stay in the log."""
    match error:
        case ApiError():
            return error
        case PlannerUnavailableError() | PlannerRefusedError():
            return UnavailableError("the planner does not answer; ask again later", "planner_unavailable")
        case EngineError():
            return UnavailableError("a model does not answer; ask again later", "engine_unavailable")
        case InputError():
            return InvalidRequestError(str(error), param=None, code="invalid_value")
        case _:
            return ApiError("the gateway failed; its log says why", status=500, kind="api_error", code="internal_error")
