"""Takes in payments of ours that the node has and our journal lacks: our data is old (money rule 9).

A copied folder or a machine rolled back does not say so. What the node has after the highest
payment index of the journal is read at every connect; it is a few rows, or the lost time. A hash
that our secret derives for one of our streams is ours, whatever the journal says; it is adopted
only with the destination and token of that stream, and with the node's own amounts.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from streamer.core import ends
from streamer.core.book import Book
from streamer.core.switch import Switch
from streamer.model import UNPAID, Answer, Facts, Kind, Payment, Stream
from streamer.nodes.keysend import (
    PREIMAGE_TYPE,
    STREAM_TYPE,
    StreamRecord,
    decode_stream_record,
    derive_preimage,
    derive_token,
    encode_records,
    payment_hash,
)
from streamer.ports import Node, NodePayment
from streamer.reasons import Halt

PAGE = 500

Find = Callable[[str, int], Awaitable[Payment | None]]
Defer = Callable[[Callable[[int, Facts], None]], None]
Suspect = Callable[[Payment], None]


@dataclass(slots=True, frozen=True)
class Adopted:
    """A payment of ours that the journal lacked."""

    payment: Payment
    theirs: NodePayment


async def adopt_unknown(
    node: Node, book: Book, defer: Defer, find: Find, suspect: Suspect, secret: bytes, index: int, switch: Switch
) -> list[Payment]:
    """Read the node's payments after index and take in what is ours and unknown: those, once deferred work is done.

    One that the journal knows as failed, and the node as settled, is a suspect: a ghost of it was executed (money
    rule 4). One that was paid to somebody else stops switch (HASH_COLLISION), durably. Raises NodeUnavailable.
    """
    if not book.streams:
        return []
    by_token: dict[bytes, list[Stream]] = {}
    for stream in book.streams.values():
        by_token.setdefault(stream.terms.token or derive_token(secret, stream.id), []).append(stream)
    adopted: list[Payment] = []
    while page := await node.payments_after(index, PAGE):
        index = page[-1].index
        for theirs in page:
            found = _ours(theirs, by_token, secret)
            if found is None:
                continue
            known = await find(found[0].id, found[1].seq)
            if known is not None:
                if known.state in UNPAID and theirs.answer.kind is Kind.SETTLED:
                    suspect(known)
                continue
            payment = _payment(book, found[0], found[1], theirs)
            defer(_adoption(book, found[0], Adopted(payment, theirs), switch))
            adopted.append(payment)
    return adopted


def _ours(theirs: NodePayment, by_token: dict[bytes, list[Stream]], secret: bytes) -> tuple[Stream, StreamRecord] | None:
    value = theirs.records.get(STREAM_TYPE)
    if value is None:
        return None
    try:
        record = decode_stream_record(value)
    except ValueError:
        return None
    for stream in by_token.get(record.token, ()):
        if payment_hash(derive_preimage(secret, stream.id, record.seq)) != theirs.payment_hash:
            continue
        return stream, record
    return None


def _payment(book: Book, stream: Stream, record: StreamRecord, theirs: NodePayment) -> Payment:
    records = encode_records((kind, value) for kind, value in theirs.records.items() if kind != PREIMAGE_TYPE)
    return Payment(
        next(book.shared.rows), stream.id, stream.key, record.seq, book.node, theirs.destination, theirs.payment_hash,
        theirs.answer.amount_msat, 0, book.limits.cltv_limit, book.limits.timeout_seconds, records, theirs.create_time_ns,
        theirs.create_time_ns, stream.account.bought_until_ns, 0, 0, False, 0, 0, stream.api_key,
    )  # fmt: skip


def _adoption(book: Book, stream: Stream, adopted: Adopted, switch: Switch) -> Callable[[int, Facts], None]:
    def action(now_ns: int, facts: Facts) -> None:
        payment, answer = adopted.payment, adopted.theirs.answer
        if ends.astray(book, payment) and answer.kind is not Kind.FAILED:
            text = (
                f"payment {payment.id} went to {payment.destination.hex()}, which is not the stream's destination: find out who"
                f" else uses the secret of this data folder, then `streamer payment write-off {payment.id}`"
            )
            switch.stop(Halt.HASH_COLLISION, text, facts)
            answer = Answer(Kind.IN_FLIGHT, accepted=True, index=answer.index)
        ends.adopt(book, stream, payment, answer, now_ns, facts)

    return action
