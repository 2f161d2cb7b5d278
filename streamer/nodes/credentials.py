"""Where lnd is and how it lets us in: address, TLS certificate, macaroon, by lncli's conventions.

Access says where these are, and is kept; Credentials are what was read, and are used for one
connection only: lnd renews its certificate, and operators bake new macaroons. Nothing here
connects.
"""

from __future__ import annotations

import base64
import binascii
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from streamer.nodes.permissions import bake_command
from streamer.words.errors import ConfigError
from streamer.words.settings import NodeSettings

DEFAULT_PORT = 10009
"""lnd's gRPC port, if the address names none (lncli's default)."""

DEFAULT_LNDDIR = "~/.lnd"
NETWORKS = ("mainnet", "testnet", "testnet4", "signet", "regtest", "simnet")
SCHEME = "lndconnect://"
MAX_FILE_BYTES = 1 << 20
"""No certificate or macaroon is larger; a path that points at something else is noticed."""


@dataclass(slots=True, frozen=True)
class Credentials:
    """What one connection needs. certificate is PEM, or None for the system's roots; macaroon
    hex.
    """

    rpcserver: str
    certificate: bytes | None
    macaroon: str = field(repr=False)


@dataclass(slots=True, frozen=True)
class Access:
    """Where to find the credentials of one node: three paths, or an lndconnect URI or a file of
    it.
    """

    rpcserver: str = ""
    tlscertpath: Path | None = None
    macaroonpath: Path | None = None
    lndconnect: str = field(default="", repr=False)

    def read(self) -> Credentials:
        """Read everything anew. ConfigError names the file and what to do."""
        if self.lndconnect:
            return _read_lndconnect(self.lndconnect)
        if self.tlscertpath is None or self.macaroonpath is None:
            raise ConfigError("a node needs tlscertpath and macaroonpath, or lndconnect")
        certificate = check_certificate(
            _read(self.tlscertpath, "TLS certificate (tls.cert of lnd)"), str(self.tlscertpath)
        )
        macaroon = macaroon_hex(_read(self.macaroonpath, "macaroon"), str(self.macaroonpath))
        return Credentials(with_port(self.rpcserver), certificate, macaroon)


def access(
    rpcserver: str = "",
    tlscertpath: str = "",
    macaroonpath: str = "",
    lndconnect: str = "",
    *,
    lnddir: str = "",
    network: str = "mainnet",
) -> Access:
    """Fill in what lncli would: localhost:10009, and the paths below lnddir for the network.

    lndconnect excludes the rest. ConfigError if both are given, or the network is none of lnd's.
    """
    if lndconnect:
        if rpcserver or tlscertpath or macaroonpath:
            raise ConfigError(
                "lndconnect holds address, certificate and macaroon: give it alone, or give the"
                " three without it"
            )
        return Access(lndconnect=lndconnect)
    if network not in NETWORKS:
        raise ConfigError(f"network {network!r} is none of lnd's: {', '.join(NETWORKS)}")
    folder = Path(lnddir or DEFAULT_LNDDIR).expanduser()
    certificate = Path(tlscertpath).expanduser() if tlscertpath else folder / "tls.cert"
    admin = folder / "data" / "chain" / "bitcoin" / network / "admin.macaroon"
    macaroon = Path(macaroonpath).expanduser() if macaroonpath else admin
    return Access(with_port(rpcserver or "localhost"), certificate, macaroon)


def access_of(node: NodeSettings) -> Access:
    """Where the credentials of a configured node are. Raises ConfigError."""
    if node.lndconnect:
        return access(lndconnect=str(node.lndconnect))
    tlscert, macaroon, lnddir = (
        str(path) if path else "" for path in (node.tlscertpath, node.macaroonpath, node.lnddir)
    )
    return access(
        node.rpcserver, tlscert, macaroon, lnddir=lnddir, network=node.network or "mainnet"
    )


def with_port(rpcserver: str) -> str:
    """host:port as gRPC takes it, with lnd's port if there is none. ConfigError if it is no
    address.
    """
    try:
        parts = urlsplit(f"//{rpcserver}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or parts.path or parts.query or "@" in rpcserver:
        raise ConfigError(
            f"rpcserver {rpcserver!r} is no address: write host:port, for example"
            f" localhost:{DEFAULT_PORT}"
        )
    return f"[{host}]:{port or DEFAULT_PORT}" if ":" in host else f"{host}:{port or DEFAULT_PORT}"


def check_certificate(text: bytes, where: str) -> bytes:
    """The certificates as plain PEM, without what else the text holds: a comment need not be ASCII.
    ConfigError says what it is instead.
    """
    if b"PRIVATE KEY" in text:
        raise ConfigError(
            f"{where} is a private key, which must never leave lnd's machine: give tls.cert, not"
            " tls.key"
        )
    if b"-----BEGIN CERTIFICATE-----" not in text:
        raise ConfigError(
            f"{where} is no PEM certificate: give lnd's tls.cert, which begins with -----BEGIN"
            " CERTIFICATE-----"
        )
    try:
        return b"".join(
            found.public_bytes(Encoding.PEM) for found in x509.load_pem_x509_certificates(text)
        )
    except ValueError as error:
        raise ConfigError(f"{where} is damaged: copy lnd's tls.cert again ({error})") from None


def macaroon_hex(content: bytes, where: str) -> str:
    """The macaroon as hex, from lnd's binary file or from hex text. ConfigError if it is empty."""
    compact = b"".join(content.split())
    if not compact:
        raise ConfigError(
            f"{where} is empty: copy the macaroon again, or bake one with: {bake_command()}"
        )
    try:
        return bytes.fromhex(compact.decode("ascii")).hex()
    except ValueError:
        return content.hex()


def _read(path: Path, what: str) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(
            f"no {what} at {path}: is the path right, and has lnd been started once?"
        ) from None
    except IsADirectoryError:
        raise ConfigError(f"{path} is a folder: name the file of the {what}") from None
    except PermissionError:
        raise ConfigError(
            f"{path} may not be read by this user: let the group that runs streamer read it, or"
            " copy it"
        ) from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    if len(content) > MAX_FILE_BYTES:
        raise ConfigError(f"{path} is too large for a {what}")
    return content


def _read_lndconnect(given: str) -> Credentials:
    uri, where = given.strip(), "lndconnect"
    if not uri.startswith(SCHEME):
        path = Path(uri).expanduser()
        uri, where = _read(path, "lndconnect URI").decode("utf-8", "replace").strip(), str(path)
    if not uri.startswith(SCHEME):
        raise ConfigError(
            f"{where} holds no lndconnect URI: it begins with {SCHEME}host:port?cert=…&macaroon=…"
        )
    address, _, query = uri[len(SCHEME) :].partition("?")
    fields = {name: values[-1] for name, values in parse_qs(query).items()}
    if "macaroon" not in fields:
        raise ConfigError(f"{where} has no macaroon: make the URI again, with macaroon=…")
    der = _base64url(fields["cert"], "cert", where) if "cert" in fields else None
    certificate = (
        check_certificate(ssl.DER_cert_to_PEM_cert(der).encode(), f"cert of {where}")
        if der
        else None
    )
    macaroon = _base64url(fields["macaroon"], "macaroon", where).hex()
    return Credentials(with_port(address.rstrip("/")), certificate, macaroon)


def _base64url(text: str, name: str, where: str) -> bytes:
    compact = text.strip().replace(" ", "+").translate(str.maketrans("+/", "-_")).rstrip("=")
    try:
        return base64.b64decode(compact + "=" * (-len(compact) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise ConfigError(f"{name} of {where} is not base64url: copy the whole URI again") from None
