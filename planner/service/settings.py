"""Settings of `trim serve`: a TOML file, options on the command line over it, and the rules between them."""

import tomllib
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kde.errors import InputError
from planner.service.addresses import host_and_port, is_local


class LogLevel(Enum):
    """Least severity of log lines."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class ServeSettings(BaseModel):
    """Everything that can be set about a server.

    Attributes: as the option of the same name; sizes in bytes, times in seconds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    tables: Path = Field(description="a policy table, or a folder of them")
    listen: str = Field(default="127.0.0.1:50051", description="HOST:PORT (port 0 picks one), or unix:PATH")
    workers: int = Field(default=1, ge=1, le=256, description="processes that share the port")
    watch_seconds: float = Field(default=1, gt=0, description="how often to look for new tables and tokens")
    tls_certificate: Path | None = Field(default=None, description="PEM file of the certificate chain")
    tls_key: Path | None = Field(default=None, description="PEM file of its key")
    tls_client_ca: Path | None = Field(default=None, description="PEM file: clients must show a certificate of this CA")
    tokens: Path | None = Field(default=None, description="file of accepted bearer tokens, one a line")
    admin: bool = Field(default=False, description="serve PolicyAdminService as well")
    admin_tokens: Path | None = Field(
        default=None, description="file of tokens for PolicyAdminService, instead of --tokens"
    )
    allow_insecure: bool = Field(default=False, description="listen beyond loopback without TLS or tokens")
    metrics: str | None = Field(
        default=None, description="HOST:PORT of Prometheus metrics; worker i adds i to the port"
    )
    open_metrics: bool = Field(default=False, description="let other machines read the metrics")
    traces: bool = Field(default=False, description="export OpenTelemetry traces (extra otel; OTEL_* variables)")
    log_level: LogLevel = Field(default=LogLevel.INFO, description="least severity of the JSON log on standard error")
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
    notice_seconds: float = Field(default=0, ge=0, description="not ready, but still serving, before draining")
    drain_seconds: float = Field(default=5, ge=0, description="what calls under way get to finish")

    @classmethod
    def read(cls, file: Path | None, options: Mapping[str, Any]) -> "ServeSettings":
        """Settings of a TOML file, overridden by options.

        Raises:
            InputError: the file cannot be read, a key is unknown, a value is out of range, or two settings do not go together.
        """
        from_file = {} if file is None else _read_toml(file)
        try:
            settings = cls.model_validate(from_file | dict(options))
        except ValidationError as error:
            first = str(error.errors()[0]["loc"][0]) if error.errors()[0]["loc"] else ""
            what = file if file is not None and first in from_file and first not in options else "trim serve"
            raise InputError.of_validation(what, error) from error
        settings.check()
        return settings

    @property
    def tls(self) -> bool:
        """Whether connections are encrypted."""
        return self.tls_certificate is not None

    def check(self) -> None:
        """The rules between settings.

        Raises:
            InputError: a rule is broken.
        """
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise InputError(
                "tls", field="tls_key", value=self.tls_key, remedy="a certificate and its key come together"
            )
        if self.tls_client_ca is not None and not self.tls:
            raise InputError(
                "tls", field="tls_client_ca", value=self.tls_client_ca, remedy="give the server's own certificate too"
            )
        if (
            not is_local("--listen", self.listen)
            and not self.allow_insecure
            and not (self.tls and self.tokens is not None)
        ):
            remedy = "only loopback is served in plaintext: give --tls-certificate, --tls-key and --tokens, or say --allow-insecure"
            raise InputError("--listen", field="address", value=self.listen, remedy=remedy)
        if self.workers > 1 and self.listen.startswith("unix:"):
            raise InputError(
                "--workers", field="workers", value=self.workers, remedy="workers share a port, not a Unix socket"
            )
        if self.admin_tokens is not None and not self.admin:
            raise InputError("admin", field="admin_tokens", value=self.admin_tokens, remedy="say --admin as well")
        if self.metrics is not None:
            host_and_port("--metrics", self.metrics)
            if not is_local("--metrics", self.metrics) and not self.open_metrics:
                raise InputError(
                    "--metrics", field="address", value=self.metrics, remedy="a loopback address, or say --open-metrics"
                )


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(
            file, field="content", value="", remedy=f"a TOML file of settings is wanted ({error})"
        ) from error
