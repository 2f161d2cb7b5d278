"""Which of lnd's methods a simulated node answers, and who answers them; the others are
UNIMPLEMENTED.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

from streamer._proto.invoicesrpc import invoices_pb2 as inv
from streamer._proto.lnrpc import lightning_pb2 as ln
from streamer._proto.routerrpc import router_pb2 as router
from streamer._proto.verrpc import verrpc_pb2 as ver
from streamer.simulator.lnrpc.graph_service import GraphService
from streamer.simulator.lnrpc.invoice_service import InvoiceService
from streamer.simulator.lnrpc.macaroon_service import MacaroonService
from streamer.simulator.lnrpc.node_service import NodeService
from streamer.simulator.lnrpc.payment_service import PaymentService
from streamer.simulator.lnrpc.streams import StreamService
from streamer.simulator.network.drive import Simulation
from streamer.simulator.network.lightning_node import LightningNode


class Message(Protocol):
    """A protobuf message, as far as a reply needs to be one."""

    def SerializeToString(self) -> bytes:  # noqa: N802 - protobuf's name
        """Its bytes on the wire."""


Unary = tuple[Callable[[Any], Message], Any]
"""What answers a request, and the request's class."""

Streaming = tuple[Callable[[Any], AsyncIterator[Message]], Any]


def unary_methods(simulation: Simulation, node: LightningNode, root_key: bytes) -> dict[str, Unary]:
    """Path of each method that has one answer → who gives it at this node."""
    own, graph = NodeService(simulation, node), GraphService(simulation, node)
    invoices, payments = InvoiceService(simulation, node), PaymentService(node)
    lightning: dict[str, Unary] = {
        "GetInfo": (own.get_info, ln.GetInfoRequest),
        "ListPeers": (own.list_peers, ln.ListPeersRequest),
        "WalletBalance": (own.wallet_balance, ln.WalletBalanceRequest),
        "ListChannels": (own.list_channels, ln.ListChannelsRequest),
        "PendingChannels": (own.pending_channels, ln.PendingChannelsRequest),
        "ClosedChannels": (own.closed_channels, ln.ClosedChannelsRequest),
        "ChannelBalance": (own.channel_balance, ln.ChannelBalanceRequest),
        "GetNodeInfo": (graph.get_node_info, ln.NodeInfoRequest),
        "DescribeGraph": (graph.describe_graph, ln.ChannelGraphRequest),
        "GetChanInfo": (graph.get_chan_info, ln.ChanInfoRequest),
        "QueryRoutes": (graph.query_routes, ln.QueryRoutesRequest),
        "AddInvoice": (invoices.add_invoice, ln.Invoice),
        "LookupInvoice": (invoices.lookup_invoice, ln.PaymentHash),
        "ListInvoices": (invoices.list_invoices, ln.ListInvoiceRequest),
        "DecodePayReq": (invoices.decode_pay_req, ln.PayReqString),
        "ListPayments": (payments.list_payments, ln.ListPaymentsRequest),
        "DeletePayment": (payments.delete_payment, ln.DeletePaymentRequest),
        "DeleteAllPayments": (payments.delete_all_payments, ln.DeleteAllPaymentsRequest),
        "BakeMacaroon": (MacaroonService(root_key).bake_macaroon, ln.BakeMacaroonRequest),
    }
    held: dict[str, Unary] = {
        "AddHoldInvoice": (invoices.add_hold_invoice, inv.AddHoldInvoiceRequest),
        "SettleInvoice": (invoices.settle_invoice, inv.SettleInvoiceMsg),
        "CancelInvoice": (invoices.cancel_invoice, inv.CancelInvoiceMsg),
        "LookupInvoiceV2": (invoices.lookup_invoice_v2, inv.LookupInvoiceMsg),
    }
    return {
        **{f"/lnrpc.Lightning/{name}": unary for name, unary in lightning.items()},
        **{f"/invoicesrpc.Invoices/{name}": unary for name, unary in held.items()},
        "/routerrpc.Router/EstimateRouteFee": (graph.estimate_route_fee, router.RouteFeeRequest),
        "/verrpc.Versioner/GetVersion": (own.get_version, ver.VersionRequest),
    }


def streaming_methods(simulation: Simulation, node: LightningNode) -> dict[str, Streaming]:
    """Path of each method that has many answers → who gives them at this node."""
    streams = StreamService(simulation, node)
    return {
        "/routerrpc.Router/SendPaymentV2": (streams.send_payment, router.SendPaymentRequest),
        "/routerrpc.Router/TrackPaymentV2": (streams.track_payment, router.TrackPaymentRequest),
        "/routerrpc.Router/TrackPayments": (streams.track_payments, router.TrackPaymentsRequest),
        "/lnrpc.Lightning/SubscribeInvoices": (streams.subscribe_invoices, ln.InvoiceSubscription),
        "/invoicesrpc.Invoices/SubscribeSingleInvoice": (
            streams.subscribe_single_invoice,
            inv.SubscribeSingleInvoiceRequest,
        ),
    }
