"""OpenTelemetry traces of calls, exported over OTLP; the standard OTEL_* environment variables say where to."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from kde.errors import InputError


def check_tracing() -> None:
    """Refuse where the packages are not installed.

    Raises:
        InputError: the extra is missing.
    """
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.instrumentation") is None:
        remedy = "install the extra: pip install 'trim-routing[otel]'"
        raise InputError("--traces", field="traces", value=True, remedy=remedy)


def start_tracing() -> tuple[Any, Callable[[], None]]:
    """The server's interceptor, and what to call at the end so that no span is lost.

    Raises:
        InputError: the extra is missing.
    """
    check_tracing()
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter  # noqa: PLC0415  an extra
    from opentelemetry.instrumentation.grpc import aio_server_interceptor  # noqa: PLC0415
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    provider = TracerProvider(resource=Resource.create({"service.name": "trim-planner"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    interceptor: Any = aio_server_interceptor
    return interceptor(tracer_provider=provider), provider.shutdown
