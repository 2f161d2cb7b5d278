"""Where the daemon is and which key opens it, when nobody says so."""

from __future__ import annotations

import os
from pathlib import Path

from streamer.config import default_data_dir
from streamer.errors import ConfigError

ADMIN_KEY = "admin.key"
KEY_ENV = "STREAMER_KEY_FILE"
SERVER_ENV = "STREAMER_SERVER"
DEFAULT_SERVER = "127.0.0.1:8881"


def find_server() -> str:
    """$STREAMER_SERVER, else the daemon's default address."""
    return os.environ.get(SERVER_ENV) or DEFAULT_SERVER


def find_key(file: str | None = None, data_dir: Path | None = None) -> str:
    """The key in file, else in $STREAMER_KEY_FILE, ~/.config/streamer/key, the data folder; empty if there is none.

    Raises ConfigError if a file that is named or there cannot be read.
    """
    named = file or os.environ.get(KEY_ENV)
    if named:
        return _read(Path(named).expanduser())
    for path in usual_keys(data_dir):
        try:
            if path.exists():
                return _read(path)
        except PermissionError:
            continue
    return ""


def usual_keys(data_dir: Path | None = None) -> tuple[Path, Path]:
    """Where a key is looked for that nobody named."""
    home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return home / "streamer" / "key", (data_dir or default_data_dir(os.environ)) / ADMIN_KEY


def _read(path: Path) -> str:
    try:
        key = path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise ConfigError(f"{path}: the key cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        key = ""
    if not key or not key.isprintable() or " " in key:
        raise ConfigError(f"{path}: holds no key")
    return key
