"""The configuration: TOML < environment < flags, each option documented in one table (options.py).

Hands out one small frozen value per part (streamer.words.settings); only the daemon sees the whole.
Secrets are paths, or names in $CREDENTIALS_DIRECTORY, never values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from streamer.config.load import CONFIG_ENV, Value, default_data_dir, find_file, read_values
from streamer.config.options import BY_KEY, NODE_PREFIX, OPTIONS, Option
from streamer.words.errors import ConfigError
from streamer.words.money import DAY_NS
from streamer.words.net import is_loopback
from streamer.words.settings import (
    ApiSettings,
    InvoiceSettings,
    LogSettings,
    NodeSettings,
    SpendLimit,
    StreamSettings,
    WebhookSettings,
)

__all__ = [
    "BY_KEY",
    "CONFIG_ENV",
    "NO_NODE",
    "OPTIONS",
    "Config",
    "Option",
    "default_data_dir",
    "load_config",
]

NO_NODE = """no node configured. Say which lnd is to pay:
  streamer serve --node.rpcserver 127.0.0.1:10009 --node.lnddir ~/.lnd
  or --node.lndconnect FILE, or the same in a file ([node] rpcserver, tlscertpath, macaroonpath).
To try it without a node: `streamer demo`, or `simulator = true` in the file (no real money)."""

MAIN_NODE = "main"
"""The name of the node that [node] describes."""


@dataclass(frozen=True, slots=True)
class Config:
    """Everything the daemon was told. written: option key → where it was written."""

    data_dir: Path
    simulator: bool = False
    nodes: tuple[NodeSettings, ...] = ()
    spend_limit: SpendLimit = field(default_factory=SpendLimit)
    streams: StreamSettings = field(default_factory=StreamSettings)
    invoices: InvoiceSettings = field(default_factory=InvoiceSettings)
    api: ApiSettings = field(default_factory=ApiSettings)
    webhook: WebhookSettings = field(default_factory=WebhookSettings)
    log: LogSettings = field(default_factory=LogSettings)
    history_keep_ns: int = 400 * DAY_NS
    file: Path | None = None
    written: Mapping[str, Value] = field(default_factory=dict)

    def require_node(self) -> None:
        """Raise ConfigError if there is neither a node nor the simulator."""
        if not self.nodes and not self.simulator:
            raise ConfigError(NO_NODE)

    def check(self) -> None:
        """Raise ConfigError if two options exclude each other."""
        _check(self)


def load_config(
    environ: Mapping[str, str],
    flags: Mapping[str, str] | None = None,
    config_flag: str | None = None,
) -> Config:
    """Read and check all three sources; flags maps option keys to text.

    Raises ConfigError with file, line (or variable, or flag) and what to write instead.
    """
    values = read_values(find_file(environ, config_flag), environ, flags or {})
    plain = values.plain
    simulator = bool(plain["simulator"].value) if "simulator" in plain else False
    own = {key: value for key, value in plain.items() if key.startswith(NODE_PREFIX)}
    if own and values.nodes:
        raise ConfigError(
            f"{next(iter(own.values())).origin}: [node] and [nodes.NAME] exclude each other; name"
            " every node"
        )
    groups = values.nodes or ({MAIN_NODE: own} if own else {})
    config = Config(
        data_dir=_path(plain, "data_dir") or default_data_dir(environ),
        simulator=simulator,
        nodes=tuple(_node(name, group) for name, group in groups.items()),
        spend_limit=SpendLimit(**_part(plain, "spend_limit")),
        streams=StreamSettings(**_part(plain, "streams")),
        invoices=InvoiceSettings(**_part(plain, "invoices")),
        api=ApiSettings(**_part(plain, "api")),
        webhook=WebhookSettings(**_part(plain, "webhook")),
        log=LogSettings(**_part(plain, "log")),
        history_keep_ns=_whole(plain, "history.keep", 400 * DAY_NS),
        file=values.file,
        written={
            **plain,
            **{
                f"nodes.{name}.{key[5:]}": value
                for name, group in values.nodes.items()
                for key, value in group.items()
            },
        },
    )
    config.check()
    return config


def _node(name: str, group: Mapping[str, Value]) -> NodeSettings:
    settings = NodeSettings(name=name, **_part(group, "node"))
    where = next(iter(group.values())).origin
    given = [
        key
        for key in ("rpcserver", "lnddir", "tlscertpath", "macaroonpath")
        if NODE_PREFIX + key in group
    ]
    if settings.lndconnect is not None and given:
        raise ConfigError(
            f"{where}: lndconnect holds address, certificate and macaroon: leave out"
            f" {', '.join(given)}"
        )
    return replace(
        settings,
        max_in_flight_per_destination=min(
            settings.max_in_flight_per_destination, settings.max_in_flight
        ),
    )


_IN_NS = frozenset(option.key for option in OPTIONS if option.kind == "duration")
"""Their fields end in _ns: units come last."""


def _part(values: Mapping[str, Value], part: str) -> dict[str, Any]:
    prefix = part + "."
    return {
        key.removeprefix(prefix) + ("_ns" if key in _IN_NS else ""): value.value
        for key, value in values.items()
        if key.startswith(prefix)
    }


def _path(values: Mapping[str, Value], key: str) -> Path | None:
    value = values[key].value if key in values else None
    return value if isinstance(value, Path) else None


def _whole(values: Mapping[str, Value], key: str, default: int) -> int:
    value = values[key].value if key in values else default
    return value if isinstance(value, int) else default


def _check(config: Config) -> None:
    if config.simulator and config.nodes:
        raise ConfigError(
            f"simulator = true and a node ({config.nodes[0].name}) exclude each other: real and"
            " simulated money never mix"
        )
    streams = config.streams
    if streams.max_payment_msat is not None and streams.max_payment_msat < streams.min_payment_msat:
        raise ConfigError(
            f"streams.max_payment_msat ({streams.max_payment_msat}) is below"
            f" streams.min_payment_msat ({streams.min_payment_msat})"
        )
    _check_api(config)
    if config.api.grpc_listen == config.api.http_listen and not config.api.grpc_listen.endswith(
        ":0"
    ):
        raise ConfigError(
            f"api.grpc_listen and api.http_listen are the same address ({config.api.grpc_listen})"
        )
    if config.webhook.url and config.webhook.secret_file is None:
        raise ConfigError(
            "webhook.url is set, but not webhook.secret_file: without a secret nobody can tell our"
            " events from forged ones"
        )


def _check_api(config: Config) -> None:
    api = config.api
    if (api.tls_cert is None) != (api.tls_key is None):
        raise ConfigError(
            "api.tls_cert and api.tls_key go together: the certificate and its private key"
        )
    for key, listen in (("api.grpc_listen", api.grpc_listen), ("api.http_listen", api.http_listen)):
        if not api.encrypted and not is_loopback(listen):
            where = config.written[key].origin if key in config.written else key
            raise ConfigError(
                f"{where}: is {listen!r}, which is not loopback: keys would travel in the clear."
                " Set api.tls = true (the daemon makes a certificate), or api.tls_cert and"
                " api.tls_key; or listen on 127.0.0.1 or [::1]"
            )
