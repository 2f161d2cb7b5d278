"""What a crash leaves: the rows that a store would have written, read again."""

from __future__ import annotations

from typing import Any

from streamer.stores.document import stream_from, stream_text
from streamer.stores.keyrows import key_from, key_row
from streamer.stores.rows import (
    FRESH,
    account_row,
    end_row,
    intent_row,
    payment_from,
    stamp_row,
)
from streamer.stores.schema import INTENT_COLUMNS, STAMP_COLUMNS
from streamer.words.model import OPEN, Facts, Outage, Payment, Snapshot, Spend, Stream

Row = tuple[Any, ...]


class Journal:
    """Facts as rows, durable at once; nothing in it follows a later change of an object."""

    def __init__(self) -> None:
        self.intents: dict[int, Row] = {}
        self.owners: dict[int, str] = {}
        self.ends: dict[int, Row] = {}
        self.streams: dict[int, tuple[str, str]] = {}
        self.accounts: dict[int, Row] = {}
        self.outages: dict[tuple[str, str, int], Outage] = {}
        self.spends: dict[str, Spend] = {}
        self.settings: dict[str, str] = {}
        self.keys: dict[int, Row] = {}
        self.names: set[tuple[str, int]] = set()

    def append(self, facts: Facts) -> None:
        for payment in facts.intents:
            assert (
                payment.row not in self.intents and (payment.owner, payment.seq) not in self.names
            ), "one payment per (stream, seq)"
            self.names.add((payment.owner, payment.seq))
            self.intents[payment.row] = intent_row(payment)
            self.owners[payment.row] = payment.owner
            self.ends[payment.row] = end_row(payment)[1:]
        for payment in facts.restamped:
            self.intents[payment.row] = _with_stamps(self.intents[payment.row], stamp_row(payment))
        for payment in facts.ends:
            assert payment.row in self.intents, "an end has its intent"
            self.ends[payment.row] = end_row(payment)[1:]
        for stream in facts.streams:
            self.streams[stream.key] = (stream.id, stream_text(stream))
        for stream in (*facts.streams, *facts.accounts):
            self.accounts[stream.key] = account_row(stream)[1:]
        self.spends.update({spend.scope: spend for spend in facts.spends})
        self.outages |= {
            (outage.node, outage.cause, outage.start_ns): outage for outage in facts.outages
        }
        self.settings.update(facts.settings)
        self.keys.update({key.number: key_row(key) for key in facts.keys})

    def load(self) -> Snapshot:
        streams = [self._stream(key) for key in sorted(self.streams)]
        still_open = [
            self._payment(row)
            for row in sorted(self.intents)
            if self.ends[row][0] in {state.value for state in OPEN}
        ]
        spends, keys = list(self.spends.values()), [key_from(row) for row in self.keys.values()]
        last_row = max(self.intents, default=0)
        return Snapshot(
            streams,
            still_open,
            spends,
            list(self.outages.values()),
            dict(self.settings),
            last_row,
            len(streams),
            {},
            keys,
        )

    def _stream(self, key: int) -> Stream:
        stream_id, text = self.streams[key]
        return stream_from(key, stream_id, text, self.accounts[key])

    def _payment(self, row: int) -> Payment:
        intent = self.intents[row]
        assert len(intent) == len(INTENT_COLUMNS) and len(self.ends[row]) == len(FRESH)
        plain = tuple(bytes(value) if isinstance(value, bytearray) else value for value in intent)
        return payment_from(plain + self.ends[row], self.owners[row])


def _with_stamps(intent: Row, stamps: Row) -> Row:
    """An intent_row with the (row, *STAMP_COLUMNS) that replace its own."""
    changed = dict(zip(STAMP_COLUMNS, stamps[1:], strict=True))
    return tuple(
        changed.get(name, value) for name, value in zip(INTENT_COLUMNS, intent, strict=True)
    )
