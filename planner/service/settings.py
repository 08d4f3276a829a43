"""Settings of `trim serve`."""

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from kde.errors import InputError
from planner.service.network import NetworkSettings


class ServeSettings(NetworkSettings):
    """Everything that can be set about a planner."""

    command: ClassVar[str] = "trim serve"

    tables: Path = Field(description="a policy table, or a folder of them")
    listen: str = Field(default="127.0.0.1:50051", description="HOST:PORT (port 0 picks one), or unix:PATH")
    workers: int = Field(default=1, ge=1, le=256, description="processes that share the port")
    watch_seconds: float = Field(default=1, gt=0, description="how often to look for new tables and tokens")
    admin: bool = Field(default=False, description="serve PolicyAdminService as well")
    admin_tokens: Path | None = Field(
        default=None, description="file of tokens for PolicyAdminService, instead of --tokens"
    )
    metrics: str | None = Field(
        default=None, description="HOST:PORT of Prometheus metrics; worker i adds i to the port"
    )
    traces: bool = Field(default=False, description="export OpenTelemetry traces (extra otel; OTEL_* variables)")
    decision_log: Path | None = Field(default=None, description="directory for a log of decisions")
    decision_log_rate: float = Field(default=1, gt=0, le=1, description="share of the decisions that are logged")
    decision_log_bytes: int = Field(
        default=64 * 2**20, ge=1024, description="size at which a log file is followed by the next"
    )
    decision_log_files: int = Field(default=8, ge=1, description="log files that a worker keeps")
    message_bytes: int = Field(default=2**20, ge=1024, description="largest request")
    batch_rows: int = Field(default=4096, ge=1, description="longest batch")
    streams_per_connection: int = Field(default=1000, ge=1, description="calls under way on one connection")
    concurrent_calls: int = Field(default=4096, ge=1, description="calls under way in a worker")
    connection_seconds: float = Field(
        default=3600, gt=0, description="age of a connection at which its client is sent to a new one"
    )
    queue_seconds: float = Field(default=0.5, gt=0, description="wait in the queue beyond which calls are shed")
    call_seconds: float = Field(default=3600, gt=0, description="longest stream whose client set no deadline")

    def check(self) -> None:
        """The rules between settings.

        Raises:
            InputError: a rule is broken.
        """
        super().check()
        if self.workers > 1 and self.listen.startswith("unix:"):
            raise InputError(
                "--workers", field="workers", value=self.workers, remedy="workers share a port, not a Unix socket"
            )
        if self.admin_tokens is not None and not self.admin:
            raise InputError("admin", field="admin_tokens", value=self.admin_tokens, remedy="say --admin as well")
