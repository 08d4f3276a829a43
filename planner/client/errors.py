"""What can go wrong between a worker and the planner."""

import grpc
from grpc import aio

from kde.errors import TrimError

PASSING = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.CANCELLED,  # by a server that is leaving; a caller that cancels gets asyncio's CancelledError
}
"""Statuses after which the same question may well be answered: deciding has no side effects."""

_PUSHBACK = "grpc-retry-pushback-ms"


class PlannerRefusedError(TrimError):
    """The planner does not accept the request; the message is the planner's own."""


class UnknownToPlannerError(PlannerRefusedError):
    """The planner has no policy of this id, or no such table."""


class PlannerUnavailableError(TrimError):
    """No planner answered within the retries."""


def is_passing(error: Exception) -> bool:
    """Whether asking again makes sense."""
    return isinstance(error, aio.AioRpcError) and error.code() in PASSING


def when_to_retry(error: Exception) -> bool | float:
    """Whether to ask again, or in how many seconds if the planner said so."""
    if not isinstance(error, aio.AioRpcError) or error.code() not in PASSING:
        return False
    for key, value in error.trailing_metadata() or ():
        if key == _PUSHBACK and str(value).isdigit():
            return int(value) / 1000
    return True


def refused_or_absent(servers: str, error: aio.AioRpcError) -> TrimError:
    """The error that a caller sees."""
    if error.code() in PASSING:
        remedy = "start it with `trim serve` and run the same command again"
        return PlannerUnavailableError(f"planner {servers}: no answer ({error.code().name}); {remedy}")
    if error.code() is grpc.StatusCode.NOT_FOUND:
        return UnknownToPlannerError(f"planner {servers}: {error.details()}")
    if error.code() is grpc.StatusCode.INVALID_ARGUMENT:
        return PlannerRefusedError(f"planner {servers}: {error.details()}")
    return PlannerRefusedError(f"planner {servers}: {error.code().name}: {error.details()}")
