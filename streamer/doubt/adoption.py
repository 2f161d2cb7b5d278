"""Takes in payments of ours that the node has and our journal lacks: our data is old (money rule
9).

A copied folder or a machine rolled back does not say so. What the node has after the highest
payment index of the journal is read at every connect; it is a few rows, or the lost time. A hash
that our secret derives for one of our streams is ours, whatever the journal says; it is adopted
only with the destination and token of that stream, and with the node's own amounts. Of a token that
no stream in memory has the archive is asked, once a reading.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from streamer.books.archive import Archive
from streamer.core import ends
from streamer.core.book import Book
from streamer.core.keysend import (
    PREIMAGE_TYPE,
    STREAM_TYPE,
    StreamRecord,
    decode_stream_record,
    derive_preimage,
    derive_token,
    encode_records,
    payment_hash,
)
from streamer.core.switch import Switch
from streamer.ports import Node, NodePayment
from streamer.words.model import UNPAID, Answer, Facts, Kind, Payment, Stream
from streamer.words.reasons import Halt

PAGE = 500


class Journal(Protocol):
    """What is needed of the engine."""

    archive: Archive

    def defer(self, action: Callable[[int, Facts], None]) -> None:
        """Do action in the engine's next turn; what it puts into facts becomes durable."""

    async def find(self, owner: str, seq: int) -> Payment | None:
        """The payment in the journal."""


class Recovery(Protocol):
    """What is needed of recovery."""

    def replay(self, payment: Payment) -> None:
        """An open payment of an earlier process: ask about it."""

    def suspect(self, payment: Payment) -> None:
        """The node lists as settled what the journal calls failed: ask about it now."""


@dataclass(slots=True, frozen=True)
class Adopted:
    """A payment of ours that the journal lacked."""

    payment: Payment
    theirs: NodePayment


class Adoption:
    """What one node has of ours and the journal lacks."""

    def __init__(
        self,
        node: Node,
        book: Book,
        journal: Journal,
        recovery: Recovery,
        secret: bytes,
        switch: Switch,
    ) -> None:
        self._node = node
        self._book = book
        self._journal = journal
        self._recovery = recovery
        self._secret = secret
        self._switch = switch
        self.taken: dict[bytes, Payment] = {}
        """By hash, what was taken in and may not be durable yet."""

    async def read(self, index: int) -> None:
        """Read the node's payments after index, and take in what is ours and unknown: in the next
        turn, each once.

        One that the journal knows as failed, and the node as settled, is a suspect: a ghost of it
        was executed (money rule 4). One that was paid to somebody else stops switch
        (HASH_COLLISION), durably. Raises NodeUnavailable, and Unavailable, ResourceExhausted or
        StoreFailed if the journal cannot be read.
        """
        if not self._book.streams and await self._journal.archive.is_empty():
            return
        by_token: dict[bytes, list[Stream]] = {}
        archived: dict[bytes, list[Stream]] = {}
        for stream in self._book.streams.values():
            by_token.setdefault(
                stream.terms.token or derive_token(self._secret, stream.id), []
            ).append(stream)
        while page := await self._node.payments_after(index, PAGE):
            index = page[-1].index
            for theirs in page:
                await self._look_at(theirs, by_token, archived)

    async def _look_at(
        self,
        theirs: NodePayment,
        by_token: dict[bytes, list[Stream]],
        archived: dict[bytes, list[Stream]],
    ) -> None:
        """by_token: the streams in memory. archived: the others, as far as they were looked for."""
        record = _record(theirs)
        if record is None:
            return
        stream = _ours(theirs, record, by_token.get(record.token, ()), self._secret)
        if stream is None:
            if record.token not in archived:
                archived[record.token] = await self._journal.archive.of_token(record.token)
            stream = _ours(theirs, record, archived[record.token], self._secret)
        if stream is None:
            return
        known = await self._journal.find(stream.id, record.seq)
        if known is None:
            held = self._book.streams.get(stream.id) or await self._journal.archive.recall(
                stream.id
            )
            if held is not None:
                self._journal.defer(
                    self._adoption(
                        held, Adopted(_payment(self._book, held, record, theirs), theirs)
                    )
                )
        elif known.state in UNPAID and theirs.answer.kind is Kind.SETTLED:
            self._recovery.suspect(known)

    def forget(self) -> int:
        """What was taken in is durable, and the journal knows it from now on; how many they
        were.
        """
        taken, self.taken = self.taken, {}
        return len(taken)

    def _adoption(self, stream: Stream, adopted: Adopted) -> Callable[[int, Facts], None]:
        def action(now_ns: int, facts: Facts) -> None:
            payment, answer = adopted.payment, adopted.theirs.answer
            if payment.payment_hash in self.taken:
                return  # the list was read again before that was durable
            self.taken[payment.payment_hash] = payment
            # of one that failed lnd keeps no destination, and nothing has gone anywhere
            if ends.astray(self._book, payment) and answer.kind is not Kind.FAILED:
                text = (
                    f"payment {payment.id} went to {payment.destination.hex()}, which is not the"
                    " stream's destination: find out who else uses the secret of this data folder,"
                    f" then `streamer payment write-off {payment.id}`"
                )
                self._switch.stop(Halt.HASH_COLLISION, text, facts)
                answer = Answer(Kind.IN_FLIGHT, accepted=True, index=answer.index)
            ends.adopt(self._book, stream, payment, answer, now_ns, facts)
            if payment.open:
                # here, and not when all is read: what comes in between may fail, and the next
                # reading finds it in the journal
                self._recovery.replay(payment)

        return action


def _record(theirs: NodePayment) -> StreamRecord | None:
    value = theirs.records.get(STREAM_TYPE)
    if value is None:
        return None
    try:
        return decode_stream_record(value)
    except ValueError:
        return None


def _ours(
    theirs: NodePayment, record: StreamRecord, streams: Iterable[Stream], secret: bytes
) -> Stream | None:
    for stream in streams:
        if payment_hash(derive_preimage(secret, stream.id, record.seq)) != theirs.payment_hash:
            continue
        return stream
    return None


def _payment(book: Book, stream: Stream, record: StreamRecord, theirs: NodePayment) -> Payment:
    records = encode_records(
        (kind, value) for kind, value in theirs.records.items() if kind != PREIMAGE_TYPE
    )
    return Payment(
        row=next(book.shared.rows),
        owner=stream.id,
        stream_key=stream.key,
        seq=record.seq,
        node=book.node,
        destination=theirs.destination,
        payment_hash=theirs.payment_hash,
        amount_msat=theirs.answer.amount_msat,
        fee_limit_msat=0,
        cltv_limit=book.limits.cltv_limit,
        timeout_seconds=book.limits.timeout_seconds,
        records=records,
        due_ns=theirs.create_time_ns,
        planned_ns=theirs.create_time_ns,
        bought_until_ns=stream.account.bought_until_ns,
        api_key=stream.api_key,
    )
