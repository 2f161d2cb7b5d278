"""What streamer may do at lnd: the least a macaroon must allow, and how to bake it.

Each name is the full gRPC method, as `lncli bakemacaroon` takes it after "uri:". A root key id of
its own lets the operator revoke streamer alone (`lncli deletemacaroonid`).
"""

from __future__ import annotations

SEND = "/routerrpc.Router/SendPaymentV2"
TRACK = "/routerrpc.Router/TrackPaymentV2"
GET_INFO = "/lnrpc.Lightning/GetInfo"
LIST_CHANNELS = "/lnrpc.Lightning/ListChannels"
PENDING_CHANNELS = "/lnrpc.Lightning/PendingChannels"
GET_NODE_INFO = "/lnrpc.Lightning/GetNodeInfo"
LIST_PAYMENTS = "/lnrpc.Lightning/ListPayments"
ADD_INVOICE = "/lnrpc.Lightning/AddInvoice"
LOOKUP_INVOICE = "/lnrpc.Lightning/LookupInvoice"
LIST_INVOICES = "/lnrpc.Lightning/ListInvoices"
DECODE_PAY_REQ = "/lnrpc.Lightning/DecodePayReq"

NEEDED = (SEND, TRACK, GET_INFO, LIST_CHANNELS, PENDING_CHANNELS, GET_NODE_INFO, LIST_PAYMENTS)
"""Checked at each connection; without one of these nothing is sent."""

FOR_INVOICES = (ADD_INVOICE, LOOKUP_INVOICE, LIST_INVOICES, DECODE_PAY_REQ)
"""Asked for when an invoice is made, paid or checked; a macaroon without them streams all the
same.
"""

ROOT_KEY_ID = 1937011309
"""An example of a root key id that nothing else uses: the number of our record type."""


def bake_command(file: str = "streamer.macaroon") -> str:
    """The lncli command that bakes a macaroon with exactly these permissions."""
    uris = " ".join(f"uri:{method}" for method in NEEDED + FOR_INVOICES)
    return f"lncli bakemacaroon --save_to {file} --root_key_id {ROOT_KEY_ID} {uris}"
