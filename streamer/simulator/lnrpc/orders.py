"""What a SendPaymentV2 request asks for, and what lnd finds wrong with it before it looks further.

The texts are lnd's (routerrpc/router_backend.go, extractIntentFromSendRequest).
"""

from __future__ import annotations

from streamer._proto.routerrpc import router_pb2 as router
from streamer.simulator.network.books import (
    KEYSEND_RECORD,
    MIN_CUSTOM_RECORD,
    PUBKEY_BYTES,
    Order,
    Refused,
)
from streamer.simulator.network.invoices import amount_of, fill_from_invoice, hints_of
from streamer.simulator.network.routing import MAX_CLTV


def order_of(request: router.SendPaymentRequest, chain: str, now_seconds: int) -> Order:
    """The order, with what its invoice says; raises Refused."""
    if request.amp:
        raise Refused("UNIMPLEMENTED", "AMP payments are not simulated")
    if not -1 <= request.time_pref <= 1:
        raise Refused("UNKNOWN", "time preference out of range")
    if request.last_hop_pubkey and len(request.last_hop_pubkey) != PUBKEY_BYTES:
        raise Refused(
            "UNKNOWN",
            f"invalid vertex length of {len(request.last_hop_pubkey)}, want {PUBKEY_BYTES}",
        )
    if request.cltv_limit > MAX_CLTV:
        raise Refused(
            "UNKNOWN", f"total time lock of {request.cltv_limit} exceeds max allowed {MAX_CLTV}"
        )
    fee_limit = amount_of(request.fee_limit_sat, request.fee_limit_msat)
    records = dict(request.dest_custom_records)
    if records and min(records) < MIN_CUSTOM_RECORD:
        raise Refused("UNKNOWN", f"no custom records with types below {MIN_CUSTOM_RECORD} allowed")
    if request.max_shard_size_msat and KEYSEND_RECORD in records:
        why = "cannot specify a max shard amount - MPP not supported with keysend payments"
        raise Refused("UNKNOWN", f"keysend payments {why}")
    order = Order(
        request.dest,
        request.payment_hash,
        amount_of(request.amt, request.amt_msat),
        fee_limit,
        request.cltv_limit,
        request.final_cltv_delta,
        records,
        request.payment_request,
        request.payment_addr,
        request.allow_self_payment,
        hints_of(request.route_hints) if request.route_hints else (),
        frozenset(request.outgoing_chan_ids),
        request.last_hop_pubkey,
        dict(request.first_hop_custom_records),
    )
    if order.payment_request:
        order = fill_from_invoice(order, chain, now_seconds)
    return order
