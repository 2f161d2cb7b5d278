"""What keeps a daemon from starting, or from paying at once, as far as can be seen without starting
it.
"""

from __future__ import annotations

from streamer.config import Config
from streamer.words.errors import ConfigError, StreamerError


def require_startable(config: Config) -> list[str]:
    """Look at the files that the configuration names; what a daemon would start without, but wait
    for.

    Raises ConfigError for what would end its start. Nothing is made or changed, and nobody is
    connected to.
    """
    from streamer.api.tls import Tls
    from streamer.api.webhook.signature import read_secret
    from streamer.nodes.credentials import access_of
    from streamer.stores.look import look

    config.require_node()
    if "data_dir" in config.written or config.data_dir.parent.exists():
        try:
            look(config.data_dir, "simulator" if config.simulator else "lnd")
        except StreamerError as error:
            raise ConfigError(str(error)) from None
    if config.api.tls_cert is not None and config.api.tls_key is not None:
        Tls(config.api.tls_cert, config.api.tls_key)
    if config.webhook.url and config.webhook.secret_file is not None:
        read_secret(config.webhook.secret_file)
    waits = []
    for node in config.nodes:
        try:
            access_of(node).read()
        except ConfigError as error:
            waits.append(f"node {node.name} cannot be connected to yet: {error}")
    return waits
