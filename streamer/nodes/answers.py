"""lnd's messages as our values: what it says of payments, channels and itself.

Pure translation. Only `status` says how a payment stands: one with a failure_reason that is still
IN_FLIGHT may succeed. Preimages of attempts are read from nowhere but a payment that succeeded.
"""

from __future__ import annotations

from streamer._proto.lnrpc import lightning_pb2 as ln
from streamer.core.keysend import without_preimage
from streamer.ports import MAX_HTLCS, Answer, Channel, Channels, Kind, NodeIdentity, NodePayment
from streamer.words.money import MSAT_PER_SAT, SECOND_NS
from streamer.words.reasons import Reason

SUCCEEDED = ln.Payment.SUCCEEDED
FAILED = ln.Payment.FAILED

REASONS = {
    ln.FAILURE_REASON_NONE: Reason.TIMEOUT,
    ln.FAILURE_REASON_TIMEOUT: Reason.TIMEOUT,
    ln.FAILURE_REASON_ERROR: Reason.TIMEOUT,
    ln.FAILURE_REASON_CANCELED: Reason.TIMEOUT,
    ln.FAILURE_REASON_NO_ROUTE: Reason.NO_ROUTE,
    ln.FAILURE_REASON_INCORRECT_PAYMENT_DETAILS: Reason.RECEIVER_REJECTED,
    ln.FAILURE_REASON_INSUFFICIENT_BALANCE: Reason.NO_LIQUIDITY,
}
"""What a failure means to a stream: each has its back-off (core/retry.py). A reason newer than this
table counts as TIMEOUT.
"""


def payment_answer(payment: ln.Payment) -> Answer:
    """One Payment update; IN_FLIGHT for every status that is not terminal, unknown ones too."""
    status = payment.status
    if status == SUCCEEDED:
        return Answer(
            Kind.SETTLED,
            accepted=True,
            amount_msat=payment.value_msat,
            fee_msat=payment.fee_msat,
            index=payment.payment_index,
            preimage=bytes.fromhex(payment.payment_preimage),
            payment_request=payment.payment_request,
        )
    if status == FAILED:
        return Answer(
            Kind.FAILED,
            accepted=True,
            amount_msat=payment.value_msat,
            reason=REASONS.get(payment.failure_reason, Reason.TIMEOUT),
            message=failure_text(payment.failure_reason),
            index=payment.payment_index,
            payment_request=payment.payment_request,
        )
    # whatever failure_reason says: while lnd calls it in flight an HTLC of it may be out, and may
    # still settle
    return Answer(
        Kind.IN_FLIGHT,
        accepted=True,
        amount_msat=payment.value_msat,
        index=payment.payment_index,
        payment_request=payment.payment_request,
    )


def failure_text(reason: int) -> str:
    """lnd's own word for a failure ("NO_ROUTE"), or its number if it is newer than our table."""
    if reason in REASONS:
        return ln.PaymentFailureReason.Name(reason).removeprefix("FAILURE_REASON_")
    return f"failure reason {reason}"


def identity(info: ln.GetInfoResponse) -> NodeIdentity:
    """GetInfo as an identity; network "" if lnd names none."""
    return NodeIdentity(
        pubkey=bytes.fromhex(info.identity_pubkey),
        alias=info.alias,
        network=info.chains[0].network if info.chains else "",
        version=info.version,
        best_header_time_ns=info.best_header_timestamp * SECOND_NS,
        active_channels=info.num_active_channels,
        synced_to_chain=info.synced_to_chain,
    )


def all_channels(
    listed: ln.ListChannelsResponse, pending: ln.PendingChannelsResponse, block_height: int
) -> Channels:
    """ListChannels and PendingChannels together; closing holds both ways of closing.

    lnd watches all its channels from its start on, and tells for how long: the longest is how long
    it runs, but for the seconds of the start, or that its first channel is younger.
    """
    forced = {one.channel.channel_point for one in pending.pending_force_closing_channels}
    waiting = {one.channel.channel_point for one in pending.waiting_close_channels}
    closing = frozenset(forced | waiting)
    running_seconds = max((channel.lifetime for channel in listed.channels), default=0)
    return Channels(
        tuple(_channel(channel) for channel in listed.channels),
        closing,
        block_height,
        running_seconds,
    )


def _channel(channel: ln.Channel) -> Channel:
    return Channel(
        channel_id=channel.chan_id,
        active=channel.active,
        spendable_msat=max(0, channel.local_balance - channel.local_chan_reserve_sat)
        * MSAT_PER_SAT,
        receivable_msat=max(0, channel.remote_balance - channel.remote_chan_reserve_sat)
        * MSAT_PER_SAT,
        slots=sum(not htlc.incoming for htlc in channel.pending_htlcs),
        pending={
            htlc.hash_lock: htlc.expiration_height
            for htlc in channel.pending_htlcs
            if not htlc.incoming
        },
        local_msat=channel.local_balance * MSAT_PER_SAT,
        point=channel.channel_point,
        max_htlcs=channel.local_constraints.max_accepted_htlcs or MAX_HTLCS,
    )


def node_payment(payment: ln.Payment) -> NodePayment:
    """One entry of ListPayments. A failed payment keeps no attempts: no destination, no records."""
    hops = [attempt.route.hops[-1] for attempt in payment.htlcs if attempt.route.hops]
    last = hops[-1] if hops else ln.Hop()
    return NodePayment(
        index=payment.payment_index,
        payment_hash=bytes.fromhex(payment.payment_hash),
        answer=payment_answer(payment),
        destination=bytes.fromhex(last.pub_key),
        records=without_preimage(last.custom_records),
        create_time_ns=payment.creation_time_ns,
    )
