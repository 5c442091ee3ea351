"""TLS of the gRPC server: its certificate, and whom it lets in by theirs."""

import logging
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import grpc

from server.domain.faults import CannotStart

logger = logging.getLogger(__name__)

_Signature = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where certificate and key are, and the authorities of clients' certificates, where clients need one."""

    certificate: Path
    key: Path
    client_ca: Path | None = None

    @property
    def paths(self) -> tuple[Path, ...]:
        """All of them."""
        return (self.certificate, self.key, *([self.client_ca] if self.client_ca else []))


class Tls:
    """The server's side of TLS. Files that change are read again: a renewed certificate takes no restart."""

    def __init__(self, files: TlsFiles) -> None:
        """Read the files.

        Raises:
            CannotStart: one cannot be read, others may read the key, or they do not fit together.
        """
        self._files = files
        # gRPC asks from threads of its own.
        self._lock = threading.Lock()
        self._seen = self._signature()
        self._first = self._read()

    def credentials(self) -> grpc.ServerCredentials:
        """What the server's port is to be opened with."""
        # None says that nothing has changed, of which the stubs know nothing.
        renewed = cast("Callable[[], grpc.ServerCertificateConfiguration]", self._renewed)
        return grpc.dynamic_ssl_server_credentials(
            self._first, renewed, require_client_authentication=self._files.client_ca is not None
        )

    def _renewed(self) -> grpc.ServerCertificateConfiguration | None:
        """What changed files hold; None for the same as before, and as long as they cannot be used."""
        with self._lock:
            try:
                signature = self._signature()
                if signature == self._seen:
                    return None
                configuration = self._read()
            except CannotStart as reason:
                logger.warning("The new TLS files cannot be used, the old ones go on: %s", reason)
                return None
            self._seen = signature
            logger.info("The TLS files were read again")
            return configuration

    def _signature(self) -> _Signature:
        try:
            found = [path.stat() for path in self._files.paths]
        except OSError as error:
            raise CannotStart(f"{error.filename} cannot be read: {error.strerror}") from None
        return tuple((stat.st_mtime_ns, stat.st_size, stat.st_ino) for stat in found)

    def _read(self) -> grpc.ServerCertificateConfiguration:
        files = self._files
        try:
            if files.key.stat().st_mode & 0o077:
                raise CannotStart(f"{files.key} holds a secret and others may read it; run chmod 600 {files.key}")
            # A key that is encrypted is refused, instead of asking at the terminal for its password.
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(files.certificate, files.key, password=lambda: b"")
            pair = (files.key.read_bytes(), files.certificate.read_bytes())
        except OSError as error:
            raise CannotStart(f"{files.certificate} and {files.key} are no certificate and its key: {error}") from None
        ca = None
        if files.client_ca:
            try:
                ssl.create_default_context(cafile=files.client_ca)
                ca = files.client_ca.read_bytes()
            except OSError as error:
                raise CannotStart(f"{files.client_ca} holds no certificates: {error}") from None
        return grpc.ssl_server_certificate_configuration([pair], root_certificates=ca)
