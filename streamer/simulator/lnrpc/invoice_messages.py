"""Invoices as lnrpc messages, field for field as lnd fills them."""

from __future__ import annotations

from collections.abc import Iterable

from streamer._proto.lnrpc import lightning_pb2 as ln
from streamer.simulator.encoding import features
from streamer.simulator.encoding.addresses import write_address
from streamer.simulator.encoding.bolt11 import Bolt11, HopHint
from streamer.simulator.encoding.tlv import encode_records
from streamer.simulator.lnrpc.payment_messages import ACCOUNTABLE_RECORD, UNACCOUNTABLE
from streamer.simulator.network.books import HASH_BYTES, InvoiceRecord, InvoiceState, ReceivedHtlc
from streamer.words.money import MSAT_PER_SAT, SECOND_NS

KEYSEND_FEATURES = (8,)
"""Feature bits of the invoice that a keysend makes."""


def invoice_message(invoice: InvoiceRecord) -> ln.Invoice:
    """lnrpc.Invoice with its HTLCs."""
    return ln.Invoice(
        memo=invoice.memo,
        r_preimage=invoice.preimage,
        r_hash=invoice.payment_hash,
        value=invoice.value_msat // MSAT_PER_SAT,
        value_msat=invoice.value_msat,
        settled=invoice.state is InvoiceState.SETTLED,
        creation_date=invoice.created_ns // SECOND_NS,
        settle_date=invoice.settled_ns // SECOND_NS,
        payment_request=invoice.payment_request,
        description_hash=invoice.description_hash,
        expiry=0 if invoice.is_keysend else invoice.expiry_seconds,
        fallback_addr=invoice.fallback,
        cltv_expiry=invoice.cltv_expiry,
        route_hints=hint_messages(invoice.hints),
        private=invoice.private,
        add_index=invoice.add_index,
        settle_index=invoice.settle_index,
        amt_paid=invoice.paid_msat,
        amt_paid_sat=invoice.paid_msat // MSAT_PER_SAT,
        amt_paid_msat=invoice.paid_msat,
        state=invoice.state.name,
        htlcs=map(_htlc_message, invoice.htlcs),
        features=features.shown(KEYSEND_FEATURES if invoice.is_keysend else features.INVOICE),
        is_keysend=invoice.is_keysend,
        payment_addr=invoice.payment_addr or bytes(HASH_BYTES),
    )


def _htlc_message(htlc: ReceivedHtlc) -> ln.InvoiceHTLC:
    records = {**htlc.records, ACCOUNTABLE_RECORD: UNACCOUNTABLE}
    return ln.InvoiceHTLC(
        chan_id=htlc.channel_id,
        htlc_index=htlc.htlc_index,
        amt_msat=htlc.amount_msat,
        accept_height=htlc.accept_height,
        accept_time=htlc.accepted_ns // SECOND_NS,
        resolve_time=htlc.settled_ns // SECOND_NS,
        expiry_height=htlc.expiry_height,
        state=htlc.state.name,
        custom_records=records,
        mpp_total_amt_msat=htlc.total_msat,
        custom_channel_data=encode_records(records),
    )


def hint_messages(hints: Iterable[tuple[HopHint, ...]]) -> list[ln.RouteHint]:
    """lnrpc.RouteHint of each route."""
    return [ln.RouteHint(hop_hints=map(_hint_message, route)) for route in hints]


def _hint_message(hint: HopHint) -> ln.HopHint:
    return ln.HopHint(
        node_id=hint.node.hex(),
        chan_id=hint.channel_id,
        fee_base_msat=hint.base_msat,
        fee_proportional_millionths=hint.ppm,
        cltv_expiry_delta=hint.cltv_delta,
    )


def pay_req_message(found: Bolt11) -> ln.PayReq:
    """lnrpc.PayReq: what an invoice says."""
    return ln.PayReq(
        destination=found.payee.hex(),
        payment_hash=found.payment_hash.hex(),
        num_satoshis=found.amount_msat // MSAT_PER_SAT,
        num_msat=found.amount_msat,
        timestamp=found.timestamp,
        expiry=found.expiry_seconds,
        description=found.description.decode(),
        description_hash=found.description_hash.hex(),
        fallback_addr=write_address(found.fallback, found.chain) if found.fallback else "",
        cltv_expiry=found.min_final_cltv,
        route_hints=hint_messages(found.hints),
        payment_addr=found.payment_addr,
        features=features.shown(found.features),
    )
