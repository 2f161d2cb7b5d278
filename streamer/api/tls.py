"""TLS of both doors: one certificate, read again when its files change, without a restart.

Connections that are open go on with the certificate they began with. A pair of files that does not
fit together (one is new, the other not yet) keeps the old certificate until it does.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import cast

import grpc
from cryptography import x509

from streamer.api.owncert import OwnCertificate, wall
from streamer.words.errors import ConfigError

log = logging.getLogger(__name__)

Stamps = tuple[tuple[int, int, int], ...]


class Tls:
    """The certificate in these files. own, if given, makes and renews them. Raises ConfigError."""

    def __init__(self, cert: Path, key: Path, own: OwnCertificate | None = None) -> None:
        self._cert, self._key, self._own = cert, key, own
        self.context = _context()
        """For the HTTP door; changes in place."""
        if own is not None:
            own.keep()
        self._stamps = self._tried = self._stamp()
        self._pair = self._read()

    def look(self) -> bool:
        """Renew what is due, and take what changed; whether there is another certificate now. Never
        raises.
        """
        try:
            if self._own is not None:
                self._own.keep()
            stamps = self._stamp()
            if stamps in (self._stamps, self._tried):
                return False
            self._tried = stamps
            self._pair, self._stamps = self._read(), stamps
        except ConfigError as error:
            log.warning("the old certificate is kept: %s", error)
            return False
        log.info("another certificate is in force: %s", self._cert)
        return True

    def grpc_credentials(self) -> grpc.ServerCredentials:
        """For the gRPC door: asked at each new connection which certificate it is."""
        given = self._pair

        def changed() -> grpc.ServerCertificateConfiguration | None:
            nonlocal given
            if self._pair is given:
                return None
            given = self._pair
            return _configuration(given)

        # gRPC takes None for "the same as before"; its type stubs do not know
        return grpc.dynamic_ssl_server_credentials(
            _configuration(given),
            cast("Callable[[], grpc.ServerCertificateConfiguration]", changed),
        )

    def _stamp(self) -> Stamps:
        found = []
        for path in (self._cert, self._key):
            try:
                state = path.stat()
            except OSError as error:
                raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
            found.append((state.st_mtime_ns, state.st_size, state.st_ino))
        return tuple(found)

    def _read(self) -> tuple[bytes, bytes]:
        """Load both files into the context, and give their bytes (certificate, key)."""
        try:
            _context().load_cert_chain(self._cert, self._key, password=lambda: b"")
            pair = self._cert.read_bytes(), self._key.read_bytes()
            until = x509.load_pem_x509_certificate(pair[0]).not_valid_after_utc
            self.context.load_cert_chain(self._cert, self._key, password=lambda: b"")
        except OSError as error:
            if isinstance(error, ssl.SSLError):
                why = (
                    "they do not belong together"
                    if "MISMATCH" in (error.reason or "")
                    else "one of them is no PEM file, or is encrypted"
                )
                raise ConfigError(
                    f"{self._cert} and {self._key}: {why}"
                    + (f" ({error.reason})" if error.reason else "")
                ) from None
            raise ConfigError(
                f"{self._cert} and {self._key}: cannot be read: {error.strerror}"
            ) from None
        except ValueError as error:  # the file was changed while it was read
            raise ConfigError(
                f"{self._cert}: is no PEM certificate that can be read ({error})"
            ) from None
        if until <= wall():
            log.warning(
                "the certificate %s has expired at %s: clients will refuse it", self._cert, until
            )
        return pair


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _configuration(pair: tuple[bytes, bytes]) -> grpc.ServerCertificateConfiguration:
    certificate, key = pair
    return grpc.ssl_server_certificate_configuration([(key, certificate)])
