"""How a command reaches the daemon: its address and key, and the options for both."""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from streamer.config import Config, default_data_dir, load_config
from streamer.errors import ConfigError

if TYPE_CHECKING:
    from streamer.client import Client

ADMIN_KEY = "admin.key"
KEY_ENV = "STREAMER_KEY_FILE"
SERVER_ENV = "STREAMER_SERVER"
DEFAULT_SERVER = "127.0.0.1:8881"


class Connection:
    """What --server, --key-file and --json said."""

    def __init__(self, server: str | None, key_file: str | None, as_json: bool) -> None:
        self._server = server
        self._key_file = key_file
        self.as_json = as_json

    def run(self, work: Callable[[Client], Awaitable[int | None]]) -> int:
        """Connect, do work, and give its exit code (None: 0)."""
        from streamer.client import CallFailed, Client

        config = _config()
        server = self._server or os.environ.get(SERVER_ENV) or (config.api.grpc_listen if config else DEFAULT_SERVER)
        key = find_key(self._key_file, config)

        async def connected() -> int:
            async with Client(server, key) as client:
                try:
                    return await work(client) or 0
                except CallFailed as error:
                    if error.code == "UNAUTHENTICATED" and not key:
                        raise ConfigError(_no_key(config)) from None
                    raise

        return asyncio.run(connected())


def talks(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command --server, --key-file and --json; it gets a Connection as `connection`."""

    @click.option("--server", metavar="HOST:PORT", help="The daemon's gRPC address.  [default: as configured, 127.0.0.1:8881]")
    @click.option("--key-file", metavar="FILE", help="The file with the API key.  [default: admin.key in the data folder]")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    @functools.wraps(command)
    def wrapped(*args: Any, server: str | None, key_file: str | None, as_json: bool, **options: Any) -> Any:
        return command(*args, connection=Connection(server, key_file, as_json), **options)

    return wrapped


def find_key(flag: str | None, config: Config | None) -> str:
    """The key: --key-file, $STREAMER_KEY_FILE, ~/.config/streamer/key, the data folder; empty if there is none.

    Raises ConfigError if a file that is named or there cannot be read.
    """
    named = flag or os.environ.get(KEY_ENV)
    if named:
        return _read(Path(named).expanduser())
    for path in _usual(config):
        try:
            if path.exists():
                return _read(path)
        except PermissionError:
            continue
    return ""


def _usual(config: Config | None) -> tuple[Path, Path]:
    home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return home / "streamer" / "key", (config.data_dir if config else default_data_dir(os.environ)) / ADMIN_KEY


def _no_key(config: Config | None) -> str:
    home, data = _usual(config)
    return (
        f"no key found: neither {home} nor {data} can be read. The daemon writes admin.key into its data folder at the first start;"
        f" name it with --key-file or ${KEY_ENV}"
    )


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


def _config() -> Config | None:
    """The configuration, for the daemon's address and folder; a bad file is the daemon's trouble, not ours."""
    try:
        return load_config(os.environ)
    except ConfigError:
        return None
