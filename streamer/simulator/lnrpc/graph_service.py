"""lnrpc.Lightning and routerrpc.Router: the graph, and routes that nobody has taken yet."""

from __future__ import annotations

from streamer._proto.lnrpc import lightning_pb2 as ln
from streamer._proto.routerrpc import router_pb2 as router
from streamer.simulator.lnrpc.graph_messages import edge_message, node_info_message, node_message
from streamer.simulator.lnrpc.payment_messages import route_message
from streamer.simulator.network.books import PUBKEY_BYTES, Failure, Order, Refused
from streamer.simulator.network.drive import Simulation
from streamer.simulator.network.go_texts import from_hex
from streamer.simulator.network.invoices import amount_of, fill_from_invoice, hints_of
from streamer.simulator.network.lightning_node import LightningNode
from streamer.simulator.network.routing import MAX_CLTV, find_route
from streamer.words.money import MSAT_PER_SAT, SECOND_NS

ANY_FEE_MSAT = 1 << 62
"""The fee limit of a call that sets none."""

PERCENT = 100


class GraphService:
    """The unary calls about the network as one node sees it; each raises Refused with lnd's
    text.
    """

    def __init__(self, simulation: Simulation, node: LightningNode) -> None:
        self._network = simulation.network
        self._node = node

    def get_node_info(self, request: ln.NodeInfoRequest) -> ln.NodeInfo:
        """What the graph says of a node: nodes without public channels are not in it."""
        if len(request.pub_key) != 2 * PUBKEY_BYTES:
            raise Refused(
                "UNKNOWN",
                f"invalid vertex string length of {len(request.pub_key)}, want {2 * PUBKEY_BYTES}",
            )
        pubkey = from_hex(request.pub_key)
        node = self._network.nodes.get(pubkey)
        if node is None or not node.public:
            raise Refused("NOT_FOUND", "unable to find node")
        return node_info_message(
            node, self._network.start_ns, with_channels=request.include_channels
        )

    def describe_graph(self, request: ln.ChannelGraphRequest) -> ln.ChannelGraph:
        """All nodes and channels, by key and by id; include_unannounced adds this node's private
        channels.
        """
        own = (
            {side.channel.id for side in self._node.sides} if request.include_unannounced else set()
        )
        shown = [
            channel
            for channel in self._network.channels.values()
            if not channel.private or channel.id in own
        ]
        nodes = {side.node.pubkey: side.node for channel in shown for side in channel.sides}
        start = self._network.start_ns
        return ln.ChannelGraph(
            nodes=[node_message(nodes[key], start) for key in sorted(nodes)],
            edges=[
                edge_message(channel) for channel in sorted(shown, key=lambda channel: channel.id)
            ],
        )

    def get_chan_info(self, request: ln.ChanInfoRequest) -> ln.ChannelEdge:
        """One channel by its id or its funding output."""
        if not request.chan_id and not request.chan_point:
            raise Refused("UNKNOWN", "specify either chan_id or chan_point")
        for channel in self._network.channels.values():
            if request.chan_id == channel.id or (
                not request.chan_id and request.chan_point == channel.point
            ):
                return edge_message(channel)
        raise Refused("NOT_FOUND", "edge not found")

    def query_routes(self, request: ln.QueryRoutesRequest) -> ln.QueryRoutesResponse:
        """The route that a payment would try first."""
        destination = from_hex(request.pub_key)
        if len(destination) != PUBKEY_BYTES:
            raise Refused(
                "UNKNOWN", f"invalid vertex length of {len(destination)}, want {PUBKEY_BYTES}"
            )
        amount = amount_of(request.amt, request.amt_msat)
        if request.cltv_limit > MAX_CLTV:
            raise Refused(
                "UNKNOWN", f"total time lock of {request.cltv_limit} exceeds max allowed {MAX_CLTV}"
            )
        order = Order(
            destination,
            b"",
            amount,
            _fee_limit(request, amount),
            request.cltv_limit,
            request.final_cltv_delta,
            dict(request.dest_custom_records),
            hints=hints_of(request.route_hints),
            outgoing_channels=frozenset(request.outgoing_chan_ids),
            last_hop=request.last_hop_pubkey,
        )
        now, learned = self._network.now_ns, request.use_mission_control
        receiver = self._network.nodes.get(destination)
        found = find_route(
            self._node, receiver, order, self._network.height, now, padding=0, experienced=learned
        )
        if isinstance(found, Failure):
            short = found is Failure.INSUFFICIENT_BALANCE
            raise Refused(
                "UNKNOWN",
                "insufficient local balance" if short else "unable to find a path to destination",
            )
        likely = self._node.experience.probability(found, now) if learned else 1.0
        return ln.QueryRoutesResponse(routes=[route_message(found, order)], success_prob=likely)

    def estimate_route_fee(self, request: router.RouteFeeRequest) -> router.RouteFeeResponse:
        """What a payment to a node, or of an invoice, would cost and how long its money may be
        locked.
        """
        if bool(request.dest) is bool(request.payment_request):
            raise Refused("UNKNOWN", "specify either a destination or an invoice")
        order = self._priced(request)
        found = find_route(
            self._node,
            self._network.nodes.get(order.destination),
            order,
            self._network.height,
            self._network.now_ns,
        )
        if isinstance(found, Failure):
            if request.payment_request:
                return router.RouteFeeResponse(failure_reason=f"FAILURE_REASON_{found.name}")
            raise Refused("UNKNOWN", "unable to find a path to destination")
        first = found[0]
        # the probe of an invoice says how long from now, the estimate to a node at which block
        since = self._network.height if request.payment_request else 0
        return router.RouteFeeResponse(
            routing_fee_msat=first.amount_msat - order.amount_msat,
            time_lock_delay=first.expiry_height - since,
        )

    def _priced(self, request: router.RouteFeeRequest) -> Order:
        if request.payment_request:
            order = Order(b"", b"", 0, ANY_FEE_MSAT, payment_request=request.payment_request)
            return fill_from_invoice(order, self._network.chain, self._network.now_ns // SECOND_NS)
        if len(request.dest) != PUBKEY_BYTES:
            raise Refused("UNKNOWN", "invalid length destination key")
        if request.amt_sat <= 0:
            raise Refused("UNKNOWN", "amount must be greater than 0")
        return Order(request.dest, b"", request.amt_sat * MSAT_PER_SAT, ANY_FEE_MSAT)


def _fee_limit(request: ln.QueryRoutesRequest, amount_msat: int) -> int:
    limit = request.fee_limit
    kind = limit.WhichOneof("limit")
    if kind == "fixed":
        return limit.fixed * MSAT_PER_SAT
    if kind == "fixed_msat":
        return limit.fixed_msat
    if kind == "percent":
        return amount_msat * limit.percent // PERCENT
    return amount_msat
