"""SIGHUP: the configuration is read anew, and the daemon begins again with it if it is good.

What a running daemon cannot change is kept as it is: the data folder, where it listens, and whether
its money is real (with the nodes, if the file says otherwise). A configuration that is wrong, by
itself, together with what is kept, or with the files that it names, changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace

from streamer.api.tls import Tls
from streamer.api.webhook.signature import read_secret
from streamer.config import Config
from streamer.words.errors import ConfigError

log = logging.getLogger(__name__)


class Reload:
    """Whether somebody asked for it, and how the last one went. load reads all sources again; it
    raises ConfigError.
    """

    def __init__(self, load: Callable[[], Config]) -> None:
        self.asked = asyncio.Event()
        self.success = True
        self._load = load

    def next(self, present: Config) -> Config:
        """The configuration to go on with: the new one, or the present one if nothing changed or
        the new one is wrong.
        """
        self.asked.clear()
        try:
            read = self._load()
            read.require_node()
            new = _merge(present, read)
        except ConfigError as error:
            self.refuse(error)
            return present
        if replace(new, written=present.written) == present:
            self.success = True
            log.info("the configuration was read anew: nothing changed")
            return present
        try:
            _require_files(new)
        except ConfigError as error:
            self.refuse(error)
            return present
        self.success = True
        log.info(
            "the configuration was read anew: beginning again with it, when what is in flight has"
            " ended"
        )
        return new

    def refuse(self, error: ConfigError) -> None:
        """Say that a new configuration is wrong, and that the old one goes on."""
        self.success = False
        log.error("the new configuration is not used, the old one stays: %s", error)


def _require_files(config: Config) -> None:
    """Raise ConfigError unless the files that a start reads are good now.

    A certificate may have been taken away from a daemon that goes on with what it has read. Asked
    only when the house is down, there would be no way back: the configuration before needs the same
    file.
    """
    api, webhook = config.api, config.webhook
    if api.tls_cert is not None and api.tls_key is not None:
        Tls(api.tls_cert, api.tls_key)
    if webhook.url and webhook.secret_file is not None:
        read_secret(webhook.secret_file)


def _merge(present: Config, read: Config) -> Config:
    """What was read, with what stays as it is. Raises ConfigError if the two do not go together."""
    listens = replace(
        read.api, grpc_listen=present.api.grpc_listen, http_listen=present.api.http_listen
    )
    nodes = read.nodes if read.simulator == present.simulator else present.nodes
    kept = [
        name
        for name, stays, wanted in (
            ("data_dir", present.data_dir, read.data_dir),
            ("the choice between simulator and node", present.simulator, read.simulator),
            ("where the API listens", listens, read.api),
        )
        if stays != wanted
    ]
    new = replace(
        read, data_dir=present.data_dir, simulator=present.simulator, nodes=nodes, api=listens
    )
    try:
        new.check()
        new.require_node()
    except ConfigError as error:
        raise ConfigError(
            f"{' and '.join(kept)} cannot change until streamer is started anew, and with that:"
            f" {error}"
        ) from None
    for name in kept:
        log.warning("%s stays as it is until streamer is started anew", name)
    return new
