"""The plain model of the money that the machine compares with, and the picture of all that a crash
must keep.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from streamer.core.impossible import impossible
from streamer.core.schedule import drop_passed
from streamer.core.streamtime import origin_ns
from streamer.words.model import ENDED, Facts, Payment
from tests.core.house import House


@dataclass
class Entry:
    """What the model knows of one payment."""

    payment: Payment
    amount_msat: int
    fee_limit_msat: int
    state: str = "open"
    settled_msat: int = 0
    fee_msat: int = 0


class Money:
    """The reference: one dict of payments, and sums over it."""

    def __init__(self) -> None:
        self.entries: dict[int, dict[int, Entry]] = {}
        self.impossible_ns: dict[int, int] = {}

    def take(self, payment: Payment) -> Entry:
        entry = Entry(payment, payment.amount_msat, payment.fee_limit_msat)
        of_stream = self.entries.setdefault(payment.stream_key, {})
        assert payment.seq == max(of_stream, default=0) + 1, "seq rises by one"
        of_stream[payment.seq] = entry
        return entry

    def of(self, payment: Payment) -> Entry:
        return self.entries[payment.stream_key][payment.seq]

    def all(self) -> list[Entry]:
        return [entry for of_stream in self.entries.values() for entry in of_stream.values()]

    def key(self, number: int, period_ns: int) -> list[Entry]:
        """What an API key paid out of that period of its budget."""
        return [
            e
            for e in self.all()
            if e.payment.api_key == number and e.payment.key_period_ns == period_ns
        ]

    def stream(self, key: int) -> list[Entry]:
        return list(self.entries.get(key, {}).values())


def taken_msat(entries: list[Entry]) -> int:
    """What entries take from a budget: all that was paid, and all that may be."""
    return sum(
        e.amount_msat + e.fee_limit_msat if e.state == "open" else e.settled_msat + e.fee_msat
        for e in entries
        if e.state != "refunded"
    )


def picture(house: House) -> dict[str, Any]:
    """All that must be as before when the journal is replayed."""
    book, seen = house.book, dict[str, Any]()
    for stream in book.streams.values():
        one = {
            field.name: getattr(stream, field.name)
            for field in fields(stream)
            if field.name not in ("account", "last_turn", "offset_msat")
        }
        one["account"] = asdict(stream.account)
        one["segments"] = drop_passed(
            stream.segments, stream.account.settled_msat, stream.account.bought_until_ns
        )
        one["due"] = book.due_ns(stream)
        one["origin"] = origin_ns(stream)
        if stream.state not in ENDED:
            one["impossible"] = impossible(stream, house.now_ns, book.outages_of(stream))
        own = book.budgets.own(stream, house.now_ns)
        one["budget"] = own and (
            own.limit_msat,
            own.period_ns,
            own.period_start_ns,
            own.spent_msat,
            own.reserved_msat,
        )
        seen[stream.id] = one
        seen.update({f"{stream.id} {name}": value for name, value in one.items()})
    for number in (1, 2):
        if (key := book.budgets.of_key(number, house.now_ns)) is not None:
            seen[f"key {number}"] = (
                key.limit_msat,
                key.period_start_ns,
                key.spent_msat,
                key.reserved_msat,
            )
    limit, slots = book.budgets.spend_limit, book.slots
    limit.roll(house.now_ns)
    house.commit(Facts(spends=[book.budgets.spend()]))
    seen["spend_limit"] = (limit.period_start_ns, limit.spent_msat, limit.reserved_msat)
    seen["payments"] = {row: asdict(payment) for row, payment in book.payments.items()}
    seen["slots"] = (
        sorted(slots.window),
        sorted(slots.doubtful),
        slots.held,
        {s.key: slots.doubts(s.key) for s in book.streams.values()},
    )
    seen["outages"] = [(o.since_ns, o.cause) for o in (book.outages, house.outages)]
    seen["switch"] = dict(house.switch.halts)
    return seen
