"""Where the daemon is and which key opens it, when nobody says so."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from streamer.config import default_data_dir
from streamer.words.errors import ConfigError
from streamer.words.net import is_loopback

ADMIN_KEY = "admin.key"
KEY_ENV = "STREAMER_KEY_FILE"
SERVER_ENV = "STREAMER_SERVER"
TLS_CERT_ENV = "STREAMER_TLS_CERT"
TLS_CERT = "tls.cert"
DEFAULT_SERVER = "127.0.0.1:8881"
MAX_KEY_BYTES = 4_096
"""Of a file with a key, which has 512 at most: what is not a key need not be read whole."""


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom to believe over TLS: who has this certificate, or one that it signed; None: the
    authorities that gRPC knows.

    name: what the certificate must be for, if that is not the server's name in its address.
    """

    tls_cert: Path | None = None
    name: str = ""


def find_trust(server: str, file: str | None = None, data_dir: Path | None = None) -> Trust | None:
    """The certificate in file, else in $STREAMER_TLS_CERT; beyond loopback also
    ~/.config/streamer/tls.cert, the data folder's.

    None: no TLS, which only a daemon on this machine is asked without.
    """
    named = file or os.environ.get(TLS_CERT_ENV)
    if named:
        return Trust(Path(named).expanduser())
    if is_loopback(server):
        return None
    places = (path.with_name(TLS_CERT) for path in usual_keys(data_dir))
    return Trust(next((path for path in places if os.access(path, os.R_OK)), None))


def find_server() -> str:
    """$STREAMER_SERVER, else the daemon's default address."""
    return os.environ.get(SERVER_ENV) or DEFAULT_SERVER


def find_key(file: str | None = None, data_dir: Path | None = None) -> str:
    """The key in file, else in $STREAMER_KEY_FILE, ~/.config/streamer/key, the data folder; empty
    if there is none.

    Raises ConfigError if a file that is named or there cannot be read.
    """
    path = find_key_file(file, data_dir)
    return _read(path) if path is not None else ""


def find_key_file(file: str | None = None, data_dir: Path | None = None) -> Path | None:
    """Where find_key finds it."""
    named = file or os.environ.get(KEY_ENV)
    if named:
        return Path(named).expanduser()
    for path in usual_keys(data_dir):
        try:
            if path.exists():
                return path
        except PermissionError:
            continue
    return None


def usual_keys(data_dir: Path | None = None) -> tuple[Path, Path]:
    """Where a key is looked for that nobody named."""
    home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return home / "streamer" / "key", (data_dir or default_data_dir(os.environ)) / ADMIN_KEY


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            key = file.read(MAX_KEY_BYTES).decode("ascii").strip()
    except OSError as error:
        raise ConfigError(f"{path}: the key cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        key = ""
    if not key or not key.isprintable() or " " in key:
        raise ConfigError(f"{path}: holds no key")
    return key
