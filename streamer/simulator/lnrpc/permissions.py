"""Which permission each of lnd's calls needs, and what its standard macaroons hold.

As lnd lists them (rpcserver.go, MainRPCServerPermissions, and the servers of its sub-packages). A
macaroon may be baked for any of these calls, also for those that the simulator does not answer.
"""

from __future__ import annotations

Permission = tuple[str, str]
"""(entity, action): ("offchain", "write"), or ("uri", "/lnrpc.Lightning/GetInfo")."""

ENTITIES = (
    "onchain",
    "offchain",
    "address",
    "message",
    "peers",
    "info",
    "invoices",
    "signer",
    "macaroon",
    "uri",
)
ACTIONS = ("read", "write", "generate")

_READ = tuple((entity, "read") for entity in ENTITIES[:-1])
_WRITE = tuple((entity, "write") for entity in ENTITIES[:7])

ADMIN: tuple[Permission, ...] = (
    *_READ,
    *_WRITE,
    ("signer", "generate"),
    ("macaroon", "generate"),
    ("macaroon", "write"),
)
"""The permissions of lnd's admin.macaroon."""

STANDARD: dict[str, tuple[Permission, ...]] = {
    "admin": ADMIN,
    "readonly": _READ,
    "invoice": (
        ("invoices", "read"),
        ("invoices", "write"),
        ("address", "read"),
        ("address", "write"),
        ("onchain", "read"),
    ),
}
"""The macaroons that lnd writes at its first start: name → permissions."""

_CALLS: dict[str, dict[Permission, str]] = {
    "lnrpc.Lightning": {
        (
            "info",
            "read",
        ): (
            "GetInfo GetDebugInfo GetRecoveryInfo DescribeGraph GetNodeMetrics GetChanInfo"
            " GetNodeInfo QueryRoutes GetNetworkInfo SubscribeChannelGraph ListPermissions"
        ),
        ("info", "write"): "StopDaemon DebugLevel",
        ("peers", "read"): "ListPeers SubscribePeerEvents",
        ("peers", "write"): "ConnectPeer DisconnectPeer",
        ("address", "write"): "NewAddress",
        ("message", "read"): "VerifyMessage",
        ("message", "write"): "SignMessage",
        (
            "onchain",
            "read",
        ): "ListUnspent WalletBalance EstimateFee SubscribeTransactions GetTransactions",
        (
            "onchain",
            "write",
        ): (
            "SendCoins SendMany OpenChannel BatchOpenChannel OpenChannelSync CloseChannel"
            " ChannelAcceptor FundingStateStep"
        ),
        (
            "offchain",
            "read",
        ): (
            "ChannelBalance PendingChannels ListChannels SubscribeChannelEvents ClosedChannels"
            " ListPayments DecodePayReq FeeReport ForwardingHistory ExportChannelBackup"
            " VerifyChanBackup ExportAllChannelBackups SubscribeChannelBackups"
            " SubscribeCustomMessages SubscribeOnionMessages LookupHtlcResolution ListAliases"
        ),
        (
            "offchain",
            "write",
        ): (
            "AbandonChannel DeletePayment DeleteAllPayments UpdateChannelPolicy"
            " RestoreChannelBackups SendCustomMessage SendOnionMessage"
        ),
        ("invoices", "read"): "LookupInvoice ListInvoices SubscribeInvoices",
        ("invoices", "write"): "AddInvoice DeleteCanceledInvoice",
        ("macaroon", "generate"): "BakeMacaroon",
        ("macaroon", "read"): "ListMacaroonIDs CheckMacaroonPermissions",
        ("macaroon", "write"): "DeleteMacaroonID",
    },
    "routerrpc.Router": {
        (
            "offchain",
            "read",
        ): (
            "TrackPaymentV2 TrackPayments EstimateRouteFee QueryMissionControl"
            " GetMissionControlConfig QueryProbability BuildRoute SubscribeHtlcEvents"
        ),
        (
            "offchain",
            "write",
        ): (
            "SendPaymentV2 SendToRouteV2 XImportMissionControl SetMissionControlConfig"
            " ResetMissionControl HtlcInterceptor UpdateChanStatus XAddLocalChanAliases"
            " XDeleteLocalChanAliases DeleteForwardingHistory"
        ),
    },
    "invoicesrpc.Invoices": {
        ("invoices", "read"): "SubscribeSingleInvoice",
        (
            "invoices",
            "write",
        ): "CancelInvoice AddHoldInvoice SettleInvoice LookupInvoiceV2 HtlcModifier",
    },
    "verrpc.Versioner": {("info", "read"): "GetVersion"},
}

REQUIRED: dict[str, Permission] = {
    f"/{service}/{name}": permission
    for service, calls in _CALLS.items()
    for permission, names in calls.items()
    for name in names.split()
}
"""gRPC method → the permission that it needs."""
