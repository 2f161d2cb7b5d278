"""What each part is told by the configuration: small frozen values, handed down by the daemon.

They import nothing and know nothing of files or flags; `streamer.config` makes them. Durations are
nanoseconds, money is msat. Defaults here are the defaults of the configuration.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from streamer.words.money import DAY_NS, MILLISECOND_NS, SECOND_NS


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSettings:
    """How one Lightning node is reached, and what we allow it.

    lndconnect is a file with an lndconnect:// address; it excludes address, paths and lnddir.
    network "" accepts whatever network the node is on (and mainnet's folder below lnddir).
    """

    name: str = "main"
    rpcserver: str = "127.0.0.1:10009"
    lnddir: Path | None = None
    tlscertpath: Path | None = None
    macaroonpath: Path | None = None
    lndconnect: Path | None = None
    network: str = ""
    max_payments_per_second: int = 200
    max_in_flight: int = 100
    max_in_flight_per_destination: int = 10
    timeout_ns: int = 30 * SECOND_NS
    ghost_after_ns: int = 120 * SECOND_NS
    hold_after_ns: int = 30 * SECOND_NS
    orphan_write_off_after_ns: int = DAY_NS
    cltv_limit: int = 288


@dataclass(frozen=True, slots=True)
class SpendLimit:
    """The daemon's own budget: crossing it stops sending until a person starts it again."""

    amount_msat: int = 2_000_000_000
    period_ns: int = 3600 * SECOND_NS


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSettings:
    """Defaults and bounds of every stream. catch_up_ns None is "forever"."""

    min_payment_interval_ns: int = SECOND_NS
    min_payment_msat: int = 1_000
    max_payment_msat: int | None = None
    max_open_payments: int = 1
    catch_up_ns: int | None = 300 * SECOND_NS
    fee_floor_msat: int = 5_000
    fee_limit_ppm: int = 10_000
    in_doubt_after_ns: int = 600 * SECOND_NS
    stall_after: int = 5
    max_streams: int = 1_000_000


@dataclass(frozen=True, slots=True)
class InvoiceSettings:
    """How invoices are paid, and how long those that we make may be paid."""

    fee_floor_msat: int = 5_000
    fee_limit_ppm: int = 10_000
    expiry_ns: int = DAY_NS


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """Where the doors listen (loopback only), and which origins' pages in a browser may call over
    HTTP.

    requests_per_second: of one key.
    """

    grpc_listen: str = "127.0.0.1:8881"
    http_listen: str = "127.0.0.1:8882"
    cors_origins: tuple[str, ...] = ()
    requests_per_second: int = 200
    tls: bool = False
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_names: tuple[str, ...] = ()

    @property
    def encrypted(self) -> bool:
        """Whether the doors speak TLS."""
        return self.tls or self.tls_cert is not None


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """Where events go: to url, those of events (types, or "stream" and "payment"), signed with what
    secret_file has.

    url empty: nowhere.
    """

    url: str = ""
    secret_file: Path | None = None
    events: tuple[str, ...] = ("stream", "payment")


@dataclass(frozen=True, slots=True)
class LogSettings:
    """level: debug, info, warning or error. format: auto, text or json."""

    level: str = "info"
    format: str = "auto"


SHORTEST_INTERVAL_NS = 100 * MILLISECOND_NS
"""No rate's interval and no payment interval is shorter: a keysend alone takes about 100 ms."""
