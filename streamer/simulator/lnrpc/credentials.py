"""The files that a client of a simulated node needs: tls.cert, tls.key and macaroons.

Self-signed ECDSA P-256 like lnd's own; certificate and root key are kept in the folder, so that a
simulator that comes back is the same node to its clients.
"""

from __future__ import annotations

import datetime
import os
import ssl
from dataclasses import dataclass
from pathlib import Path

from streamer.config.certificate import HERE, key_pem, new_key, self_signed
from streamer.simulator.encoding.keys import derive
from streamer.simulator.lnrpc.macaroon import bake
from streamer.simulator.lnrpc.permissions import STANDARD, Permission


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
    """Read the files in folder, or make them; raises OSError when it cannot be written, ValueError
    when what is there is no pair.
    """
    folder.mkdir(parents=True, exist_ok=True)
    certificate_path, key_path = folder / "tls.cert", folder / "tls.key"
    if not (certificate_path.exists() and key_path.exists()):
        fresh = new_key()
        certificate, key = (
            self_signed(
                fresh, "streamer simulator", name, HERE, datetime.datetime.now(datetime.UTC)
            ),
            key_pem(fresh),
        )
        _write_secret(key_path, key)
        certificate_path.write_bytes(certificate)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate_path, key_path)
    except ssl.SSLError:
        raise ValueError(
            f"{certificate_path} and {key_path} are no certificate and its key: remove both, and"
            " new ones are made"
        ) from None
    credentials = Credentials(
        folder,
        certificate_path.read_bytes(),
        key_path.read_bytes(),
        derive(seed, f"root-key/{name}"),
    )
    for macaroon, permissions in STANDARD.items():
        _write_secret(folder / f"{macaroon}.macaroon", bake(credentials.root_key, permissions))
    return credentials


def _write_secret(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
