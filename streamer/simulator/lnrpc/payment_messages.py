"""Payments as lnrpc messages, field for field as lnd fills them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from streamer._proto.lnrpc import lightning_pb2 as ln
from streamer.simulator.network.books import (
    HASH_BYTES,
    FailedAttempt,
    Failure,
    Order,
    PaymentRecord,
    Status,
)
from streamer.simulator.network.channels import RESERVE_DIVISOR, Hop, Side
from streamer.words.money import MSAT_PER_SAT, SECOND_NS

ACCOUNTABLE_RECORD = 106_823
"""lnd adds this experimental record to what each payment hands to its first hop (0.21.2-beta)."""

UNACCOUNTABLE = b"\x00"

GENESIS = {
    chain: bytes.fromhex(digest)[::-1]
    for chain, digest in (
        ("mainnet", "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f"),
        ("testnet", "000000000933ea01ad0ee984209779baaec3ced90fa3f408719526f8d77f4943"),
        ("signet", "00000008819873e925422c1ff0f99f7cc9bbb232af63a077a480a3633bee1ef6"),
        ("regtest", "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206"),
        ("simnet", "683e86bd5c6d110d91b94b97137ba6bfe02dbbdb8e3dff722a669b5d69d77af6"),
    )
}
"""The hash of each network's first block, in the order of bytes that messages have."""

_NO_PREIMAGE = bytes(HASH_BYTES).hex()
_STATUS = {status: ln.Payment.PaymentStatus.Name(status) for status in Status}
_FAILURE = {failure: ln.PaymentFailureReason.Name(failure) for failure in Failure}


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
        status=_STATUS[record.status],
        creation_time_ns=record.created_ns,
        payment_index=record.index,
        failure_reason=_FAILURE[record.failure],
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
        failure=_failure(failed),
        attempt_id=failed.id,
    )


def _failure(failed: FailedAttempt) -> ln.Failure:
    """Only the receiver's refusal says at which height it was made, and only a forwarder shows its
    channel (BOLT 4).
    """
    message = ln.Failure(code=failed.code, failure_source_index=failed.source)
    if failed.code == "INCORRECT_OR_UNKNOWN_PAYMENT_DETAILS":
        message.height = failed.height
    elif failed.code == "TEMPORARY_CHANNEL_FAILURE" and 0 < failed.source < len(failed.route):
        message.channel_update.CopyFrom(
            _channel_update(failed.route[failed.source].side, failed.chain)
        )
    return message


def _channel_update(side: Side, chain: str) -> ln.ChannelUpdate:
    """The terms of a channel as its forwarding side announced them; nobody checks the signature."""
    policy, capacity = side.policy, side.channel.capacity_msat
    return ln.ChannelUpdate(
        signature=hashlib.sha512(side.channel.point.encode()).digest(),
        chain_hash=GENESIS[chain],
        chan_id=side.channel.id,
        timestamp=side.channel.opened_ns // SECOND_NS,
        message_flags=1,
        channel_flags=int(side.node.pubkey > side.peer.pubkey),
        time_lock_delta=policy.cltv_delta,
        htlc_minimum_msat=policy.min_htlc_msat,
        base_fee=policy.base_msat,
        fee_rate=policy.ppm,
        htlc_maximum_msat=capacity - capacity // RESERVE_DIVISOR,
    )


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
        last.mpp_record.payment_addr, last.mpp_record.total_amt_msat = (
            order.payment_addr,
            order.amount_msat,
        )
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
