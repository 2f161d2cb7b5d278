"""The files that a client of a simulated node needs: tls.cert, tls.key and macaroons.

Self-signed ECDSA P-256 like lnd's own; certificate and root key are kept in the folder, so that a
simulator that comes back is the same node to its clients.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from streamer.simulator.keys import derive
from streamer.simulator.macaroon import bake
from streamer.simulator.permissions import STANDARD, Permission

VALID = datetime.timedelta(days=14 * 30)
"""How long a certificate lasts: 14 months, as lnd's."""


@dataclass(slots=True, frozen=True)
class Credentials:
    """Where a node's files are, and what the server needs of them."""

    folder: Path
    certificate: bytes
    key: bytes
    root_key: bytes

    @property
    def tlscertpath(self) -> Path:
        """The certificate, PEM."""
        return self.folder / "tls.cert"

    @property
    def macaroonpath(self) -> Path:
        """The admin macaroon, binary."""
        return self.folder / "admin.macaroon"

    def bake(self, name: str, permissions: tuple[Permission, ...]) -> Path:
        """Write another macaroon NAME.macaroon with these permissions only."""
        path = self.folder / f"{name}.macaroon"
        _write_secret(path, bake(self.root_key, permissions, root_key_id=b"1"))
        return path


def make_credentials(folder: Path, seed: str, name: str) -> Credentials:
    """Read the files in folder, or make them; raises OSError when it cannot be written."""
    folder.mkdir(parents=True, exist_ok=True)
    certificate_path, key_path = folder / "tls.cert", folder / "tls.key"
    if not (certificate_path.exists() and key_path.exists()):
        certificate, key = _self_signed(name)
        _write_secret(key_path, key)
        certificate_path.write_bytes(certificate)
    credentials = Credentials(folder, certificate_path.read_bytes(), key_path.read_bytes(), derive(seed, f"root-key/{name}"))
    for macaroon, permissions in STANDARD.items():
        _write_secret(folder / f"{macaroon}.macaroon", bake(credentials.root_key, permissions))
    return credentials


def _self_signed(name: str) -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "streamer simulator"), x509.NameAttribute(NameOID.COMMON_NAME, name)]
    )
    now = datetime.datetime.now(datetime.UTC)
    addresses = [ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1")]
    names: list[x509.GeneralName] = [x509.DNSName("localhost"), *(x509.IPAddress(address) for address in addresses)]
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + VALID)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    certificate = builder.sign(key, hashes.SHA256())
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    return certificate.public_bytes(Encoding.PEM), secret


def _write_secret(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
