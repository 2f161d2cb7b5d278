"""What a door says that answers only when a payment has settled: its end, in words that a client
can act on.
"""

from __future__ import annotations

from streamer.core.obstacle import WHY
from streamer.service.reports import PaymentReport
from streamer.words.errors import DeadlineExceeded, FailedPrecondition
from streamer.words.model import PaymentState

PENDING = "PAYMENT_PENDING"


def pending(what: str) -> DeadlineExceeded:
    """The end is not known in time. Never a word that a client could read as "not paid"."""
    return DeadlineExceeded(
        f"{PENDING}: {what} is still under way; call again: it never pays twice", PENDING
    )


def require_settled(report: PaymentReport) -> PaymentReport:
    """The report of a settled payment. Raises DeadlineExceeded while it is open, FailedPrecondition
    if it was not paid.
    """
    payment = report.payment
    if payment.state is PaymentState.SETTLED or report.preimage:
        return report
    if payment.open:
        raise pending(f"payment {payment.id} (payment hash {payment.payment_hash.hex()})")
    if payment.state is PaymentState.WRITTEN_OFF:
        raise FailedPrecondition(
            f"payment {payment.id} (payment hash {payment.payment_hash.hex()}) was written off: it"
            " counts as paid and is not paid again, but the node never told its end, so there is"
            " no preimage",
            PaymentState.WRITTEN_OFF,
        )
    why = WHY.get(payment.reason, "the payment ended without being paid")
    words = f" ({payment.message})" if payment.message else ""
    raise FailedPrecondition(f"not paid: {why}{words}", payment.reason or None)
