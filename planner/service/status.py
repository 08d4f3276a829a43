"""Refusals: our errors as gRPC statuses with google.rpc details, and as refusals inside batches and streams."""

from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2 as details
from google.rpc.code_pb2 import Code
from google.rpc.status_pb2 import Status
from grpc import aio
from grpc_status import rpc_status

from kde.errors import InputError, TrimError
from planner.decision import UnknownPolicyError
from planner.v1 import planner_pb2 as pb

DOMAIN = "planner.v1"

_LONGEST_MESSAGE = 1500
"""Characters. A status travels as metadata, thrice over, and gRPC takes 8 KiB of those: beyond it clients see another status."""


class OverloadedError(TrimError):
    """Too many calls are waiting; `retry_after` says in how many seconds to ask again."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"the planner is overloaded; ask again in {retry_after:.2f} s")
        self.retry_after = retry_after


class UnknownTableError(InputError):
    """The planner has no table of this content hash."""


class DrainingError(TrimError):
    """This process is leaving; another replica answers."""


class TooLateError(TrimError):
    """The call took longer than the server lets a call without a deadline take."""


class UnauthenticatedError(TrimError):
    """The call carries no bearer token that is accepted."""


class FailedPreconditionError(TrimError):
    """What the planner serves does not allow this."""


_CODES: tuple[tuple[type[TrimError], int, str], ...] = (
    (UnknownPolicyError, Code.NOT_FOUND, "UNKNOWN_POLICY"),
    (UnknownTableError, Code.NOT_FOUND, "UNKNOWN_TABLE"),
    (InputError, Code.INVALID_ARGUMENT, "INVALID_FIELD"),
    (OverloadedError, Code.RESOURCE_EXHAUSTED, "OVERLOADED"),
    (DrainingError, Code.UNAVAILABLE, "DRAINING"),
    (TooLateError, Code.DEADLINE_EXCEEDED, "TOO_LATE"),
    (UnauthenticatedError, Code.UNAUTHENTICATED, "UNAUTHENTICATED"),
    (FailedPreconditionError, Code.FAILED_PRECONDITION, "FAILED_PRECONDITION"),
    (TrimError, Code.INTERNAL, "INTERNAL"),
)
_REFUSALS = {
    Code.NOT_FOUND: pb.REFUSAL_NOT_FOUND,
    Code.INVALID_ARGUMENT: pb.REFUSAL_INVALID_ARGUMENT,
    Code.RESOURCE_EXHAUSTED: pb.REFUSAL_RESOURCE_EXHAUSTED,
}


def refused_field(error: TrimError) -> str:
    """The field that an error names, without its index; empty where it names none. A small, fixed set."""
    return error.field.partition("[")[0] if isinstance(error, InputError) else ""


def code_name(error: TrimError) -> str:
    """Name of the gRPC status of an error."""
    return str(Code.Name(_classify(error)[0]))


def status_of(error: TrimError) -> Status:
    """The status of an error: code, its one-line message, ErrorInfo, and BadRequest or RetryInfo."""
    code, reason = _classify(error)
    message = str(error) if len(str(error)) <= _LONGEST_MESSAGE else f"{str(error)[: _LONGEST_MESSAGE - 3]}..."
    status = Status(code=code, message=message)
    _attach(
        status,
        details.ErrorInfo(
            reason=reason,
            domain=DOMAIN,
            metadata={"field": refused_field(error)} if isinstance(error, InputError) else {},
        ),
    )
    if isinstance(error, InputError):
        violation = details.BadRequest.FieldViolation(field=error.field, description=message, reason=reason)
        _attach(status, details.BadRequest(field_violations=[violation]))
    if isinstance(error, OverloadedError):
        delay = Duration()
        delay.FromNanoseconds(int(error.retry_after * 1e9))
        _attach(status, details.RetryInfo(retry_delay=delay))
    return status


async def abort(context: aio.ServicerContext, error: TrimError) -> None:  # type: ignore[type-arg]  # any messages
    """End a call with the status of an error. Does not return."""
    status = rpc_status.to_status(status_of(error))
    metadata = tuple(status.trailing_metadata or ())
    if isinstance(error, OverloadedError):
        metadata += (("grpc-retry-pushback-ms", str(int(error.retry_after * 1e3))),)
    await context.abort(status.code, status.details, metadata)


def refusal_kind(error: TrimError) -> "pb.Refusal.ValueType":
    """The refusal that a batch or a stream answers with."""
    return _REFUSALS.get(_classify(error)[0], pb.REFUSAL_UNSPECIFIED)


def _classify(error: TrimError) -> tuple[int, str]:
    return next((code, reason) for kind, code, reason in _CODES if isinstance(error, kind))


def _attach(status: Status, detail: Message) -> None:
    packed = Any()
    packed.Pack(detail)
    status.details.append(packed)
