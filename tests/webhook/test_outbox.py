"""Which facts are events: each change once, nothing else, and never a reason to fail a commit."""

from __future__ import annotations

import hmac
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from streamer.api.webhook.outbox import Outbox, event_id
from streamer.api.webhook.signature import read_secret, signature
from streamer.api.webhook.start import make_outbox
from streamer.books.desk import Desk
from streamer.core import ends
from streamer.core.payment import Event as Known
from streamer.core.shared import MARK
from streamer.service.reports import Event
from streamer.watch.metrics import Metrics
from streamer.words.clock import BootClock
from streamer.words.errors import ConfigError
from streamer.words.event_types import KINDS, chosen
from streamer.words.model import (
    Answer,
    Facts,
    Kind,
    Mark,
    PaymentState,
    Snapshot,
    Stream,
    StreamState,
)
from streamer.words.settings import WebhookSettings
from tests.core.house import House
from tests.store.given import a_payment, a_single, a_stream

PAID = frozenset({PaymentState.SETTLED, PaymentState.WRITTEN_OFF})


def make(
    streams: tuple[Stream, ...] = (), kinds: frozenset[str] = frozenset(KINDS), limit: int = 100
) -> Outbox:
    outbox = Outbox(kinds, BootClock(), 0, 0, streams, limit)
    outbox.show = lambda number, kind, event: kind.encode()
    return outbox


def told(outbox: Outbox, facts: Facts) -> list[str]:
    outbox.add(facts)
    return [event.document.decode() for event in facts.outgoing]


def test_a_stream_is_told_of_when_its_state_changed_and_only_then() -> None:
    old, new = a_stream(1), a_stream(2)
    outbox = make((old,))
    assert told(outbox, Facts(streams=[old, new, new])) == ["stream.active"]
    old.skipped_msat = 5
    assert told(outbox, Facts(streams=[old, new])) == []
    old.state, old.state_time_ns = StreamState.STALLED, old.state_time_ns + 1
    assert told(outbox, Facts(streams=[old])) == ["stream.stalled"]
    assert told(outbox, Facts(accounts=[old])) == []


def test_a_stream_that_left_memory_is_forgotten_and_not_told_of_again_when_it_comes_back() -> None:
    stream = a_stream(1, state=StreamState.CANCELLED)
    outbox = make((stream,))
    assert told(outbox, Facts(archived=[(stream, b"t")])) == [] and not outbox._told
    assert told(outbox, Facts(recalled=[stream], streams=[stream])) == []
    assert told(outbox, Facts(streams=[stream])) == []


def test_one_that_changes_and_leaves_in_the_same_turn_is_told_of_as_ever_and_forgotten() -> None:
    stream = a_stream(1, state=StreamState.CANCELLED)
    outbox = make((stream,))
    assert (
        told(outbox, Facts(streams=[stream], archived=[(stream, b"t")])) == [] and not outbox._told
    )
    assert (
        told(outbox, Facts(recalled=[stream], streams=[stream], archived=[(stream, b"t")])) == []
        and not outbox._told
    )


def test_a_payment_is_told_of_when_it_ended_whatever_way() -> None:
    stream = a_stream(1)
    outbox = make((stream,))
    payment = a_payment(stream, 1, 1, state=PaymentState.IN_FLIGHT)
    assert told(outbox, Facts(intents=[payment], ends=[payment])) == []
    payment.mark = Mark.HELD
    assert told(outbox, Facts(ends=[payment])) == []
    for state, kind in (
        (PaymentState.FAILED, "payment.failed"),
        (PaymentState.SETTLED, "payment.settled"),
        (PaymentState.WRITTEN_OFF, "payment.written_off"),
        (PaymentState.REFUSED, "payment.failed"),
    ):
        payment.state, payment.settled_msat = state, payment.amount_msat if state in PAID else 0
        assert told(outbox, Facts(ends=[payment, payment])) == [kind]


def test_the_money_that_a_written_off_payment_gives_back_is_no_second_end_of_it() -> None:
    house = House()
    house.open()
    payment, outbox = house.pay(0), make()
    for event, answer, kinds in (
        (Known.WRITE_OFF, Answer(Kind.LOST), ["payment.written_off"]),
        (Known.FAILED, Answer(Kind.FAILED), []),
    ):
        facts = Facts()
        ends.resolve(house.book, payment, event, answer, house.now_ns, facts)
        assert facts.ends == [payment] and payment.state is PaymentState.WRITTEN_OFF
        facts.streams.clear()
        assert told(outbox, facts) == kinds


def test_the_event_knows_its_stream_and_the_state_of_then() -> None:
    stream, seen = a_stream(1, reason="USER"), list[Event]()
    outbox = make()

    def show(_: str, __: str, event: Event) -> bytes:
        seen.append(event)
        return b""

    outbox.show, outbox.stream_of = show, lambda payment: stream if payment.seq else None
    payments = [
        a_payment(stream, 1, 1, state=PaymentState.SETTLED),
        a_single(2, state=PaymentState.SETTLED),
    ]
    outbox.add(Facts(streams=[stream], ends=payments))
    assert [(event.stream, event.payment) for event in seen] == [
        (stream, None),
        (stream, payments[0]),
        (None, payments[1]),
    ]
    assert (seen[0].state, seen[0].reason, seen[0].state_time_ns) == (
        stream.state,
        "USER",
        stream.state_time_ns,
    )


def test_only_what_was_asked_for() -> None:
    outbox = make(kinds=chosen(["payment.failed"]))
    stream = a_stream(1)
    ends = [
        a_payment(stream, row, row, state=state)
        for row, state in enumerate((PaymentState.SETTLED, PaymentState.FAILED), 1)
    ]
    assert told(outbox, Facts(streams=[stream], ends=ends)) == ["payment.failed"]
    assert chosen(["stream"]) == {f"stream.{state.lower()}" for state in StreamState}
    with pytest.raises(
        ValueError, match=r"has 'payments'; one of: stream, payment, stream\.pending"
    ):
        chosen(["payments"])


def test_a_full_outbox_drops_and_counts_and_numbers_show_the_gap() -> None:
    outbox, dropped = make(limit=1), list[int]()
    outbox.on_dropped = lambda: dropped.append(1)
    facts = Facts(streams=[a_stream(key) for key in range(1, 4)])
    outbox.add(facts)
    assert (len(facts.outgoing), len(dropped), outbox.waiting) == (1, 2, 1)
    later = Facts(delivered=[facts.outgoing[0].number], streams=[a_stream(9)])
    outbox.add(later)
    assert later.outgoing[0].number == facts.outgoing[0].number + 3
    assert outbox.waiting == 1


def test_numbers_are_never_used_again() -> None:
    assert make().last > 1_700_000_000_000_000
    assert Outbox(frozenset(), BootClock(), 3, 1 << 62, ()).last == 1 << 62
    before = Snapshot([], [], [], [], {MARK: str(1 << 61)}, 0, 0, {})
    ahead = make_outbox(
        WebhookSettings("http://127.0.0.1:1/"),
        cast(Desk, SimpleNamespace()),
        before,
        BootClock(),
        Metrics("0", "lnd"),
    )
    assert ahead is not None and ahead.last > (1 << 61) // 1_000 and ahead.kept == 0
    assert event_id(255) == "ev_00000000000000ff"


def test_an_event_that_cannot_be_written_does_not_stop_the_commit() -> None:
    outbox, dropped = make(), list[int]()
    outbox.on_dropped = lambda: dropped.append(1)
    outbox.show = lambda *_: bytes(1 // 0)
    facts = Facts(streams=[a_stream(1)])
    outbox.add(facts)
    assert (facts.outgoing, dropped) == ([], [1])


def test_the_signature_is_of_the_time_and_the_body() -> None:
    expected = hmac.new(b"secret", b'17.{"id":1}', "sha256").hexdigest()
    assert signature(b"secret", 17, b'{"id":1}') == f"t=17,v1={expected}"


def test_a_secret_is_read_without_its_line_end(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    with pytest.raises(ConfigError, match=r"webhook\.secret_file cannot be read"):
        read_secret(file)
    file.write_bytes(b"x" * 31 + b"\n")
    with pytest.raises(ConfigError, match="has 31 characters"):
        read_secret(file)
    file.write_bytes(b"x" * 32 + b"\n")
    assert read_secret(file) == b"x" * 32
