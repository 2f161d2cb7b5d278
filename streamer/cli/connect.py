"""How a command reaches the daemon: its address and key, and the options for both."""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import click

from streamer.config import CONFIG_ENV, Config, load_config
from streamer.words.errors import ConfigError
from streamer.words.net import is_loopback

if TYPE_CHECKING:
    from streamer.client import Client
    from streamer.client.access import Trust

KEY_UNKNOWN = "KEY_UNKNOWN"
"""The daemon's reason."""


class Connection:
    """What --server, --key-file, --tls-cert and --json said."""

    def __init__(
        self, server: str | None, key_file: str | None, tls_cert: str | None, as_json: bool
    ) -> None:
        self._server = server
        self._key_file = key_file
        self._tls_cert = tls_cert
        self.as_json = as_json

    def run(self, work: Callable[[Client], Awaitable[int | None]]) -> int:
        """Connect, do work, and give its exit code (None: 0)."""
        from streamer.client import CallFailed, Client, NotReachable
        from streamer.client.access import (
            DEFAULT_SERVER,
            SERVER_ENV,
            find_key,
            find_key_file,
            find_trust,
        )

        config, unread = _config()
        named = self._server or os.environ.get(SERVER_ENV)
        server = named or (_reachable(config.api.grpc_listen) if config else DEFAULT_SERVER)
        trust = find_trust(server, self._tls_cert, config.data_dir if config else None)
        if (
            config is not None
            and config.api.encrypted
            and not self._tls_cert
            and (named is None or is_loopback(named))
        ):
            trust = _own_trust(config)
        key = find_key(self._key_file, config.data_dir if config else None)

        async def connected() -> int:
            async with Client(server, key, trust) as client:
                try:
                    return await work(client) or 0
                except CallFailed as error:
                    if error.code == "UNAUTHENTICATED" and not key:
                        raise ConfigError(_no_key(config) + unread) from None
                    if error.reason == KEY_UNKNOWN:
                        file = find_key_file(self._key_file, config.data_dir if config else None)
                        known = (
                            f"the key in {file} is not known to the daemon at {server}: name the"
                            " file of another with --key-file"
                        )
                        raise CallFailed(known, error.code, error.reason) from None
                    raise
                except NotReachable as error:
                    raise NotReachable(
                        f"{error}{'' if named else unread}", sent=error.sent
                    ) from None

        return asyncio.run(connected())


def talks(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command --server, --key-file, --tls-cert and --json; it gets a Connection as
    `connection`.
    """

    @click.option(
        "--server",
        metavar="HOST:PORT",
        help="The daemon's gRPC address.  [default: as configured, 127.0.0.1:8881]",
    )
    @click.option(
        "--key-file",
        metavar="FILE",
        help="The file with the API key.  [default: admin.key in the data folder]",
    )
    @click.option(
        "--tls-cert",
        metavar="FILE",
        help="The daemon's certificate, if it speaks TLS.  [default: as configured]",
    )
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    @functools.wraps(command)
    def wrapped(
        *args: Any,
        server: str | None,
        key_file: str | None,
        tls_cert: str | None,
        as_json: bool,
        **options: Any,
    ) -> Any:
        return command(*args, connection=Connection(server, key_file, tls_cert, as_json), **options)

    return wrapped


def _reachable(listen: str) -> str:
    """Where a daemon that listens there is found from this machine."""
    host, _, port = listen.rpartition(":")
    return {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host) + f":{port}"  # noqa: S104


def _own_trust(config: Config) -> Trust:
    """The certificate of the daemon that this configuration describes; its file is trusted,
    whatever name it is for.
    """
    from cryptography import x509

    from streamer.client.access import TLS_CERT, Trust
    from streamer.config.certificate import hosts_of

    path = config.api.tls_cert or config.data_dir / TLS_CERT
    try:
        hosts = sorted(hosts_of(x509.load_pem_x509_certificate(path.read_bytes())))
    except (OSError, ValueError):
        return Trust(path)
    return Trust(path, "" if config.api.tls_cert is None or not hosts else hosts[0])


def _no_key(config: Config | None) -> str:
    from streamer.client.access import KEY_ENV, usual_keys

    home, data = usual_keys(config.data_dir if config else None)
    return (
        f"no key found: neither {home} nor {data} can be read. The daemon writes admin.key into its"
        f" data folder at the first start; name it with --key-file or ${KEY_ENV}"
    )


def _config() -> tuple[Config | None, str]:
    """The configuration, for the daemon's address and folder, or why it is not used. Raises
    ConfigError for a file that was named.

    Another bad file is the daemon's trouble, and told only when the daemon is not found.
    """
    try:
        return load_config(os.environ), ""
    except ConfigError as error:
        if os.environ.get(CONFIG_ENV):
            raise
        return None, f" (the configuration is not used: {error})"
