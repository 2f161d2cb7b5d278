"""The library's answers in words that two networks share; what may differ is listed here and
nowhere else.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from tests.contract.script.player import Place

HOUR_SECONDS = 3_600
MADE_UP = {
    **dict.fromkeys(("version", "commit_hash", "build_tags", "socket"), "of the build"),
    **dict.fromkeys(
        (
            "is_autopilotrpc_enabled",
            "is_chainrpc_enabled",
            "is_signrpc_enabled",
            "is_walletrpc_enabled",
        ),
        "of the build",
    ),
    **dict.fromkeys(
        ("bytes_received", "bytes_sent", "ping_time", "time_online", "time_offline"), "measured"
    ),
    **dict.fromkeys(("transaction_id", "current_block_hash", "chain_balance"), "of the chain"),
    **dict.fromkeys(("payment", "macaroon"), "random"),
    # how often a commitment was signed depends on how updates fell together
    "past_states": "a count",
}
"""Field → why it may differ."""

HEIGHTS = ("current_block_height", "created_height", "timeout")
CHANNEL = re.compile(r"\d+x\d+x\d+")
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
INVOICE = re.compile(r"lnbcrt[0-9a-z]{100,}")
SORTED = ("nodes", "policies", "channels", "messages")
"""Lists that are in the order of keys, which differ from network to network, or in none."""

ASKED_LATER = ("subscribeToPastPayment", "getPayment ")
WHY = re.compile(
    r"is_(canceled|insufficient_balance|invalid_payment|pathfinding_timeout|route_not_found)"
)
"""Why a payment failed is compared as it was told when it failed. The library sends with
`cancelable`: the end of its call may come in lnd before the payment's own, and then lnd's books say
CANCELED instead.
"""


def plain(answers: list[tuple[str, Any]], places: dict[str, Place]) -> list[list[Any]]:
    """Every answer, in names."""
    height = next(
        answer["current_block_height"] for name, answer in answers if name == "getWalletInfo"
    )
    texts = {place.pubkey.hex(): f"<{name}>" for name, place in places.items()}
    channels = {text for text in _texts(answers) if CHANNEL.fullmatch(text)}
    ordered = sorted(channels, key=lambda text: [int(part) for part in text.split("x")])
    texts |= {text: f"<channel {number}>" for number, text in enumerate(ordered, start=1)}
    reader = Reader(texts, height)
    return [
        [name, reader.read(answer, "", later=name.startswith(ASKED_LATER))]
        for name, answer in answers
    ]


class Reader:
    """Reads one play; invoices are numbered as they come."""

    def __init__(self, texts: dict[str, str], height: int) -> None:
        self._texts = texts
        self._height = height
        self._invoices: dict[str, str] = {}

    def read(self, value: Any, field: str, *, later: bool = False) -> Any:
        """The value with every name in place; later: asked for after the payment had ended."""
        if later and WHY.fullmatch(field):
            return "<told before>"
        if field in MADE_UP and value is not None:
            return f"<{MADE_UP[field]}>"
        if isinstance(value, dict):
            return {key: self.read(part, key, later=later) for key, part in sorted(value.items())}
        if isinstance(value, list):
            items = [self.read(part, "", later=later) for part in value]
            return sorted(items, key=str) if field in SORTED else items
        if isinstance(value, str):
            return self._text(value)
        if field in HEIGHTS and value:
            return f"<height+{value - self._height}>"
        return value

    def _text(self, value: str) -> str:
        if MOMENT.fullmatch(value):
            hours = round((datetime.fromisoformat(value).timestamp() - time.time()) / HOUR_SECONDS)
            return f"<time+{hours}h>" if hours else "<time>"
        if INVOICE.fullmatch(value):
            return f"<invoice {self._invoices.setdefault(value, str(len(self._invoices) + 1))}>"
        return self._texts.get(value, value)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list | tuple):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts(part)
