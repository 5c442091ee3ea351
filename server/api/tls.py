"""TLS of the gRPC server: its certificate, and whom it lets in by theirs."""

import logging
import os
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import grpc

from server.domain.faults import CannotStart
from server.security.private_files import require_private

logger = logging.getLogger(__name__)

_Signature = tuple[tuple[int, int, int, int], ...]


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

    def ssl_context(self) -> ssl.SSLContext:
        """The same for HTTP: with each connection changed files are looked for.

        Raises:
            CannotStart: as for the first time.
        """
        context = latest = self._context()
        seen = self._signature()

        def choose(connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
            nonlocal latest, seen
            if (signature := self._signature()) != seen:
                seen = signature
                try:
                    latest = self._context()
                except CannotStart as reason:
                    logger.warning("The new TLS files cannot be used for HTTP, the old ones go on: %s", reason)
            connection.context = latest

        context.sni_callback = choose
        return context

    def _context(self) -> ssl.SSLContext:
        """Raises CannotStart."""
        self._read()
        files = self._files
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=files.client_ca)
        context.load_cert_chain(files.certificate, files.key, password=lambda: b"")
        if files.client_ca is not None:
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def _renewed(self) -> grpc.ServerCertificateConfiguration | None:
        """What changed files hold; None for the same as before, and as long as they cannot be used."""
        with self._lock:
            signature = self._signature()
            if signature == self._seen:
                return None
            # Told once: whoever connects makes this be asked.
            self._seen = signature
            try:
                configuration = self._read()
            except CannotStart as reason:
                logger.warning("The new TLS files cannot be used, the old ones go on: %s", reason)
                return None
            logger.info("The TLS files were read again")
            return configuration

    def _signature(self) -> _Signature:
        """Changes with the files, their modes included; a missing one is one, too."""
        return tuple(_state(path) for path in self._files.paths)

    def _read(self) -> grpc.ServerCertificateConfiguration:
        files = self._files
        for path in files.paths:
            if not os.access(path, os.R_OK):
                raise CannotStart(f"{path} cannot be read: it is missing, or it may not be read")
        try:
            require_private(files.key)
            certificates, key = _certificates(files.certificate), files.key.read_bytes()
            ca = _certificates(files.client_ca) if files.client_ca else None
            # An encrypted key is refused, instead of asking at the terminal for its password.
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(files.certificate, files.key, password=lambda: b"")
        except OSError as error:
            message = f"{files.key} is not the key of {files.certificate}, is no PEM or is encrypted: {error}"
            raise CannotStart(f"{message}; write the right one without a password, openssl pkey -in KEY") from None
        return grpc.ssl_server_certificate_configuration([(key, certificates)], root_certificates=ca)


def _certificates(path: Path) -> bytes:
    """The certificates in a file. Raises CannotStart when it holds none."""
    text = path.read_bytes()
    try:
        ssl.create_default_context(cadata=text.decode("ascii"))
    except (OSError, ValueError):
        raise CannotStart(f"{path} holds no certificates in PEM") from None
    return text


def _state(path: Path) -> tuple[int, int, int, int]:
    try:
        stat = path.stat()
    except OSError:
        return (0, 0, 0, 0)
    return stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino
