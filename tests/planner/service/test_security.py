"""TLS, client certificates and tokens on a real channel."""

import asyncio
import datetime as dt
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from grpc import aio

from kde.errors import InputError
from planner.client import PlannerClient, PlannerRefusedError, PlannerUnavailableError, Security
from planner.service.certificates import CertificateFiles
from planner.service.settings import ServeSettings
from planner.service.tokens import TokenFile
from planner.v1 import planner_pb2 as pb
from planner.v1 import planner_pb2_grpc as pb_grpc
from tests.planner.servers import FIRST, TRIM, request, serving

TOKEN, OTHER = "correct-horse-battery-staple", "another-token-of-some-length"


@dataclass(frozen=True)
class Authority:
    """A certificate authority and the files it has issued."""

    ca: trustme.CA
    folder: Path

    @property
    def root(self) -> Path:
        path = self.folder / "ca.pem"
        self.ca.cert_pem.write_to_path(str(path))
        return path

    def issue(self, name: str, *, expired: bool = False) -> tuple[Path, Path]:
        until_when = dt.datetime(2020, 1, 1, tzinfo=dt.UTC) if expired else None
        issued = self.ca.issue_cert("localhost", "127.0.0.1", not_after=until_when)
        chain, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        chain.write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(str(key))
        return chain, key


def authority(folder: Path) -> Authority:
    folder.mkdir()
    return Authority(trustme.CA(), folder)


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    return authority(tmp_path / "ours")


@pytest.fixture
def theirs(tmp_path: Path) -> Authority:
    return authority(tmp_path / "theirs")


def tls(chain: Path, key: Path, *more: object) -> list[str]:
    return ["--tls-certificate", str(chain), "--tls-key", str(key), *map(str, more)]


async def ask(address: str, security: Security) -> None:
    async with PlannerClient(address, attempts=2, deadline=2, security=security) as client:
        await client.decide("pomdp:0.002", FIRST, None)


async def test_the_right_authority_is_needed(table_directory: Path, ours: Authority, theirs: Authority) -> None:
    with serving(table_directory, *tls(*ours.issue("server"))) as server:
        await ask(server.address, Security(ca=ours.root))
        for wrong in (Security(ca=theirs.root), Security()):
            with pytest.raises(PlannerUnavailableError):
                await ask(server.address, wrong)


async def test_an_expired_certificate_is_refused_until_it_is_replaced(table_directory: Path, ours: Authority) -> None:
    with serving(table_directory, *tls(*ours.issue("server", expired=True))) as server:
        with pytest.raises(PlannerUnavailableError):
            await ask(server.address, Security(ca=ours.root))
        ours.issue("server")
        await ask(server.address, Security(ca=ours.root))


async def test_certificates_are_reloaded_and_bad_ones_refused(
    table_directory: Path, ours: Authority, theirs: Authority
) -> None:
    chain, key = ours.issue("server")
    with serving(table_directory, *tls(chain, key)) as server:
        await ask(server.address, Security(ca=ours.root))
        chain.write_text("nonsense")
        await ask(server.address, Security(ca=ours.root))
        new_chain, new_key = theirs.issue("server")
        key.write_bytes(new_key.read_bytes())
        chain.write_bytes(new_chain.read_bytes())
        await ask(server.address, Security(ca=theirs.root))
    assert server.said("certificate refused, the old one serves on")
    assert server.said("certificate loaded")


async def test_mutual_tls_wants_a_certificate_of_the_clients_authority(
    table_directory: Path, ours: Authority, theirs: Authority
) -> None:
    with serving(table_directory, *tls(*ours.issue("server"), "--tls-client-ca", ours.root)) as server:
        await ask(server.address, Security(ours.root, *ours.issue("client")))
        for wrong in (Security(ours.root), Security(ours.root, *theirs.issue("client"))):
            with pytest.raises(PlannerUnavailableError):
                await ask(server.address, wrong)


def token_file(folder: Path, *tokens: str) -> Path:
    path = folder / f"token-{len(list(folder.iterdir()))}"
    path.write_text("# accepted\n" + "\n".join(tokens) + "\n")
    return path


async def test_a_token_is_needed_and_tokens_change_without_a_restart(table_directory: Path, tmp_path: Path) -> None:
    accepted = token_file(tmp_path, TOKEN)
    right, wrong = (Security(token=_one_line(tmp_path / name, name)) for name in (TOKEN, OTHER))
    with serving(table_directory, "--tokens", str(accepted), "--watch-seconds", "0.05") as server:
        await ask(server.address, right)
        for refused in (wrong, Security()):
            with pytest.raises(PlannerRefusedError, match="UNAUTHENTICATED"):
                await ask(server.address, refused)
        assert await asyncio.to_thread(health, server.address) == (0, "SERVING\n")
        accepted.write_text(OTHER)
        await _accepted(server.address, wrong)
        with pytest.raises(PlannerRefusedError, match="UNAUTHENTICATED"):
            await ask(server.address, right)
        accepted.write_text("")
        await ask(server.address, wrong)
    assert TOKEN not in str(server.log)
    assert OTHER not in str(server.log)


def health(address: str) -> tuple[int, str]:
    done = subprocess.run([*TRIM, "health", address], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def _one_line(path: Path, token: str) -> Path:
    path.write_text(f"{token}\n")
    return path


async def _accepted(address: str, security: Security) -> None:
    """Until the token is accepted."""
    async with asyncio.timeout(10):
        while True:
            try:
                return await ask(address, security)
            except PlannerRefusedError:
                await asyncio.sleep(0.02)


async def test_paths_without_a_service_are_unknown_with_tokens_too(table_directory: Path, tmp_path: Path) -> None:
    with serving(table_directory, "--tokens", str(token_file(tmp_path, TOKEN))) as server:
        async with aio.insecure_channel(server.address) as channel:
            call: Any = channel.unary_unary("nothing")
            with pytest.raises(aio.AioRpcError) as caught:
                await call(b"", timeout=5)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_streams_need_a_token_too(table_directory: Path, tmp_path: Path) -> None:
    with (
        serving(table_directory, "--tokens", str(token_file(tmp_path, TOKEN))) as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        stub: Any = pb_grpc.PlannerServiceStub(channel)
        for call in (
            stub.RouteTrace(iter([pb.RouteTraceRequest(sequence=1, proposal=request())])),
            stub.WatchPolicies(pb.WatchPoliciesRequest()),
            stub.GetTable(pb.GetTableRequest(table_hash="x")),
        ):
            with pytest.raises(grpc.RpcError) as caught:
                next(call)
            refused: Any = caught.value
            assert refused.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_beyond_loopback_tls_and_tokens_suffice(table_directory: Path, tmp_path: Path, ours: Authority) -> None:
    tokens = token_file(tmp_path, TOKEN)
    options = [*tls(*ours.issue("server")), "--tokens", str(tokens)]
    with serving(table_directory, *options, listen="0.0.0.0:0") as server:
        address = f"127.0.0.1:{server.address.rpartition(':')[2]}"
        await ask(address, Security(ca=ours.root, token=_one_line(tmp_path / "mine", TOKEN)))
    with serving(table_directory, "--allow-insecure", listen="0.0.0.0:0") as server:
        await ask(f"127.0.0.1:{server.address.rpartition(':')[2]}", Security())


def test_settings_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    config = tmp_path / "serve.toml"
    config.write_text('listne = "127.0.0.1:0"\n')
    broken = tmp_path / "broken.toml"
    broken.write_text("workers = 0\n")
    tls: dict[str, Path] = {"tls_certificate": tmp_path, "tls_key": tmp_path}
    for file, options, complaint in (
        (None, {"listen": "0.0.0.0:0"}, "loopback"),
        (None, {"listen": "0.0.0.0:0", **tls}, "loopback"),
        (None, {"listen": "0.0.0.0:0", "tokens": tmp_path}, "loopback"),
        (None, {"tls_certificate": tmp_path}, "come together"),
        (None, {"tls_client_ca": tmp_path}, "own certificate"),
        (None, {"metrics": "0.0.0.0:0"}, "loopback"),
        (None, {"metrics": "unix:x"}, "HOST:PORT"),
        (None, {"workers": 2, "listen": "unix:s"}, "Unix socket"),
        (None, {"admin_tokens": tmp_path}, "--admin"),
        (None, {"decision_log_rate": 0}, "decision_log_rate"),
        (config, {}, "listne"),
        (broken, {}, str(broken)),
        (broken, {"workers": 300}, "trim serve"),
        (tmp_path / "absent", {}, "absent"),
    ):
        with pytest.raises(InputError, match=re.escape(complaint)):
            ServeSettings.read(file, {"tables": tmp_path, **options})


def test_files_that_are_no_secrets_are_refused(tmp_path: Path, ours: Authority) -> None:
    chain, key = ours.issue("server")
    _, other = ours.issue("other")
    with pytest.raises(InputError, match="not the key"):
        CertificateFiles(chain, other, None)
    for files in ((key, key, None), (chain, chain, None), (chain, key, key), (chain, tmp_path / "absent", None)):
        with pytest.raises(InputError):
            CertificateFiles(*files)
    for tokens in (("short",), ()):
        with pytest.raises(InputError, match="16 characters"):
            TokenFile(token_file(tmp_path, *tokens), every=1)


async def test_settings_come_from_a_file_and_options_override_it(table_directory: Path, tmp_path: Path) -> None:
    config = tmp_path / "serve.toml"
    config.write_text(f'tables = "{tmp_path}/absent"\nbatch_rows = 2\nlog_level = "warning"\n')
    with serving(table_directory, "--config", str(config)) as server:
        await ask(server.address, Security())
    assert server.log == []
