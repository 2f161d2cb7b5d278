"""The intent of a payment: all that will be sent, as it was decided; the budgets are stamped on it
afterwards.
"""

from __future__ import annotations

from streamer.core.buying import Purchase
from streamer.core.shared import Limits
from streamer.words.model import Payment, Single, Stream

Identity = tuple[bytes, bytes, bytes]
"""(payment hash, records, preimage) of a keysend; see shared.Stamp."""
Name = tuple[int, int]
"""(row, seq)."""
Moments = tuple[int, int]
"""(due_ns, now_ns)."""


def of_stream(
    name: Name,
    node: str,
    limits: Limits,
    stream: Stream,
    bought: Purchase,
    fee_limit_msat: int,
    probe: bool,
    when: Moments,
    who: Identity,
) -> Payment:
    """A payment of stream that makes this purchase."""
    (row, seq), (due_ns, now_ns), (payment_hash, records, preimage) = name, when, who
    payment = Payment(
        row=row,
        owner=stream.id,
        stream_key=stream.key,
        seq=seq,
        node=node,
        destination=stream.terms.destination,
        payment_hash=payment_hash,
        amount_msat=bought.amount_msat,
        fee_limit_msat=fee_limit_msat,
        cltv_limit=limits.cltv_limit,
        timeout_seconds=limits.timeout_seconds,
        records=records,
        due_ns=due_ns,
        planned_ns=now_ns,
        bought_until_ns=bought.until_ns,
        skip_ns=bought.skip_ns,
        skip_msat=bought.skip_msat,
        probe=probe,
        api_key=stream.api_key,
    )
    payment.preimage = preimage
    return payment


def of_single(
    row: int, node: str, limits: Limits, order: Single, now_ns: int, who: Identity
) -> Payment:
    """A payment that belongs to no stream; that of an invoice has the invoice's hash, and no
    preimage yet.
    """
    payment_hash, own, preimage = who
    payment = Payment(
        row=row,
        owner=order.owner,
        stream_key=0,
        seq=0,
        node=node,
        destination=order.destination,
        payment_hash=payment_hash,
        amount_msat=order.amount_msat,
        fee_limit_msat=order.fee_limit_msat,
        cltv_limit=limits.cltv_limit,
        timeout_seconds=limits.timeout_seconds,
        records=order.records or own,
        due_ns=now_ns,
        planned_ns=now_ns,
        api_key=order.api_key,
    )
    payment.payment_request, payment.preimage = order.payment_request, preimage
    return payment
