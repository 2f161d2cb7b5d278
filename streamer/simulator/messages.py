"""The model's records as lnrpc messages, field for field as lnd fills them."""

from __future__ import annotations

from streamer._proto.lnrpc import lightning_pb2 as ln
from streamer._proto.routerrpc import router_pb2 as router
from streamer.money import MSAT_PER_SAT, SECOND_NS
from streamer.simulator.books import HASH_BYTES, InvoiceRecord, InvoiceState, Order, PaymentRecord, Status
from streamer.simulator.channels import Hop, Side
from streamer.simulator.lightning_node import LightningNode
from streamer.simulator.network import Network

VERSION = "0.21.2-beta simulated"

ENDORSEMENT_RECORD = 106_823
"""lnd adds this record of its own to what a keysend brings (tried on 0.21.2-beta)."""

_NO_PREIMAGE = bytes(HASH_BYTES).hex()


def order_of(request: router.SendPaymentRequest) -> Order:
    """What a SendPaymentV2 request asks for."""
    return Order(
        request.dest,
        request.payment_hash,
        request.amt_msat,
        request.fee_limit_msat,
        request.cltv_limit,
        request.final_cltv_delta,
        dict(request.dest_custom_records),
        request.payment_request,
        allow_self_payment=request.allow_self_payment,
    )


def payment_message(record: PaymentRecord, *, omit_hops: bool = False) -> ln.Payment:
    """lnrpc.Payment; its HTLC only while there is one, or when it settled."""
    order = record.order
    message = ln.Payment(
        payment_hash=order.payment_hash.hex(),
        payment_preimage=record.preimage.hex() or _NO_PREIMAGE,
        value_sat=order.amount_msat // MSAT_PER_SAT,
        value_msat=order.amount_msat,
        payment_request=order.payment_request,
        status=record.status.name,
        creation_time_ns=record.created_ns,
        payment_index=record.index,
        failure_reason=f"FAILURE_REASON_{record.failure.name}",
    )
    if record.status is Status.SUCCEEDED:
        message.fee_msat = record.fee_msat
        message.fee_sat = record.fee_msat // MSAT_PER_SAT
    if record.route:
        message.htlcs.append(_attempt(record, omit_hops=omit_hops))
    return message


def _attempt(record: PaymentRecord, *, omit_hops: bool) -> ln.HTLCAttempt:
    settled = record.status is Status.SUCCEEDED
    route = ln.Route(
        total_time_lock=record.route[0].expiry_height,
        total_fees_msat=record.fee_msat,
        total_amt_msat=record.route[0].amount_msat,
    )
    if not omit_hops:
        route.hops.extend(_hops(record.route))
        route.hops[-1].custom_records.update(record.order.records)
    return ln.HTLCAttempt(
        status=ln.HTLCAttempt.SUCCEEDED if settled else ln.HTLCAttempt.IN_FLIGHT,
        route=route,
        attempt_time_ns=record.created_ns,
        resolve_time_ns=record.ended_ns,
        preimage=record.preimage,
        attempt_id=record.index,
    )


def _hops(route: list[Hop]) -> list[ln.Hop]:
    """lnd lists what each node is told to forward: the amount of the next hop, and its own fee."""
    hops = []
    for hop, following in zip(route, [*route[1:], None], strict=True):
        forwarded = following.amount_msat if following else hop.amount_msat
        hops.append(
            ln.Hop(
                chan_id=hop.side.channel.id,
                chan_capacity=hop.side.channel.capacity_msat // MSAT_PER_SAT,
                expiry=following.expiry_height if following else hop.expiry_height,
                amt_to_forward_msat=forwarded,
                fee_msat=hop.amount_msat - forwarded,
                pub_key=hop.side.peer.pubkey.hex(),
                tlv_payload=True,
            )
        )
    return hops


def invoice_message(invoice: InvoiceRecord) -> ln.Invoice:
    """lnrpc.Invoice with its settled HTLCs."""
    settled = invoice.state is InvoiceState.SETTLED
    message = ln.Invoice(
        memo=invoice.memo,
        r_preimage=invoice.preimage,
        r_hash=invoice.payment_hash,
        value=invoice.value_msat // MSAT_PER_SAT,
        value_msat=invoice.value_msat,
        settled=settled,
        creation_date=invoice.created_ns // SECOND_NS,
        settle_date=invoice.settled_ns // SECOND_NS,
        payment_request=invoice.payment_request,
        expiry=invoice.expiry_seconds,
        add_index=invoice.add_index,
        settle_index=invoice.settle_index,
        amt_paid_sat=invoice.paid_msat // MSAT_PER_SAT,
        amt_paid_msat=invoice.paid_msat,
        state=invoice.state.name,
        is_keysend=invoice.is_keysend,
        payment_addr=invoice.payment_addr,
    )
    for htlc in invoice.htlcs:
        message.htlcs.add(
            chan_id=htlc.channel_id,
            htlc_index=htlc.htlc_index,
            amt_msat=htlc.amount_msat,
            accept_time=htlc.settled_ns // SECOND_NS,
            resolve_time=htlc.settled_ns // SECOND_NS,
            expiry_height=htlc.expiry_height,
            state=ln.InvoiceHTLCState.SETTLED,
            custom_records={**htlc.records, ENDORSEMENT_RECORD: b"\x07"},
        )
    return message


def info_message(network: Network, node: LightningNode) -> ln.GetInfoResponse:
    """lnrpc.GetInfoResponse: who the node is."""
    channels = [side.channel for side in node.sides]
    active = sum(channel.active for channel in channels)
    closing = sum(channel.closing for channel in channels)
    return ln.GetInfoResponse(
        identity_pubkey=node.pubkey.hex(),
        alias=node.name,
        num_pending_channels=closing,
        num_active_channels=active,
        num_inactive_channels=len(channels) - active - closing,
        num_peers=len(node.sides_to),
        block_height=network.height,
        synced_to_chain=True,
        synced_to_graph=True,
        best_header_timestamp=network.now_ns // SECOND_NS,
        version=VERSION,
        chains=[ln.Chain(chain="bitcoin", network=network.chain)],
    )


def channel_message(side: Side) -> ln.Channel:
    """lnrpc.Channel as the side's node sees it."""
    other, channel = side.other, side.channel
    message = ln.Channel(
        active=channel.active,
        remote_pubkey=side.peer.pubkey.hex(),
        channel_point=channel.point,
        chan_id=channel.id,
        capacity=channel.capacity_msat // MSAT_PER_SAT,
        local_balance=side.balance_msat // MSAT_PER_SAT,
        remote_balance=other.balance_msat // MSAT_PER_SAT,
        num_updates=channel.updates,
        local_chan_reserve_sat=side.reserve_msat // MSAT_PER_SAT,
        remote_chan_reserve_sat=other.reserve_msat // MSAT_PER_SAT,
    )
    unsettled = 0
    for incoming, end in ((False, side), (True, other)):
        for htlc in end.htlcs.values():
            unsettled += htlc.amount_msat
            message.pending_htlcs.add(
                incoming=incoming,
                amount=htlc.amount_msat // MSAT_PER_SAT,
                hash_lock=htlc.payment_hash,
                expiration_height=htlc.expiry_height,
            )
    message.unsettled_balance = unsettled // MSAT_PER_SAT
    return message


def closing_message(side: Side) -> ln.PendingChannelsResponse.WaitingCloseChannel:
    """A channel that waits for its closing transaction."""
    balance = side.balance_msat // MSAT_PER_SAT
    return ln.PendingChannelsResponse.WaitingCloseChannel(
        channel=ln.PendingChannelsResponse.PendingChannel(
            remote_node_pub=side.peer.pubkey.hex(),
            channel_point=side.channel.point,
            capacity=side.channel.capacity_msat // MSAT_PER_SAT,
            local_balance=balance,
            remote_balance=side.other.balance_msat // MSAT_PER_SAT,
        ),
        limbo_balance=balance,
    )


def node_message(node: LightningNode) -> ln.NodeInfo:
    """lnrpc.NodeInfo with the features that the graph shows."""
    features = {9: "tlv-onion", 15: "payment-addr", 17: "multi-path-payments"}
    if node.keysend:
        features[55] = "keysend"
    return ln.NodeInfo(
        node=ln.LightningNode(
            pub_key=node.pubkey.hex(),
            alias=node.name,
            features={bit: ln.Feature(name=name, is_known=True) for bit, name in features.items()},
        ),
        num_channels=len(node.sides),
        total_capacity=sum(side.channel.capacity_msat for side in node.sides) // MSAT_PER_SAT,
    )
