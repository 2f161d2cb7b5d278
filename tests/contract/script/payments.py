"""Chapter 3: keysends and paid invoices, and everything that is asked about them afterwards."""

from __future__ import annotations

from streamer._proto.invoicesrpc import invoices_pb2 as inv
from streamer._proto.lnrpc import lightning_pb2 as ln
from streamer._proto.routerrpc import router_pb2 as router
from streamer.simulator.network.books import KEYSEND_RECORD
from tests.contract.script.nodes_and_graph import STRANGER
from tests.contract.script.player import Player, hash_of, preimage


async def keysends(player: Player) -> None:
    events = await player.listen(
        "bob", "SubscribeInvoices", ln.InvoiceSubscription(), "events of two keysends", 4
    )
    every = await player.listen(
        "alice", "TrackPayments", router.TrackPaymentsRequest(), "updates of two keysends", 6
    )
    for name in ("one", "two"):
        await player.ask("alice", "SendPaymentV2", player.keysend(name, "bob"))
    await player.end(events)
    await player.end(every)
    await player.settled()
    await player.ask("bob", "LookupInvoice", ln.PaymentHash(r_hash=hash_of("one")))
    await player.ask("bob", "CancelInvoice", inv.CancelInvoiceMsg(payment_hash=hash_of("one")))
    for amount in (5_000, 7_000):
        await player.ask(
            "alice", "SendPaymentV2", player.keysend("one", "bob", amount), note="again"
        )
    await player.ask(
        "alice", "SendPaymentV2", player.keysend("quiet", "bob", no_inflight_updates=True)
    )
    await player.ask("alice", "SendPaymentV2", player.keysend("far", "carol", 1_234_567))
    await player.settled()
    await player.ask("carol", "LookupInvoice", ln.PaymentHash(r_hash=hash_of("far")))
    sat = player.keysend("sat", "bob", 0, amt=3, fee_limit_msat=0, fee_limit_sat=1)
    await player.ask("alice", "SendPaymentV2", sat)
    await player.settled()


async def refused(player: Player) -> None:
    own, record = player.pubkey("alice"), {KEYSEND_RECORD: preimage("no")}
    for note, changes in (
        ("no amount", {"amt_msat": 0}),
        ("negative", {"amt_msat": -1}),
        ("both amounts", {"amt": 1}),
        ("both limits", {"fee_limit_sat": 1}),
        ("negative limit", {"fee_limit_msat": -1}),
        ("short destination", {"dest": b"\x02\x03"}),
        ("no destination", {"dest": b""}),
        ("itself", {"dest": own}),
        ("short hash", {"payment_hash": b"short"}),
        ("low record", {"dest_custom_records": {1_000: b"x", **record}}),
        ("cltv limit too high", {"cltv_limit": 5_000}),
        ("cltv limit too low", {"cltv_limit": 83}),
        ("time preference", {"time_pref": 2.0}),
        ("short last hop", {"last_hop_pubkey": b"x"}),
        ("invoice and destination", {"payment_request": "x"}),
        ("shards", {"max_shard_size_msat": 1_000}),
    ):
        await player.ask(
            "alice", "SendPaymentV2", player.keysend("no", "bob", **changes), note=note
        )


async def failed(player: Player) -> None:
    for note, request in (
        ("too small", player.keysend("small", "bob", 999)),
        ("nobody", player.keysend("nobody", "bob", dest=STRANGER)),
        ("private", player.keysend("private", "dave")),
        ("too much", player.keysend("much", "bob", 60_000_000_000)),
        ("only free routes", player.keysend("free", "carol", fee_limit_msat=0)),
        ("fee limit one too low", player.keysend("low", "carol", 1_000_000, fee_limit_msat=1_000)),
        ("wrong hash", player.keysend("wrong", "bob", payment_hash=hash_of("other"))),
        ("no record", player.keysend("bare", "bob", dest_custom_records={})),
        ("cltv limit for one hop", player.keysend("cltv", "carol", cltv_limit=84)),
    ):
        await player.ask("alice", "SendPaymentV2", request, note=note)
        await player.settled()
    await player.ask("bob", "SendPaymentV2", player.keysend("deaf", "dave"), note="keysend is off")
    await player.ask(
        "alice",
        "TrackPaymentV2",
        router.TrackPaymentRequest(payment_hash=hash_of("other")),
        note="failed",
    )
    await player.ask(
        "alice", "SendPaymentV2", player.keysend("much", "bob"), note="a failed hash again"
    )
    await player.settled()
    await player.ask(
        "alice",
        "SendPaymentV2",
        player.keysend("exact", "carol", 1_000_000, fee_limit_msat=1_001),
        note="exact fee limit",
    )
    await player.settled()


async def learned(player: Player) -> None:
    """bob has not enough for carol: alice finds out by trying, and does not try so much again at
    once.
    """
    for name, amount in (
        ("blocked", 9_500_000_000),
        ("blocked again", 9_500_000_000),
        ("less", 1_000_000),
    ):
        request = player.keysend(name, "carol", amount, fee_limit_msat=100_000_000)
        await player.ask("alice", "SendPaymentV2", request, note=name)
        await player.settled()
    await player.ask(
        "alice", "TrackPaymentV2", router.TrackPaymentRequest(payment_hash=hash_of("blocked"))
    )


async def tracked(player: Player) -> None:
    for name in ("one", "far", "nobody", "never"):
        await player.ask(
            "alice", "TrackPaymentV2", router.TrackPaymentRequest(payment_hash=hash_of(name))
        )
    await player.ask("alice", "TrackPaymentV2", router.TrackPaymentRequest(payment_hash=b"short"))


async def invoices_paid(player: Player) -> None:
    tea = await player.quietly(
        "carol", "LookupInvoice", ln.PaymentHash(r_hash=hash_of("invoice 0"))
    )
    await player.ask(
        "alice",
        "SendPaymentV2",
        player.pay(tea.payment_request, amt_msat=5_000),
        note="amount on a fixed one",
    )
    await player.ask("alice", "SendPaymentV2", player.pay(tea.payment_request))
    await player.settled()
    await player.ask("alice", "SendPaymentV2", player.pay(tea.payment_request), note="again")
    await player.ask("carol", "LookupInvoice", ln.PaymentHash(r_hash=hash_of("invoice 0")))
    free = await player.quietly("carol", "AddInvoice", ln.Invoice(r_preimage=preimage("any")))
    await player.ask("alice", "SendPaymentV2", player.pay(free.payment_request), note="no amount")
    await player.ask("alice", "SendPaymentV2", player.pay(free.payment_request, amt_msat=7_777))
    await player.settled()
    hinted = await player.quietly("dave", "LookupInvoice", ln.PaymentHash(r_hash=hash_of("hinted")))
    await player.ask(
        "alice",
        "SendPaymentV2",
        player.pay(hinted.payment_request),
        note="through a private channel",
    )
    await player.settled()
    both = router.RouteFeeRequest(
        payment_request=tea.payment_request, dest=player.pubkey("bob"), amt_sat=1
    )
    await player.ask("alice", "EstimateRouteFee", both)
    fixed = await player.quietly(
        "carol", "AddInvoice", ln.Invoice(value=5, r_preimage=preimage("by hash"))
    )
    by_hash = {"dest_custom_records": None, "payment_hash": hash_of("by hash")}
    right, wrong_address = fixed.payment_addr, b"a" * 32
    for note, amount, address in (
        ("underpaid", 4_000, right),
        ("wrong address", 5_000, wrong_address),
        ("overpaid", 50_000, right),
    ):
        request = player.keysend("by hash", "carol", amount, payment_addr=address, **by_hash)
        await player.ask("alice", "SendPaymentV2", request, note=note)
        await player.settled()
    for wrong in ("lnbcrtgarbage", "lnbc1"):
        await player.ask("alice", "SendPaymentV2", player.pay(wrong))


async def listed(player: Player) -> None:
    for request in (
        ln.ListPaymentsRequest(),
        ln.ListPaymentsRequest(include_incomplete=True, count_total_payments=True),
        ln.ListPaymentsRequest(include_incomplete=True, max_payments=2),
        ln.ListPaymentsRequest(include_incomplete=True, max_payments=2, reversed=True),
        ln.ListPaymentsRequest(include_incomplete=True, max_payments=2, index_offset=4),
        ln.ListPaymentsRequest(
            include_incomplete=True, max_payments=2, index_offset=4, reversed=True
        ),
        ln.ListPaymentsRequest(include_incomplete=True, index_offset=4_000),
        ln.ListPaymentsRequest(max_payments=1, omit_hops=True),
        ln.ListPaymentsRequest(creation_date_start=10, creation_date_end=5),
    ):
        await player.ask("alice", "ListPayments", request)
    for name in ("alice", "bob", "carol"):
        await player.ask(name, "ListChannels", ln.ListChannelsRequest(), note="after all payments")
        await player.ask(
            name, "ChannelBalance", ln.ChannelBalanceRequest(), note="after all payments"
        )


async def deleted(player: Player) -> None:
    for request in (
        ln.DeletePaymentRequest(payment_hash=hash_of("one"), failed_htlcs_only=True),
        ln.DeletePaymentRequest(payment_hash=hash_of("one")),
        ln.DeletePaymentRequest(payment_hash=hash_of("one")),
        ln.DeletePaymentRequest(payment_hash=b"short"),
    ):
        await player.ask("alice", "DeletePayment", request)
    await player.ask(
        "alice", "SendPaymentV2", player.keysend("one", "bob"), note="a deleted payment again"
    )
    await player.settled()
    await player.ask(
        "bob", "LookupInvoice", ln.PaymentHash(r_hash=hash_of("one")), note="paid twice"
    )
    every = ln.DeleteAllPaymentsRequest
    for bare in (
        every(),
        every(all_payments=True, failed_payments_only=True),
        every(failed_payments_only=True),
        every(all_payments=True),
    ):
        await player.ask("alice", "DeleteAllPayments", bare)
    await player.ask("alice", "ListPayments", ln.ListPaymentsRequest(include_incomplete=True))
