"""Payments as lnrpc messages, field for field as lnd fills them."""

from __future__ import annotations

from collections.abc import Sequence

from streamer._proto.lnrpc import lightning_pb2 as ln
from streamer.money import MSAT_PER_SAT, SECOND_NS
from streamer.simulator.books import HASH_BYTES, FailedAttempt, Order, PaymentRecord, Status
from streamer.simulator.channels import Hop

ACCOUNTABLE_RECORD = 106_823
"""lnd adds this experimental record to what each payment hands to its first hop (0.21.2-beta)."""

UNACCOUNTABLE = b"\x00"

_NO_PREIMAGE = bytes(HASH_BYTES).hex()
_STATUS = {status: int(status) for status in Status}


def payment_message(record: PaymentRecord) -> ln.Payment:
    """lnrpc.Payment with the attempts that lnd would still show."""
    order = record.order
    amount_sat = order.amount_msat // MSAT_PER_SAT
    message = ln.Payment(
        payment_hash=order.payment_hash.hex(),
        value=amount_sat,
        creation_date=record.created_ns // SECOND_NS,
        payment_preimage=record.preimage.hex() or _NO_PREIMAGE,
        value_sat=amount_sat,
        value_msat=order.amount_msat,
        payment_request=order.payment_request,
        status=_STATUS[record.status],  # type: ignore[arg-type]
        creation_time_ns=record.created_ns,
        payment_index=record.index,
        failure_reason=int(record.failure),  # type: ignore[arg-type]
        first_hop_custom_records={ACCOUNTABLE_RECORD: UNACCOUNTABLE, **order.first_hop_records},
    )
    if record.status is Status.SUCCEEDED:
        message.fee_msat = record.fee_msat
        message.fee_sat = message.fee = record.fee_msat // MSAT_PER_SAT
    for failed in record.failed:
        message.htlcs.append(_failed_attempt(record, failed))
    if record.route:
        message.htlcs.append(_attempt(record))
    return message


def _attempt(record: PaymentRecord) -> ln.HTLCAttempt:
    settled = record.status is Status.SUCCEEDED
    return ln.HTLCAttempt(
        status=ln.HTLCAttempt.SUCCEEDED if settled else ln.HTLCAttempt.IN_FLIGHT,
        route=route_message(record.route, record.order, sent=True),
        attempt_time_ns=record.attempt_ns,
        resolve_time_ns=record.ended_ns,
        preimage=record.preimage,
        attempt_id=record.attempt_id,
    )


def _failed_attempt(record: PaymentRecord, failed: FailedAttempt) -> ln.HTLCAttempt:
    return ln.HTLCAttempt(
        status=ln.HTLCAttempt.FAILED,
        route=route_message(failed.route, record.order, sent=True),
        attempt_time_ns=failed.started_ns,
        resolve_time_ns=failed.ended_ns,
        failure=ln.Failure(code=failed.code, failure_source_index=failed.source, height=_height_of(failed)),
        attempt_id=failed.id,
    )


def _height_of(failed: FailedAttempt) -> int:
    """Only the receiver's refusal says at which height it was made (BOLT 4)."""
    return failed.height if failed.code == "INCORRECT_OR_UNKNOWN_PAYMENT_DETAILS" else 0


def route_message(route: Sequence[Hop], order: Order, *, sent: bool = False) -> ln.Route:
    """lnrpc.Route; sent: with what only a route that was used says."""
    total = route[0].amount_msat
    fees = total - order.amount_msat
    message = ln.Route(
        total_time_lock=route[0].expiry_height,
        total_fees=fees // MSAT_PER_SAT,
        total_amt=total // MSAT_PER_SAT,
        total_fees_msat=fees,
        total_amt_msat=total,
        first_hop_amount_msat=total if sent else 0,
    )
    message.hops.extend(_hops(route))
    last = message.hops[-1]
    last.custom_records.update(order.records)
    if order.payment_addr:
        last.mpp_record.payment_addr, last.mpp_record.total_amt_msat = order.payment_addr, order.amount_msat
    return message


def _hops(route: Sequence[Hop]) -> list[ln.Hop]:
    """lnd lists what each node is told to forward: the amount of the next hop, and its own fee."""
    hops = []
    for hop, following in zip(route, [*route[1:], None], strict=True):
        forwarded = following.amount_msat if following else hop.amount_msat
        fee = hop.amount_msat - forwarded
        hops.append(
            ln.Hop(
                chan_id=hop.side.channel.id,
                # lnd says the amount that comes in where it does not look the capacity up
                chan_capacity=hop.amount_msat // MSAT_PER_SAT,
                amt_to_forward=forwarded // MSAT_PER_SAT,
                fee=fee // MSAT_PER_SAT,
                expiry=following.expiry_height if following else hop.expiry_height,
                amt_to_forward_msat=forwarded,
                fee_msat=fee,
                pub_key=hop.side.peer.pubkey.hex(),
                tlv_payload=True,
            )
        )
    return hops
