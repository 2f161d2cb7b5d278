"""The intent of a payment: all that will be sent, as it was decided; the budgets are stamped on it afterwards."""

from __future__ import annotations

from streamer.core.buying import Purchase
from streamer.core.shared import Limits
from streamer.model import Payment, Single, Stream

Identity = tuple[bytes, bytes, bytes]
"""(payment hash, records, preimage) of a keysend; see shared.Stamp."""
Name = tuple[int, int]
"""(row, seq)."""
Moments = tuple[int, int]
"""(due_ns, now_ns)."""


def of_stream(
    name: Name, node: str, limits: Limits, stream: Stream, bought: Purchase, fee_limit_msat: int, probe: bool, when: Moments, who: Identity
) -> Payment:
    """A payment of stream that makes this purchase."""
    (row, seq), (due_ns, now_ns), (payment_hash, records, preimage) = name, when, who
    payment = Payment(
        row, stream.id, stream.key, seq, node, stream.terms.destination, payment_hash, bought.amount_msat,
        fee_limit_msat, limits.cltv_limit, limits.timeout_seconds, records, due_ns, now_ns,
        bought.until_ns, bought.skip_ns, bought.skip_msat, probe, 0, 0, stream.api_key,
    )  # fmt: skip
    payment.preimage = preimage
    return payment


def of_single(row: int, node: str, limits: Limits, order: Single, now_ns: int, who: Identity) -> Payment:
    """A payment that belongs to no stream; that of an invoice has the invoice's hash, and no preimage yet."""
    payment_hash, own, preimage = who
    payment = Payment(
        row, order.owner, 0, 0, node, order.destination, payment_hash, order.amount_msat, order.fee_limit_msat,
        limits.cltv_limit, limits.timeout_seconds, order.records or own, now_ns, now_ns, 0, 0, 0, False, 0, 0,
        order.api_key,
    )  # fmt: skip
    payment.payment_request, payment.preimage = order.payment_request, preimage
    return payment
