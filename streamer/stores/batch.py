"""What one commit writes: the rows of all facts that were appended since the commit before.

Rows that a later append of the same batch replaces (the account of a stream, the end of a payment,
a spend) are written once. That is allowed because the whole batch becomes durable in one step.
"""

from __future__ import annotations

from streamer.stores.archive import archive_row
from streamer.stores.document import stream_crc, stream_text
from streamer.stores.keyrows import key_row
from streamer.stores.rows import (
    FRESH,
    Row,
    account_row,
    end_row,
    intent_row,
    invoice_row,
    plain,
    stamp_row,
)
from streamer.words.model import Facts, Outage, Payment, Stream

SPEND = "spend."
"""Figures that start with this are Spends by scope."""
INDEX = "index."
"""Figures that start with this are the highest payment_index seen, by node."""
PURGED_ROW = "purged_row"
"""The figure that keeps the highest row that retention deleted, so that it is never given again."""
PURGED_STREAM = "purged_stream"
"""The same of the keys of streams."""


def goes_when_empty(setting: Row) -> bool:
    """Whether an emptied setting leaves no row: those named by what comes and goes, such as each
    receiver that ever held a payment.
    """
    return not setting[1] and "/" in setting[0]


class Batch:
    """Rows by table, in the order and shape of schema.py. Not thread-safe: one thread at a time."""

    __slots__ = (
        "accounts",
        "archived",
        "delivered",
        "ends",
        "figures",
        "intents",
        "invoices",
        "keys",
        "outages",
        "outgoing",
        "recalled",
        "requests",
        "rows",
        "settings",
        "stamps",
        "streams",
    )

    def __init__(self) -> None:
        self.intents: list[Row] = []
        self.stamps: dict[int, Row] = {}
        self.ends: dict[int, Row] = {}
        self.invoices: dict[int, Row] = {}
        self.accounts: dict[int, Row] = {}
        self.streams: dict[int, Row] = {}
        self.figures: dict[str, Row] = {}
        self.outages: dict[Row, Row] = {}
        self.requests: dict[str, Row] = {}
        self.settings: dict[str, Row] = {}
        self.keys: dict[int, Row] = {}
        self.outgoing: list[Row] = []
        self.delivered: list[Row] = []
        self.archived: dict[int, Row] = {}
        self.recalled: set[int] = set()
        self.rows = 0

    def add(self, facts: Facts, last_index: dict[str, int]) -> None:
        """Read facts now. last_index (node → highest payment_index) is raised where they are
        higher.
        """
        intents, ends, accounts = facts.intents, facts.ends, facts.accounts
        self.rows += len(intents) + len(ends) + len(accounts) + 1
        for stream in facts.recalled:
            self._recall(stream)
        for payment in intents:
            self._intent(payment, last_index)
        for payment in ends:
            self.ends[payment.row] = end_row(payment)
            if payment.index > last_index.get(payment.node, 0):
                self._index(payment, last_index)
            if payment.payment_request:
                self.invoices[payment.row] = invoice_row(payment)
        for stream in accounts:
            self.accounts[stream.key] = account_row(stream)
        for spend in facts.spends:
            name = SPEND + spend.scope
            self.figures[name] = (name, spend.period_start_ns, spend.spent_msat)
        if facts.outgoing or facts.delivered:
            self.rows += len(facts.outgoing) + len(facts.delivered)
            self.outgoing += [
                (event.number, event.time_ns, event.document) for event in facts.outgoing
            ]
            self.delivered += [(number,) for number in facts.delivered]
        if facts.restamped:
            self.rows += len(facts.restamped)
            self.stamps |= {payment.row: stamp_row(payment) for payment in facts.restamped}
        if facts.streams or facts.outages or facts.requests or facts.settings or facts.keys:
            self._seldom(facts)
        if self.archived and not self.archived.keys().isdisjoint((*self.streams, *self.accounts)):
            raise ValueError("a stream changed after it was archived, and was not recalled")
        for stream, token in facts.archived:
            self._archive(stream, token)

    def _intent(self, payment: Payment, last_index: dict[str, int]) -> None:
        self.intents.append(intent_row(payment))
        if payment.payment_request:
            self.invoices[payment.row] = invoice_row(payment)
        end = end_row(payment)
        if end[1:] != FRESH:
            self.ends[payment.row] = end
            if payment.index > last_index.get(payment.node, 0):
                self._index(payment, last_index)

    def _index(self, payment: Payment, last_index: dict[str, int]) -> None:
        last_index[payment.node] = payment.index
        name = INDEX + payment.node
        self.figures[name] = (name, 0, payment.index)

    def _archive(self, stream: Stream, token: bytes) -> None:
        """What this batch would have written of it is in the row that it writes now."""
        self.rows += 2
        self.recalled.discard(stream.key)
        self.streams.pop(stream.key, None)
        self.accounts.pop(stream.key, None)
        self.archived[stream.key] = archive_row(stream, token)

    def _recall(self, stream: Stream) -> None:
        self.rows += 2
        self.archived.pop(stream.key, None)
        self.recalled.add(stream.key)
        self._stream(stream)

    def _stream(self, stream: Stream) -> None:
        text = stream_text(stream)
        self.streams[stream.key] = (
            stream.key,
            stream.id,
            stream.state.value,
            text,
            stream_crc(stream.id, text),
        )
        self.accounts[stream.key] = account_row(stream)

    def _seldom(self, facts: Facts) -> None:
        self.rows += (
            len(facts.streams)
            + len(facts.outages)
            + len(facts.requests)
            + len(facts.settings)
            + len(facts.keys)
        )
        for stream in facts.streams:
            self._stream(stream)
        for outage in facts.outages:
            row = outage_row(outage)
            self.outages[row[:3]] = row
        for request in facts.requests:
            name = plain(request.request_id)
            self.requests.setdefault(name, (name, request.resource_id, request.digest))
        for name, value in facts.settings:
            self.settings[name] = (plain(name), plain(value))
        for key in facts.keys:
            self.keys[key.number] = key_row(key)


def outage_row(outage: Outage) -> Row:
    """(node, cause, start_ns, end_ns); a later end of the same outage replaces it."""
    return (outage.node, plain(outage.cause), outage.start_ns, outage.end_ns)
