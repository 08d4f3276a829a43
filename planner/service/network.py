"""What can be set about any server of ours: its address, its secrets, its log and its leaving, with the rules between them."""

import tomllib
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kde.errors import InputError
from planner.service.addresses import host_and_port, is_local


class LogLevel(Enum):
    """Least severity of log lines."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class NetworkSettings(BaseModel):
    """Settings of a server: a TOML file, options on the command line over it, and the rules between them.

    Attributes: as the option of the same name; sizes in bytes, times in seconds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    command: ClassVar[str]
    """The command that has these options, for its errors."""

    listen: str
    tls_certificate: Path | None = Field(default=None, description="PEM file of the certificate chain")
    tls_key: Path | None = Field(default=None, description="PEM file of its key")
    tls_client_ca: Path | None = Field(default=None, description="PEM file: clients must show a certificate of this CA")
    tokens: Path | None = Field(default=None, description="file of accepted bearer tokens, one a line")
    allow_insecure: bool = Field(default=False, description="listen beyond loopback without TLS or tokens")
    metrics: str | None = Field(default=None, description="HOST:PORT of Prometheus metrics")
    open_metrics: bool = Field(default=False, description="let other machines read the metrics")
    log_level: LogLevel = Field(default=LogLevel.INFO, description="least severity of the JSON log on standard error")
    notice_seconds: float = Field(default=0, ge=0, description="not ready, but still serving, before draining")
    drain_seconds: float = Field(default=5, ge=0, description="what calls under way get to finish")

    @classmethod
    def read(cls, file: Path | None, options: Mapping[str, Any]) -> Self:
        """Settings of a TOML file, overridden by options.

        Raises:
            InputError: the file cannot be read, a key is unknown, a value is out of range, or two settings do not go together.
        """
        from_file = {} if file is None else _read_toml(file)
        try:
            settings = cls.model_validate(from_file | dict(options))
        except ValidationError as error:
            first = str(error.errors()[0]["loc"][0]) if error.errors()[0]["loc"] else ""
            what = file if file is not None and first in from_file and first not in options else cls.command
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
