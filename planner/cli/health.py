"""`trim health`: the standard health check, for probes that cannot speak gRPC themselves."""

import sys
from pathlib import Path
from typing import Annotated, Any

import grpc
from cyclopts import App, Parameter
from grpc_health.v1 import health_pb2, health_pb2_grpc

from planner.client import Security

app = App(name="health", help_epilogue="Example: trim health 127.0.0.1:50051 --service ''")


@app.default
def run(
    server: Annotated[str, Parameter(help="HOST:PORT or unix:PATH of a planner")] = "127.0.0.1:50051",
    *,
    service: Annotated[str, Parameter(help="'' asks for liveness")] = "planner.v1.PlannerService",
    timeout: Annotated[float, Parameter(help="seconds to wait")] = 2.0,
    tls_ca: Annotated[Path | None, Parameter(help="PEM file of the authority that signed its certificate")] = None,
    tls_certificate: Annotated[Path | None, Parameter(help="PEM file of a client certificate")] = None,
    tls_key: Annotated[Path | None, Parameter(help="PEM file of its key")] = None,
) -> None:
    """Ask a planner whether it is ready; the exit status is 0 if it says SERVING, else 1."""
    credentials = Security(tls_ca, tls_certificate, tls_key).credentials()
    with grpc.insecure_channel(server) if credentials is None else grpc.secure_channel(server, credentials) as channel:
        try:
            stub: Any = health_pb2_grpc.HealthStub(channel)  # its stubs know no methods
            answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=timeout)
            status = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
        except grpc.RpcError as error:
            status = error.code().name
    sys.stdout.write(f"{status}\n")
    sys.exit(0 if status == "SERVING" else 1)
