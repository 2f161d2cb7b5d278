"""Which payments in the node's list are ours, and what is taken from them (money rule 9)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from streamer.core import lifecycle
from streamer.core.keysend import (
    PREIMAGE_TYPE,
    STREAM_TYPE,
    decode_records,
    derive_preimage,
    derive_token,
    encode_stream_record,
    payment_hash,
)
from streamer.core.switch import Switch
from streamer.doubt import adoption
from streamer.doubt.adoption import Adoption
from streamer.ports import NodePayment
from streamer.words.model import Answer, Facts, Kind, Payment, PaymentState, Rate, Stream
from streamer.words.reasons import Halt
from tests.core.house import PEER, T0, House, S, terms_of

SECRET = bytes(range(32))
OTHER_PEER = b"\x03" * 33
RATE = Rate(1_000, S, S)


class Archived:
    """What the journal alone has of streams; a recall puts one into the book."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.streams: list[Stream] = []
        self.looked_for: list[bytes] = []

    def take(self, stream: Stream) -> None:
        lifecycle.cancel(self.house.book, stream, self.house.now_ns, Facts())
        assert self.house.book.remove(stream)
        self.streams.append(stream)

    async def is_empty(self) -> bool:
        return not self.streams

    async def of_token(self, token: bytes) -> list[Stream]:
        self.looked_for.append(token)
        return [
            stream
            for stream in self.streams
            if token == (stream.terms.token or derive_token(SECRET, stream.id))
        ]

    async def recall(self, stream_id: str) -> Stream | None:
        found = next((stream for stream in self.streams if stream.id == stream_id), None)
        if found is not None:
            self.house.book.recall(found)
        return found


class OldData:
    """A journal that lacks what the node has in its list."""

    def __init__(self) -> None:
        self.house = House()
        self.archive = Archived(self.house)
        self.theirs: list[NodePayment] = []
        self.asked: list[tuple[int, int]] = []
        self.switch = Switch("node")
        self.suspects: list[Payment] = []
        self.asked_about: list[Payment] = []

    def open(self, token: bytes = b"", api_key: int = 0) -> Stream:
        key = next(self.house.keys)
        stream = lifecycle.new_stream(
            f"st_{key:032x}", key, terms_of(token=token), self.house.now_ns
        )
        stream.api_key = api_key
        facts = Facts()
        lifecycle.open_stream(self.house.book, stream, self.house.now_ns, facts)
        self.house.commit(facts)
        return stream

    def paid(
        self,
        stream: Stream,
        seq: int,
        kind: Kind = Kind.SETTLED,
        token: bytes = b"",
        to: bytes = PEER,
        secret: bytes = SECRET,
    ) -> NodePayment:
        """The node paid seq of stream."""
        preimage = derive_preimage(secret, stream.id, seq)
        token = token or stream.terms.token or derive_token(SECRET, stream.id)
        records = {
            STREAM_TYPE: encode_stream_record(token, seq, 700, 0, RATE),
            PREIMAGE_TYPE: preimage,
            70_000: b"own",
        }
        return self.has(payment_hash(preimage), records, kind, to)

    def has(
        self, hash_: bytes, records: dict[int, bytes], kind: Kind = Kind.SETTLED, to: bytes = PEER
    ) -> NodePayment:
        index = 10 * (len(self.theirs) + 1)
        answer = Answer(
            kind, True, amount_msat=700, fee_msat=3 if kind is Kind.SETTLED else 0, index=index
        )
        self.theirs.append(NodePayment(index, hash_, answer, to, records, T0 - 5 * S))
        return self.theirs[-1]

    async def payments_after(self, index: int, limit: int) -> Sequence[NodePayment]:
        self.asked.append((index, limit))
        return [theirs for theirs in self.theirs if theirs.index > index][:limit]

    async def find(self, owner: str, seq: int) -> Payment | None:
        return next(
            (payment for payment in self.known if (payment.owner, payment.seq) == (owner, seq)),
            None,
        )

    known: Sequence[Payment] = ()

    def defer(self, action: Callable[[int, Facts], None]) -> None:
        facts = Facts()
        action(self.house.now_ns, facts)
        self.house.commit(facts)

    def suspect(self, payment: Payment) -> None:
        self.suspects.append(payment)

    def replay(self, payment: Payment) -> None:
        self.asked_about.append(payment)

    def adopt(self, index: int = 0) -> list[Payment]:
        """Read the list after index; what was taken in."""
        adoption = Adoption(self, self.house.book, self, self, SECRET, self.switch)  # type: ignore[arg-type]
        asyncio.run(adoption.read(index))
        taken = list(adoption.taken.values())
        assert adoption.forget() == len(taken) and not adoption.taken
        return taken


def test_what_the_journal_lacks_is_taken_in_with_the_nodes_amounts_and_times() -> None:
    data = OldData()
    stream = data.open()
    data.house.settle(data.house.pay(0))
    theirs = data.paid(stream, 2)
    [payment] = data.adopt()
    assert (payment.owner, payment.seq, payment.stream_key, payment.node) == (
        stream.id,
        2,
        stream.key,
        "node",
    )
    assert (payment.payment_hash, payment.destination) == (theirs.payment_hash, PEER)
    assert (payment.state, payment.amount_msat, payment.settled_msat, payment.fee_msat) == (
        PaymentState.SETTLED,
        700,
        700,
        3,
    )
    assert (payment.fee_limit_msat, payment.cltv_limit, payment.timeout_seconds, payment.probe) == (
        0,
        288,
        30,
        False,
    )
    assert (payment.due_ns, payment.planned_ns, payment.index) == (T0 - 5 * S, T0 - 5 * S, 10)
    assert (payment.bought_until_ns, payment.skip_ns, payment.skip_msat) == (S, 0, 0), (
        "it buys nothing new"
    )
    assert (payment.period_start_ns, payment.daemon_period_ns) == (0, 0)
    assert dict(decode_records(payment.records)) == {
        STREAM_TYPE: encode_stream_record(derive_token(SECRET, stream.id), 2, 700, 0, RATE),
        70_000: b"own",
    }, "the preimage is never stored"
    assert (stream.account.seq, stream.account.settled_msat, stream.account.owed_msat) == (
        2,
        1_700,
        -700,
    )
    data.house.crash()
    assert data.house.again(stream).account.settled_msat == 1_700
    assert data.house.pay(2).row == payment.row + 1, "a row of its own"


@pytest.mark.parametrize("kind", [Kind.IN_FLIGHT, Kind.FAILED])
def test_what_is_open_stays_open_and_what_failed_only_takes_its_seq(kind: Kind) -> None:
    data = OldData()
    stream = data.open()
    data.paid(stream, 1, kind)
    [payment] = data.adopt()
    assert payment.open is (kind is Kind.IN_FLIGHT) and stream.reserved_msat == (
        700 if payment.open else 0
    )
    assert data.asked_about == ([payment] if payment.open else [])
    assert stream.account.seq == 1 and stream.account.settled_msat == 0


def test_the_list_is_read_page_by_page_from_the_journals_highest_index_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(adoption, "PAGE", 2)
    data = OldData()
    stream = data.open()
    for seq in range(1, 6):
        data.paid(stream, seq)
    assert [payment.seq for payment in data.adopt(index=10)] == [2, 3, 4, 5]
    assert data.asked == [(10, 2), (30, 2), (50, 2)]


def test_what_a_streams_key_has_to_pay_for_is_taken_in_as_the_keys() -> None:
    data = OldData()
    stream = data.open(api_key=7)
    data.paid(stream, 1)
    [payment] = data.adopt()
    assert (
        payment.api_key,
        payment.probe,
        payment.skip_msat,
        payment.period_start_ns,
        payment.daemon_period_ns,
    ) == (7, False, 0, 0, 0)


def test_without_streams_nothing_can_be_ours() -> None:
    data = OldData()
    assert data.adopt() == [] and data.asked == []


def test_an_archived_stream_is_asked_for_once_a_reading_and_its_failure_is_a_suspect() -> None:
    data = OldData()
    stream = data.open()
    failed = data.house.pay(0)
    data.house.fail(failed)
    data.archive.take(stream)
    data.known = [failed]
    data.paid(stream, 1)
    data.paid(stream, 1)
    assert data.adopt() == []
    assert data.suspects == [failed, failed] and data.archive.looked_for == [
        derive_token(SECRET, stream.id)
    ]
    assert not data.house.book.streams, "it comes back when its payment is posted"


def test_what_the_journal_lacks_of_an_archived_stream_is_taken_in_all_the_same() -> None:
    data = OldData()
    stream, other = data.open(b"one payee's token"), data.open(b"one payee's token")
    data.archive.take(stream)
    data.paid(stream, 1)
    data.paid(other, 1)
    assert [payment.owner for payment in data.adopt()] == [stream.id, other.id]
    assert data.house.book.streams[stream.id] is stream and stream.account.settled_msat == 700
    assert list(data.house.book.recalled) == [stream.key]


def test_what_is_not_ours_is_passed_over_and_what_comes_after_it_is_not() -> None:
    data = OldData()
    stream = data.open()
    data.has(b"h" * 32, {})
    data.has(b"h" * 32, {STREAM_TYPE: b"\xff garbage"})
    data.has(b"h" * 32, {STREAM_TYPE: encode_stream_record(b"another payer's!", 1, 700, 0, RATE)})
    data.paid(stream, 1, secret=b"s" * 32)
    data.paid(stream, 2)
    assert [payment.seq for payment in data.adopt()] == [2]
    assert stream.account.settled_msat == 700


def test_of_streams_with_one_token_the_one_whose_hash_it_is_is_found() -> None:
    data = OldData()
    streams = [data.open(b"one payee's token"), data.open(b"one payee's token"), data.open()]
    data.paid(streams[1], 1)
    data.paid(streams[2], 1)
    assert [payment.owner for payment in data.adopt()] == [streams[1].id, streams[2].id]


def test_a_hash_of_ours_that_was_paid_to_somebody_else_stops_the_node() -> None:
    data = OldData()
    stream = data.open()
    data.paid(stream, 4, to=OTHER_PEER)
    [payment] = data.adopt()
    assert f"{stream.id}.4 went to {OTHER_PEER.hex()}" in data.switch.halts[Halt.HASH_COLLISION]
    assert payment.open and stream.account.seq == 4 and stream.reserved_msat == payment.amount_msat
    assert (payment.accepted, payment.index) == (True, 10), "the node has it, whatever became of it"
    assert "went to" in data.house.journal.settings["halt.HASH_COLLISION@node"], (
        "a restart is no way out"
    )


@pytest.mark.parametrize("state", [PaymentState.FAILED, PaymentState.REFUSED])
def test_what_the_journal_knows_as_failed_and_the_node_as_settled_is_a_suspect(
    state: PaymentState,
) -> None:
    data = OldData()
    stream = data.open()
    failed = data.house.pay(0)
    data.house.fail(failed)
    failed.state = state
    data.known = [failed]
    data.paid(stream, 1)
    data.paid(stream, 2)
    data.house.at(9)
    [adopted] = data.adopt()
    assert data.suspects == [failed] and failed.state is state
    assert (adopted.seq, adopted.end_ns) == (2, T0 + 9 * S), (
        "what is known is not adopted, what comes after it is"
    )
    assert stream.account.settled_msat == 700


def test_what_the_journal_knows_stays_as_it_is() -> None:
    data = OldData()
    stream = data.open()
    failed, settled = data.house.pay(0), None
    data.house.fail(failed)
    settled = data.house.pay(10)
    data.house.settle(settled)
    before = data.house.again(stream).account.settled_msat
    data.known = [failed, settled]
    data.paid(stream, 1, Kind.FAILED)
    data.paid(stream, 2)
    assert data.adopt() == []
    assert (failed.state, stream.account.settled_msat, data.suspects) == (
        PaymentState.FAILED,
        before,
        [],
    )
