"""`python -m benchmarks.planner_server TABLES`: the planner's server with an empty handler of the same messages beside it."""

import asyncio
import json
import sys
import time
from pathlib import Path

import grpc
from grpc import aio

from planner.service.assembly import Place
from planner.service.server import serve
from planner.service.settings import ServeSettings
from planner.service.tables import TableStore
from planner.v1 import planner_pb2 as pb

EMPTY = "/benchmark.Empty/Decide"
_ANSWER = pb.DecideResponse(
    action=pb.ACTION_CONTINUE,
    belief=pb.Belief(correct=0.7, derailed=0.1, recoverable=0.2),
    break_even_tokens=80.5,
    expected_strong_tokens=40,
    advantage=0.1,
    table_hash="0" * 64,
)


async def _empty(
    _: pb.DecideRequest, __: aio.ServicerContext[pb.DecideRequest, pb.DecideResponse]
) -> pb.DecideResponse:
    return _ANSWER


def _add_empty(server: aio.Server) -> None:
    handler = grpc.unary_unary_rpc_method_handler(
        _empty,
        request_deserializer=pb.DecideRequest.FromString,
        response_serializer=pb.DecideResponse.SerializeToString,
    )
    service, method = EMPTY[1:].split("/")
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))


def main() -> None:
    began = time.perf_counter()
    settings = ServeSettings(tables=Path(sys.argv[1]), listen="127.0.0.1:0")
    store = TableStore(settings.tables)

    def announce(address: str) -> None:
        print(json.dumps({"listening": address, "ready_seconds": time.perf_counter() - began}), flush=True)

    asyncio.run(
        serve(settings, store, Place(settings.listen), on_ready=announce, stop=asyncio.Event(), extend=_add_empty)
    )


if __name__ == "__main__":
    main()
