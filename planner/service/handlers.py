"""The methods of a service as gRPC handlers. A message that cannot be parsed reaches its method, which refuses it like any other."""

from collections.abc import Callable
from typing import Any, NoReturn

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

from kde.errors import InputError

_KINDS: dict[tuple[bool, bool], Callable[..., Any]] = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}


class Unparsable:
    """Stands for a message that could not be parsed: looking at any field raises an InputError."""

    def __init__(self, kind: str, size: int) -> None:
        self._kind, self._size = kind, size

    def __getattr__(self, name: str) -> NoReturn:
        remedy = f"they are no {self._kind}"
        raise InputError("request", field="message", value=f"{self._size} bytes", remedy=remedy)


def service_handlers(service: ServiceDescriptor, servicer: object) -> grpc.GenericRpcHandler:
    """Handlers of every method of a service, by the servicer's methods of the same names."""
    handlers = {
        method.name: handler(
            method.client_streaming,
            method.server_streaming,
            getattr(servicer, method.name),
            parser(method.input_type),
            GetMessageClass(method.output_type).SerializeToString,
        )
        for method in service.methods
    }
    return grpc.method_handlers_generic_handler(service.full_name, handlers)


def handler(
    client_streaming: bool,
    server_streaming: bool,
    behaviour: Callable[..., Any],
    parse: Callable[[bytes], Any],
    serialise: Callable[[Any], bytes],
) -> Any:
    """A handler of the right kind."""
    make = _KINDS[client_streaming, server_streaming]
    return make(behaviour, request_deserializer=parse, response_serializer=serialise)


def parser(message: Any) -> Callable[[bytes], Any]:
    """A function that parses messages of this descriptor."""
    from_string = GetMessageClass(message).FromString
    kind = message.full_name

    def parse(content: bytes) -> Any:
        try:
            return from_string(content)
        except DecodeError:
            return Unparsable(kind, len(content))

    return parse
