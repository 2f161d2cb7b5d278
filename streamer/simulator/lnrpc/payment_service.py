"""lnrpc.Lightning: the list of a node's payments, and forgetting them."""

from __future__ import annotations

from streamer._proto.lnrpc import lightning_pb2 as ln
from streamer.simulator.lnrpc.invoice_service import check_dates, is_between
from streamer.simulator.lnrpc.pages import page
from streamer.simulator.lnrpc.payment_messages import payment_message
from streamer.simulator.network.books import HASH_BYTES, Refused, Status
from streamer.simulator.network.lightning_node import LightningNode


class PaymentService:
    """The unary calls about one node's payments; each raises Refused with lnd's text."""

    def __init__(self, node: LightningNode) -> None:
        self._node = node

    def list_payments(self, request: ln.ListPaymentsRequest) -> ln.ListPaymentsResponse:
        """A page of payments by payment_index; other than settled ones only with
        include_incomplete.

        lnd's default database shows the hops whether omit_hops is set or not.
        """
        check_dates(request.creation_date_start, request.creation_date_end)
        records = self._node.payments.values()
        found = page(
            records,
            lambda record: record.index,
            request.index_offset,
            request.max_payments,
            reverse=request.reversed,
            keep=lambda record: (
                (request.include_incomplete or record.status is Status.SUCCEEDED)
                and is_between(record.created_ns, request)
            ),
        )
        reply = ln.ListPaymentsResponse(payments=[payment_message(record) for record in found])
        if found:
            reply.first_index_offset, reply.last_index_offset = found[0].index, found[-1].index
        if request.count_total_payments:
            reply.total_num_payments = len(records)
        return reply

    def delete_payment(self, request: ln.DeletePaymentRequest) -> ln.DeletePaymentResponse:
        """Forget a payment that has ended; failed attempts alone are forgotten already."""
        if len(request.payment_hash) != HASH_BYTES:
            raise Refused(
                "UNKNOWN", f"invalid hash length of {len(request.payment_hash)}, want {HASH_BYTES}"
            )
        self._node.delete(request.payment_hash, failed_htlcs_only=request.failed_htlcs_only)
        return ln.DeletePaymentResponse(status="payment deleted")

    def delete_all_payments(
        self, request: ln.DeleteAllPaymentsRequest
    ) -> ln.DeleteAllPaymentsResponse:
        """Forget all payments that have ended, or the failed ones."""
        failed_only, htlcs_only = request.failed_payments_only, request.failed_htlcs_only
        if not (request.all_payments or failed_only or htlcs_only):
            options = "`all_payments`, `failed_payments_only`, or `failed_htlcs_only`"
            raise Refused("UNKNOWN", f"at least one of the options {options} must be set to true")
        if request.all_payments and (failed_only or htlcs_only):
            others = "`failed_payments_only` or `failed_htlcs_only`"
            raise Refused(
                "UNKNOWN",
                f"`all_payments` cannot be set to true while either {others} is also set to true",
            )
        wanted = (Status.FAILED,) if failed_only else (Status.FAILED, Status.SUCCEEDED)
        gone = [key for key, record in self._node.payments.items() if record.status in wanted]
        if not htlcs_only:
            for payment_hash in gone:
                del self._node.payments[payment_hash]
        shown = "true" if htlcs_only else "false"
        return ln.DeleteAllPaymentsResponse(
            status=f"{0 if htlcs_only else len(gone)} payments deleted, failed_htlcs_only={shown}"
        )
