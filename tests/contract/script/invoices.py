"""Chapter 2: invoices made, read, looked up, listed, canceled, held and paid."""

from __future__ import annotations

from streamer._proto.invoicesrpc import invoices_pb2 as inv
from streamer._proto.lnrpc import lightning_pb2 as ln
from tests.contract.script.player import Player, hash_of, preimage

SEGWIT = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"
SCRIPT = "bcrt1qqqqsyqcyq5rqwzqfpg9scrgwpugpzysnzs23v9ccrydpk8qarc0scjhmyt"
TAPROOT = "bcrt1pqqqsyqcyq5rqwzqfpg9scrgwpugpzysnzs23v9ccrydpk8qarc0sj9hjuh"
PUBKEY_HASH, SCRIPT_HASH = (
    "mfWyW5fc9NUj75YAnFgoRLrjxgLDn2MMth",
    "2MsFFCK16VhsCcvPXruztdzzcTZEQCbNKjJ",
)


MAINNET = (
    "lnbc2500u1pvjluezpp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdq5xysxxatsyp3k7enxv4jsxqzpuaztrnwngzn3kdzw5hydl"
    "zf03qdgm2hdq27cqv3agm2awhz5se903vruatfhq77w3ls4evs3ch9zw97j25emudupq63nyw24cg27h2rspfj9srp"
)
GARBAGE = (
    "",
    "lnbcrt",
    "lnbcrt1",
    "lnbcrtgarbage",
    "LNbcrt1qqqqqqq",
    "lnbcrt1b",
    "lnbcrt1qqqqqqqqqqqqqq",
    MAINNET,
    "xx1qqqqqqqqqqqq",
)


async def none_yet(player: Player) -> None:
    unknown, short, strange = (
        ln.PaymentHash(r_hash=hash_of("none")),
        ln.PaymentHash(r_hash=b"short"),
        ln.PaymentHash(r_hash_str="zz"),
    )
    for request in (unknown, ln.PaymentHash(), short, strange):
        await player.ask("carol", "LookupInvoice", request)
    await player.ask("carol", "ListInvoices", ln.ListInvoiceRequest())
    await player.ask("carol", "CancelInvoice", inv.CancelInvoiceMsg(payment_hash=hash_of("none")))
    await player.ask("alice", "ListPayments", ln.ListPaymentsRequest(include_incomplete=True))


def wanted(player: Player) -> list[ln.Invoice]:
    node = player.pubkey("bob").hex()
    hint = ln.HopHint(
        node_id=node,
        chan_id=123_456_789,
        fee_base_msat=7,
        fee_proportional_millionths=8,
        cltv_expiry_delta=9,
    )
    return [
        ln.Invoice(memo="tea", value=5),
        ln.Invoice(value_msat=1_234),
        ln.Invoice(value_msat=1),
        ln.Invoice(value=100_000_000),
        ln.Invoice(value=5, value_msat=5_000),
        ln.Invoice(value=-5),
        ln.Invoice(value_msat=-1),
        ln.Invoice(value=10_000_001 * 100_000_000),
        ln.Invoice(expiry=-1),
        ln.Invoice(expiry=60),
        ln.Invoice(expiry=31_536_000),
        ln.Invoice(expiry=31_536_001),
        ln.Invoice(cltv_expiry=10),
        ln.Invoice(cltv_expiry=24),
        ln.Invoice(cltv_expiry=70_000),
        ln.Invoice(memo="ü" * 200),
        ln.Invoice(memo="x" * 640),
        ln.Invoice(memo="x" * 1_025),
        ln.Invoice(memo="kept", description_hash=b"d" * 32),
        ln.Invoice(description_hash=b"d" * 31),
        ln.Invoice(fallback_addr=SEGWIT),
        ln.Invoice(fallback_addr=SCRIPT),
        ln.Invoice(fallback_addr=TAPROOT),
        ln.Invoice(fallback_addr=PUBKEY_HASH),
        ln.Invoice(fallback_addr=SCRIPT_HASH),
        ln.Invoice(fallback_addr="garbage"),
        ln.Invoice(private=True),
        ln.Invoice(route_hints=[ln.RouteHint(hop_hints=[hint])]),
        ln.Invoice(route_hints=[ln.RouteHint()]),
        ln.Invoice(route_hints=[ln.RouteHint(hop_hints=[ln.HopHint(node_id="zz")])]),
        ln.Invoice(state=ln.Invoice.SETTLED, settled=True, add_index=77, creation_date=5),
    ]


async def made(player: Player) -> None:
    """Each is made, looked up by its maker and read by another."""
    for number, invoice in enumerate(wanted(player)):
        invoice.r_preimage = preimage(f"invoice {number}")
        reply = await player.ask("carol", "AddInvoice", invoice)
        if reply is not None:
            await player.ask("carol", "LookupInvoice", ln.PaymentHash(r_hash=reply.r_hash))
            await player.ask(
                "alice", "DecodePayReq", ln.PayReqString(pay_req=reply.payment_request)
            )
    await player.ask("carol", "AddInvoice", ln.Invoice(r_preimage=preimage("invoice 0")))
    await player.ask("carol", "AddInvoice", ln.Invoice(r_preimage=b"short"))
    hinted = await player.ask(
        "dave", "AddInvoice", ln.Invoice(value=7, private=True, r_preimage=preimage("hinted"))
    )
    await player.ask("alice", "DecodePayReq", ln.PayReqString(pay_req=hinted.payment_request))
    for lookup in (
        inv.LookupInvoiceMsg(payment_hash=hash_of("invoice 0")),
        inv.LookupInvoiceMsg(payment_hash=hash_of("none")),
        inv.LookupInvoiceMsg(payment_hash=b"short"),
        inv.LookupInvoiceMsg(),
    ):
        await player.ask("carol", "LookupInvoiceV2", lookup)
    await player.ask(
        "carol", "LookupInvoice", ln.PaymentHash(r_hash_str=hash_of("invoice 1").hex())
    )


async def read(player: Player) -> None:
    tea = await player.quietly(
        "carol", "LookupInvoice", ln.PaymentHash(r_hash=hash_of("invoice 0"))
    )
    text = tea.payment_request
    await player.ask("alice", "DecodePayReq", ln.PayReqString(pay_req=text.upper()))
    for wrong in GARBAGE:
        await player.ask("alice", "DecodePayReq", ln.PayReqString(pay_req=wrong))


async def listed(player: Player) -> None:
    for request in (
        ln.ListInvoiceRequest(pending_only=True, num_max_invoices=2),
        ln.ListInvoiceRequest(num_max_invoices=2),
        ln.ListInvoiceRequest(num_max_invoices=2, reversed=True),
        ln.ListInvoiceRequest(num_max_invoices=2, index_offset=3),
        ln.ListInvoiceRequest(num_max_invoices=2, index_offset=3, reversed=True),
        ln.ListInvoiceRequest(index_offset=300),
        ln.ListInvoiceRequest(index_offset=1, reversed=True),
        ln.ListInvoiceRequest(creation_date_start=10, creation_date_end=5),
        ln.ListInvoiceRequest(creation_date_start=10, creation_date_end=50),
    ):
        await player.ask("carol", "ListInvoices", request)


async def canceled(player: Player) -> None:
    bare = inv.CancelInvoiceMsg
    for message in (
        bare(payment_hash=hash_of("invoice 9")),
        bare(payment_hash=hash_of("invoice 9")),
        bare(payment_hash=b"short"),
        bare(),
    ):
        await player.ask("carol", "CancelInvoice", message)
    await player.ask("carol", "CancelInvoice", bare(payment_hash=hash_of("none")))
    found = await player.ask("carol", "LookupInvoice", ln.PaymentHash(r_hash=hash_of("invoice 9")))
    await player.ask(
        "alice",
        "SendPaymentV2",
        player.pay(found.payment_request, amt_msat=5_000),
        note="a canceled invoice",
    )
    await player.settled()


async def held(player: Player) -> None:
    events = await player.listen(
        "carol",
        "SubscribeSingleInvoice",
        inv.SubscribeSingleInvoiceRequest(r_hash=hash_of("held")),
        "held",
        3,
    )
    for name, end in (("held", "settle"), ("held back", "cancel")):
        order = inv.AddHoldInvoiceRequest(hash=hash_of(name), value=9, memo=name)
        hold = await player.ask("carol", "AddHoldInvoice", order)
        await player.ask(
            "carol",
            "SettleInvoice",
            inv.SettleInvoiceMsg(preimage=preimage(name)),
            note="still open",
        )
        paying = player.begin("alice", "SendPaymentV2", player.pay(hold.payment_request))
        await player.accepted("carol", name)
        await player.ask("carol", "LookupInvoice", ln.PaymentHash(r_hash=hash_of(name)))
        await player.ask(
            "alice", "SendPaymentV2", player.pay(hold.payment_request), note="in transition"
        )
        await player.ask(
            "alice", "DeletePayment", ln.DeletePaymentRequest(payment_hash=hash_of(name))
        )
        await player.ask("alice", "ListChannels", ln.ListChannelsRequest(), note=f"pending: {end}")
        if end == "settle":
            await player.ask(
                "carol", "SettleInvoice", inv.SettleInvoiceMsg(preimage=preimage(name))
            )
            await player.ask(
                "carol", "SettleInvoice", inv.SettleInvoiceMsg(preimage=preimage(name))
            )
        else:
            await player.ask(
                "carol", "CancelInvoice", inv.CancelInvoiceMsg(payment_hash=hash_of(name))
            )
            await player.ask(
                "carol", "SettleInvoice", inv.SettleInvoiceMsg(preimage=preimage(name))
            )
        await player.end(paying)
        await player.settled()
        await player.ask("carol", "LookupInvoice", ln.PaymentHash(r_hash=hash_of(name)))
    await player.ask("carol", "AddHoldInvoice", inv.AddHoldInvoiceRequest(hash=hash_of("held")))
    await player.ask("carol", "AddHoldInvoice", inv.AddHoldInvoiceRequest(hash=b"short"))
    await player.ask("carol", "SettleInvoice", inv.SettleInvoiceMsg(preimage=b"short"))
    await player.ask("carol", "SettleInvoice", inv.SettleInvoiceMsg(preimage=preimage("none")))
    await player.end(events)
