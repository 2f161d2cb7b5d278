"""Every option there is: one table, from which file, environment, flags and documentation follow.

An option `node.rpcserver` is `[node] rpcserver` in the file, STREAMER_NODE_RPCSERVER in the
environment and --node.rpcserver on the command line. Options of `node.` may be given once for each
`[nodes.NAME]` instead (STREAMER_NODES_NAME_RPCSERVER), not by flags.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from streamer.words.event_types import KINDS, chosen
from streamer.words.money import (
    DAY_NS,
    LONGEST_NS,
    MAX_MSAT,
    SECOND_NS,
    format_duration,
    parse_amount,
    parse_duration,
)
from streamer.words.net import is_loopback_host
from streamer.words.settings import SHORTEST_INTERVAL_NS

ENV_PREFIX = "STREAMER_"
NODE_PREFIX = "node."
NETWORKS = ("mainnet", "testnet", "testnet4", "signet", "regtest", "simnet")
"""lnd's names of the networks it knows."""
_LONGEST_PATH = 4_096
"""PATH_MAX of Linux."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value was written: what messages call it, and the folder that its paths start
    from.
    """

    name: str
    folder: Path
    environ: Mapping[str, str]


Parse = Callable[[object, Place], object]
"""Reads what was written (TOML value or text); ValueError says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Option:
    """One option. kind and default are what documentation shows; reload: SIGHUP may change it."""

    key: str
    kind: str
    default: str
    doc: str
    parse: Parse

    @property
    def env(self) -> str:
        """Its name in the environment."""
        return ENV_PREFIX + self.key.replace(".", "_").upper()

    @property
    def flag(self) -> str:
        """Its name on the command line."""
        return "--" + self.key.replace("_", "-")


def _text(*choices: str) -> Parse:
    def parse(value: object, _: Place) -> str:
        if not isinstance(value, str):
            raise ValueError('must be text in quotes ("…")')
        if choices and value not in choices:
            raise ValueError(
                f"is {value!r}; one of: {', '.join(choice or 'empty' for choice in choices)}"
            )
        return value

    return parse


def _whole(low: int, high: int) -> Parse:
    def parse(value: object, _: Place) -> int:
        if isinstance(value, str):
            try:
                value = int(value)
            except ValueError:
                raise ValueError(f"is {value!r}; a whole number is needed") from None
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError("must be a whole number")
        return _within(value, low, high, str)

    return parse


def _yes_or_no(value: object, _: Place) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "yes", "1", "false", "no", "0"):
        return value.lower() in ("true", "yes", "1")
    raise ValueError("must be true or false")


def _amount(low: int, *, none: bool = False) -> Parse:
    def parse(value: object, _: Place) -> int | None:
        if none and value == "":
            return None
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise ValueError('must be an amount, such as "50sat"')
        if isinstance(value, str) and not value.isdecimal():
            value = parse_amount(value)
        return _within(int(value), low, MAX_MSAT, lambda bound: f"{bound:,} msat")

    return parse


def _duration(low_ns: int, *, forever: bool = False, whole_seconds: bool = False) -> Parse:
    def parse(value: object, _: Place) -> int | None:
        if forever and value == "forever":
            return None
        if not isinstance(value, str):
            raise ValueError('must be a duration with its unit, such as "30s"')
        duration_ns = parse_duration(value)
        if whole_seconds and duration_ns % SECOND_NS:
            raise ValueError(f"is {value!r}; whole seconds are needed")
        return _within(duration_ns, low_ns, LONGEST_NS, format_duration)

    return parse


def _within(value: int, low: int, high: int, show: Callable[[int], str]) -> int:
    if not low <= value <= high:
        raise ValueError(f"is out of bounds: from {show(low)} to {show(high)}")
    return value


def _path(value: object, place: Place) -> Path:
    if not isinstance(value, str) or not value:
        raise ValueError('must be a path in quotes ("…")')
    if "\0" in value:
        raise ValueError("holds a zero byte, which no path has")
    if (
        value.startswith(("lndconnect://", "-----BEGIN"))
        or len(value) > _LONGEST_PATH
        or _is_long_hex(value)
    ):
        raise ValueError(
            "takes the path of a file, never the secret itself: write it to a file (mode 0600) and"
            " name that file here"
        )
    credentials = place.environ.get("CREDENTIALS_DIRECTORY")
    if credentials and "/" not in value and (Path(credentials) / value).exists():
        return Path(credentials) / value
    return Path(os.path.normpath(place.folder / Path(value).expanduser()))


def _is_long_hex(value: str) -> bool:
    return len(value) >= 64 and all(digit in "0123456789abcdefABCDEF" for digit in value)


def _address(value: object, _: Place) -> str:
    if not isinstance(value, str):
        raise ValueError('must be an address in quotes, such as "127.0.0.1:10009"')
    host, colon, port = value.rpartition(":")
    if not colon or not host or not port.isdecimal() or not int(port) < 65_536:
        raise ValueError(f"is {value!r}; host:port is needed, such as 127.0.0.1:10009")
    return value


def _list(value: object, what: str, example: str) -> list[str]:
    """A list in the file; elsewhere a text with commas."""
    found = (
        [part.strip() for part in value.split(",") if part.strip()]
        if isinstance(value, str)
        else value
    )
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise ValueError(f'must be a list of {what}, such as ["{example}"]')
    return found


def _hosts(value: object, _: Place) -> tuple[str, ...]:
    hosts = _list(value, "names and addresses", "pay.example.org")
    wrong = next(
        (host for host in hosts if not re.fullmatch(r"[0-9A-Za-z.:_-]{1,253}", host)), None
    )
    if wrong is not None:
        raise ValueError(
            f"holds {wrong!r}, which is no host name or address: write for example pay.example.org"
            " or 192.0.2.7"
        )
    return tuple(hosts)


def _origins(value: object, _: Place) -> tuple[str, ...]:
    origins = _list(value, "origins", "https://example.org")
    wrong = next(
        (origin for origin in origins if not re.fullmatch(r"https?://[^/\s*]+", origin)), None
    )
    if wrong is not None:
        raise ValueError(
            f"holds {wrong!r}; an origin is a scheme and a host, without a path and without *:"
            " https://example.org"
        )
    return tuple(origins)


def _events(value: object, _: Place) -> tuple[str, ...]:
    """A list in the file; elsewhere a text with commas."""
    names = (
        [part.strip() for part in value.split(",") if part.strip()]
        if isinstance(value, str)
        else value
    )
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise ValueError('must be a list of events, such as ["stream", "payment.failed"]')
    chosen(names)
    return tuple(names)


def _webhook(value: object, _: Place) -> str:
    if not isinstance(value, str):
        raise ValueError('must be an address in quotes, such as "https://example.org/streamer"')
    try:
        parts = urlsplit(value)
        host = parts.hostname if parts.port != 0 else None
    except ValueError:
        raise ValueError("is no address of a web server: write https://host/path") from None
    if parts.scheme not in ("https", "http") or not host or any(sign.isspace() for sign in value):
        raise ValueError("is no address of a web server: write https://host/path")
    if parts.scheme == "http" and not is_loopback_host(host):
        raise ValueError("is not encrypted: https is needed for every host but this machine")
    return value


OPTIONS: tuple[Option, ...] = (
    Option(
        "data_dir",
        "path",
        "$STATE_DIRECTORY, else $XDG_DATA_HOME/streamer",
        "journal, admin key and preimage secret",
        _path,
    ),
    Option(
        "simulator",
        "boolean",
        "false",
        "pay on a simulated network, started with the daemon; no real money",
        _yes_or_no,
    ),
    Option("node.rpcserver", "address", "127.0.0.1:10009", "lnd's gRPC address", _address),
    Option(
        "node.lnddir",
        "path",
        "–",
        "lnd's folder, to find tls.cert and the macaroon as lncli does",
        _path,
    ),
    Option("node.tlscertpath", "path", "–", "lnd's tls.cert", _path),
    Option("node.macaroonpath", "path", "–", "the macaroon to use", _path),
    Option(
        "node.lndconnect",
        "path",
        "–",
        "a file with an lndconnect:// address, in place of address and paths",
        _path,
    ),
    Option(
        "node.network",
        "text",
        "–",
        "refuse a node on another network: " + ", ".join(NETWORKS),
        _text("", *NETWORKS),
    ),
    Option(
        "node.max_payments_per_second",
        "number",
        "200",
        "what you allow; what the node manages is measured",
        _whole(1, 100_000),
    ),
    Option(
        "node.max_in_flight",
        "number",
        "100",
        "payments under way at the node at once; no more than half of what its channels' peers"
        " accept",
        _whole(1, 10_000),
    ),
    Option(
        "node.max_in_flight_per_destination",
        "number",
        "10",
        "of these, for one receiver that has settled in time before",
        _whole(1, 10_000),
    ),
    Option(
        "node.timeout",
        "duration",
        "30s",
        "how long lnd may try new routes for a payment",
        _duration(SECOND_NS, whole_seconds=True),
    ),
    Option(
        "node.ghost_after",
        "duration",
        "2m",
        "when a call whose end was lost counts as dead",
        _duration(SECOND_NS),
    ),
    Option(
        "node.hold_after",
        "duration",
        "30s",
        "when an open payment counts as held, and its receiver as not proven",
        _duration(SECOND_NS),
    ),
    Option(
        "node.orphan_write_off_after",
        "duration",
        "24h",
        "when an orphan counts as paid",
        _duration(SECOND_NS),
    ),
    Option("node.cltv_limit", "number", "288", "longest route, in blocks", _whole(9, 2_016)),
    Option(
        "spend_limit.amount_msat",
        "amount",
        "2000000000",
        "what the whole daemon may spend in a period, then it stops",
        _amount(1),
    ),
    Option("spend_limit.period", "duration", "1h", "that period", _duration(SECOND_NS)),
    Option(
        "streams.min_payment_interval",
        "duration",
        "1s",
        "payments of a stream are never closer",
        _duration(SHORTEST_INTERVAL_NS),
    ),
    Option(
        "streams.min_payment_msat",
        "amount",
        "1000",
        "no payment is smaller; lnd's channels refuse less than 1000",
        _amount(1),
    ),
    Option(
        "streams.max_payment_msat",
        "amount",
        "–",
        "no payment is larger; unset: half of the most an active channel can send",
        _amount(1, none=True),
    ),
    Option(
        "streams.max_open_payments",
        "number",
        "1",
        "open payments of one stream, by default",
        _whole(1, 100),
    ),
    Option(
        "streams.catch_up",
        "duration",
        "5m",
        'impossible time that is paid afterwards; "0s" or "forever"',
        _duration(0, forever=True),
    ),
    Option("streams.fee_floor_msat", "amount", "5000", "fee limit of a small payment", _amount(1)),
    Option(
        "streams.fee_limit_ppm",
        "number",
        "10000",
        "fee limit of a large one, in parts per million",
        _whole(0, 1_000_000),
    ),
    Option(
        "streams.in_doubt_after",
        "duration",
        "10m",
        "when an open payment frees its slot, but not its money",
        _duration(SECOND_NS),
    ),
    Option(
        "streams.stall_after",
        "number",
        "5",
        "failures in a row that stall a stream",
        _whole(1, 1_000),
    ),
    Option(
        "streams.max_streams",
        "number",
        "1000000",
        "streams that have not ended",
        _whole(1, 10_000_000),
    ),
    Option("invoices.fee_floor_msat", "amount", "5000", "fee limit of a small invoice", _amount(1)),
    Option(
        "invoices.fee_limit_ppm",
        "number",
        "10000",
        "fee limit of a large one, in parts per million",
        _whole(0, 1_000_000),
    ),
    Option(
        "invoices.expiry",
        "duration",
        "1d",
        "how long an invoice that we make can be paid",
        _duration(SECOND_NS, whole_seconds=True),
    ),
    Option(
        "api.grpc_listen",
        "address",
        "127.0.0.1:8881",
        "gRPC; beyond loopback only with TLS",
        _address,
    ),
    Option(
        "api.http_listen",
        "address",
        "127.0.0.1:8882",
        "HTTP: the API, /metrics, /healthz, /readyz; beyond loopback only with TLS",
        _address,
    ),
    Option(
        "api.tls",
        "boolean",
        "false",
        "TLS on both, with a certificate of its own (tls.cert in data_dir) unless tls_cert"
        " names one",
        _yes_or_no,
    ),
    Option(
        "api.tls_cert",
        "path",
        "–",
        "the operator's certificate, with its chain (PEM); read again when it changes",
        _path,
    ),
    Option("api.tls_key", "path", "–", "its private key (PEM)", _path),
    Option(
        "api.tls_names",
        "list",
        "–",
        "further names and addresses that the daemon's own certificate is for",
        _hosts,
    ),
    Option(
        "api.cors_origins",
        "list",
        "–",
        "origins whose pages in a browser may call over HTTP, such as https://example.org",
        _origins,
    ),
    Option(
        "api.requests_per_second",
        "number",
        "200",
        "requests of one key, in the long run; 10 times as many at once",
        _whole(1, 1_000_000),
    ),
    Option(
        "webhook.url", "url", "–", "where events are posted; https, or http on loopback", _webhook
    ),
    Option(
        "webhook.secret_file",
        "path",
        "–",
        "the secret that signs them: at least 32 characters",
        _path,
    ),
    Option(
        "webhook.events",
        "list",
        "stream, payment",
        "which events: " + ", ".join(("stream", "payment", *KINDS)),
        _events,
    ),
    Option(
        "history.keep",
        "duration",
        "400d",
        "ended payments are kept for so long, then as daily totals; ended streams and request_ids"
        " as long",
        _duration(DAY_NS),
    ),
    Option(
        "log.level",
        "text",
        "info",
        "debug, info, warning or error",
        _text("debug", "info", "warning", "error"),
    ),
    Option("log.format", "text", "auto", "text, json or auto", _text("auto", "text", "json")),
)

BY_KEY = {option.key: option for option in OPTIONS}
