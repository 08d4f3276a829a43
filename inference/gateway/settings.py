"""Settings of `trim gateway`."""

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from kde.errors import InputError
from planner.service.addresses import host_and_port
from planner.service.network import NetworkSettings


class GatewaySettings(NetworkSettings):
    """Everything that can be set about a gateway."""

    command: ClassVar[str] = "trim gateway"

    listen: str = Field(default="127.0.0.1:8000", description="HOST:PORT (port 0 picks one)")
    engines: Path | None = Field(default=None, description="TOML file of the models: M_w, M_s and the scorer")
    logs: Path = Field(
        default=Path("logs"), description="directory for the logs of servers that it starts: of models without URLs"
    )
    lab: bool = Field(default=False, description="the lab's shipped models, through transformers, instead of --engines")
    server: str | None = Field(default=None, description="HOST:PORT of a planner")
    fallback: str | None = Field(
        default=None, description="what decides while no planner answers: continue, thr:0.4, table, or table,thr:0.4"
    )
    planner_ca: Path | None = Field(default=None, description="PEM file: the planner's certificate is of this CA")
    planner_token: Path | None = Field(default=None, description="file with the bearer token for the planner")
    tables: Path | None = Field(default=None, description="a policy table, or a folder of them, instead of --server")
    watch_seconds: float = Field(default=1, gt=0, description="how often to look for new tokens and certificates")
    body_bytes: int = Field(default=2**20, ge=1024, description="largest request")
    concurrent_requests: int = Field(default=64, ge=1, description="completions under way; more are sent away with 429")
    request_seconds: float = Field(default=300, gt=0, description="longest completion")
    max_steps: int = Field(default=30, ge=1, description="T, the step limit of an answer")

    def check(self) -> None:
        """The rules between settings.

        Raises:
            InputError: a rule is broken.
        """
        super().check()
        host_and_port("--listen", self.listen)
        if (self.engines is None) != self.lab:
            raise InputError("models", field="engines", value=self.engines, remedy="give one of --engines and --lab")
        if self.server is not None and self.tables is not None:
            raise InputError("planner", field="server", value=self.server, remedy="give one of --server and --tables")
        for name in ("fallback", "planner_ca", "planner_token"):
            value = getattr(self, name)
            if self.server is None and value is not None:
                raise InputError("planner", field=name, value=value, remedy="it goes with --server")
