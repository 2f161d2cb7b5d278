"""Chapter 4: who is let in, with which permissions."""

from __future__ import annotations

from streamer._proto.invoicesrpc import invoices_pb2 as inv
from streamer._proto.lnrpc import lightning_pb2 as ln
from streamer._proto.routerrpc import router_pb2 as router
from streamer._proto.verrpc import verrpc_pb2 as ver
from tests.contract.script.player import Player, hash_of

CALLS = (
    ("GetInfo", ln.GetInfoRequest()),
    ("ListChannels", ln.ListChannelsRequest(active_only=True)),
    ("ListPeers", ln.ListPeersRequest()),
    ("AddInvoice", ln.Invoice(value=-1)),
    ("LookupInvoice", ln.PaymentHash(r_hash=hash_of("never"))),
    ("TrackPaymentV2", router.TrackPaymentRequest(payment_hash=hash_of("never"))),
    ("SendPaymentV2", router.SendPaymentRequest()),
    ("CancelInvoice", inv.CancelInvoiceMsg()),
    ("BakeMacaroon", ln.BakeMacaroonRequest()),
    ("GetVersion", ver.VersionRequest()),
    ("WalletBalance", ln.WalletBalanceRequest()),
)
ALLOWED: dict[str, tuple[tuple[str, str], ...]] = {
    "info": (("info", "read"),),
    "invoices": (("invoices", "read"), ("invoices", "write")),
    "one call": (("uri", "/lnrpc.Lightning/GetInfo"),),
    "sending": (("offchain", "write"), ("uri", "/routerrpc.Router/TrackPaymentV2")),
}


def request(*permissions: tuple[str, str], root_key_id: int = 0) -> ln.BakeMacaroonRequest:
    pairs = [ln.MacaroonPermission(entity=entity, action=action) for entity, action in permissions]
    return ln.BakeMacaroonRequest(permissions=pairs, root_key_id=root_key_id)


async def baked(player: Player) -> None:
    for wrong in (
        (),
        (("nothing", "read"),),
        (("info", "eat"),),
        (("uri", "/lnrpc.Lightning/Nothing"),),
    ):
        await player.ask("alice", "BakeMacaroon", request(*wrong))
    for name, permissions in ALLOWED.items():
        reply = await player.ask("alice", "BakeMacaroon", request(*permissions, root_key_id=7))
        for method, message in CALLS:
            await player.ask(
                "alice", method, message, macaroon=reply.macaroon, note=f"allowed: {name}"
            )


async def strange(player: Player) -> None:
    good = player.places["alice"].macaroon
    for note, macaroon in (
        ("none", ""),
        ("no hex", "xyz"),
        ("garbage", b"garbage!".hex()),
        ("damaged", good[:-6] + ("00" if good[-6:-4] != "00" else "11") + good[-4:]),
        ("another node's", player.places["bob"].macaroon),
    ):
        await player.ask("alice", "GetInfo", ln.GetInfoRequest(), macaroon=macaroon, note=note)
