"""TLS: certificates are read again whenever their files have changed, at the next handshake."""

import logging
from pathlib import Path

import grpc

from kde.errors import InputError

log = logging.getLogger(__name__)


class CertificateFiles:
    """A certificate chain, its key and, for mutual TLS, the authority of clients, as files that may be replaced.

    Raises:
        InputError: a file cannot be read, or they do not belong together.
    """

    def __init__(self, certificate: Path, key: Path, client_ca: Path | None) -> None:
        self._certificate, self._key, self._client_ca = certificate, key, client_ca
        self._stamp = self._look()
        self._current = self._read()

    def credentials(self) -> grpc.ServerCredentials:
        """Credentials that follow the files."""
        return grpc.dynamic_ssl_server_credentials(
            self._current, self.fetch, require_client_authentication=self._client_ca is not None
        )

    def fetch(self) -> grpc.ServerCertificateConfiguration:
        """The configuration of the moment; files that do not work are reported and the ones before serve on."""
        stamp = self._look()
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._current = self._read()
                log.info("certificate loaded")
            except InputError as error:
                log.error("certificate refused, the old one serves on", extra={"error": str(error)})  # noqa: TRY400
        return self._current

    def _read(self) -> grpc.ServerCertificateConfiguration:
        from cryptography import x509  # noqa: PLC0415  only where TLS is used
        from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

        chain, key = _read_file(self._certificate), _read_file(self._key)
        authority = None if self._client_ca is None else _read_file(self._client_ca)
        try:
            certificate = x509.load_pem_x509_certificates(chain)[0]
            if authority is not None:
                x509.load_pem_x509_certificates(authority)
        except ValueError as error:
            raise InputError(
                self._certificate, field="content", value="", remedy=f"PEM certificates are wanted ({error})"
            ) from error
        try:
            private = load_pem_private_key(key, password=None)
        except (ValueError, TypeError) as error:
            raise InputError(
                self._key, field="content", value="", remedy="a PEM key without a password is wanted"
            ) from error
        if private.public_key() != certificate.public_key():
            raise InputError(self._key, field="content", value="", remedy=f"it is not the key of {self._certificate}")
        return grpc.ssl_server_certificate_configuration([(key, chain)], root_certificates=authority)

    def _look(self) -> tuple[tuple[int, int, int] | None, ...]:
        return tuple(_stamp(path) for path in (self._certificate, self._key, self._client_ca) if path is not None)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(path, field="content", value="", remedy=f"it cannot be read ({error.strerror})") from error
