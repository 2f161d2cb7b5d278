"""What goes wrong on command goes wrong as it does on lnd."""

from __future__ import annotations

import pytest

from streamer.simulator.network.books import Failure, Status
from streamer.simulator.network.lightning_node import CallFate, Wallet
from streamer.simulator.network.pace import Pace
from tests.simulator.simnet import SECOND, Witness, hash_of, pair

SLOW = (SECOND, SECOND)


def test_a_second_send_is_refused_by_what_the_first_has_come_to() -> None:
    net = pair(pace=Pace(SLOW))
    net.send(1)
    again = net.send(1, 5_000)
    assert (again.refusal.code, again.refusal.text) == (
        "ALREADY_EXISTS",
        "payment is in transition",
    )
    net.run(1)
    again = net.send(1)
    assert (again.refusal.code, again.refusal.text) == ("ALREADY_EXISTS", "invoice is already paid")
    # each refused duplicate used up an index
    assert net.send(2).record.index == 4


def test_a_failed_hash_is_accepted_again_with_a_new_index() -> None:
    net = pair()
    assert net.send(1, 10**12).end == "INSUFFICIENT_BALANCE"
    call = net.send(1)
    net.run()
    assert (call.end, call.record.index) == ("SUCCEEDED", 2)
    assert [record.index for record in net.alice.payments.values()] == [2]


def test_a_deleted_payment_is_paid_again_and_the_receiver_settles_it_again() -> None:
    net = pair()
    net.send(1)
    net.run()
    net.faults.forget("alice")
    call = net.send(1)
    net.run()
    assert call.end == "SUCCEEDED"
    invoice = net.bob.invoices[hash_of(1)]
    assert (len(invoice.htlcs), invoice.paid_msat, invoice.value_msat) == (2, 2_000, 1_000)
    assert len({(htlc.channel_id, htlc.htlc_index) for htlc in net.bob.received}) == 2


def test_the_direct_peer_away_is_insufficient_balance_and_a_far_one_no_route() -> None:
    net = pair()
    carol = net.network.add_node("carol")
    net.network.open_channel(net.bob, carol, 1_000_000)
    net.faults.take_down("carol")
    far = Witness()
    order = net.send(0).record.order
    net.run()
    order.destination, order.payment_hash = carol.pubkey, hash_of(1)
    net.network.submit(net.alice, order, far)
    assert far.end == "NO_ROUTE"
    net.faults.take_down("bob")
    assert net.send(2).end == "INSUFFICIENT_BALANCE"
    net.faults.bring_up("bob")
    again = net.send(3)
    net.run()
    assert again.end == "SUCCEEDED"


def test_a_peer_that_goes_while_an_htlc_is_under_way_settles_it_when_it_is_back() -> None:
    net = pair(pace=Pace(SLOW))
    call = net.send(1)
    net.faults.offline_for("bob", 60 * SECOND)
    net.run(59)
    assert call.states[-1] == "IN_FLIGHT"
    assert len(net.bob.received) == 0
    net.run(1)
    assert (call.end, len(net.bob.received)) == ("SUCCEEDED", 1)


def test_keysend_off_and_a_wrong_preimage_are_incorrect_details_seen_first_on_an_update_in_flight(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    net = pair()
    net.faults.set_keysend("bob", accepted=False)
    call = net.send(1)
    seen: list[tuple[Status, Failure]] = []
    monkeypatch.setattr(
        call, "update", lambda payment: seen.append((payment.status, payment.failure))
    )
    net.run()
    wrong = Failure.INCORRECT_PAYMENT_DETAILS
    assert seen == [(Status.IN_FLIGHT, wrong), (Status.FAILED, wrong)]
    net.faults.set_keysend("bob", accepted=True)
    other = net.send(2, payment_hash=hash_of(3))
    net.run()
    assert other.end == "INCORRECT_PAYMENT_DETAILS"
    assert net.bob.received == []


def test_held_htlcs_keep_their_slot_until_they_settle_or_fail() -> None:
    net = pair()
    net.faults.hold("bob")
    first = net.send(1)
    net.run(3600)
    (side, _) = net.network.channels[next(iter(net.network.channels))].sides
    assert [htlc.payment_hash for htlc in side.htlcs.values()] == [hash_of(1)]
    assert net.alice.working == 0
    net.faults.release("bob", settle=True)
    net.faults.hold("bob")
    second = net.send(2)
    net.run()
    net.faults.release("bob", settle=False)
    assert (first.end, second.end, side.htlcs) == ("SUCCEEDED", "INCORRECT_PAYMENT_DETAILS", {})


def test_a_restart_orphans_a_share_for_ever_and_the_rest_resolves() -> None:
    net = pair(pace=Pace(SLOW))
    for number in range(100):
        net.send(number)
    net.faults.restart("alice", orphan_rate=0.33)
    assert not net.alice.listening
    net.run(1.2)
    assert (net.alice.listening, net.alice.wallet) == (True, Wallet.UNLOCKED)
    refused = net.send(200)
    assert (
        refused.refusal.text
        == "the RPC server is in the process of starting up, but not yet ready to accept calls"
        and refused.refusal.code == "UNKNOWN"
    )
    net.run(1_000_000)
    records = list(net.alice.payments.values())
    orphans = [record for record in records if record.status is Status.IN_FLIGHT]
    assert 15 <= len(orphans) <= 50
    assert all(record.orphan for record in orphans)
    assert len(net.bob.received) == 100 - len(orphans)
    (side, _) = net.network.channels[next(iter(net.network.channels))].sides
    assert side.htlcs == {}
    assert (
        net.send(
            min(range(100), key=lambda n: hash_of(n) != orphans[0].order.payment_hash)
        ).refusal.code
        == "ALREADY_EXISTS"
    )


def test_an_orphan_ends_only_when_its_channel_is_closed_and_the_node_starts_again() -> None:
    net = pair(pace=Pace(SLOW))
    net.send(1)
    net.faults.restart("alice", orphan_rate=1.0)
    net.run(100)
    record = net.alice.payments[hash_of(1)]
    net.faults.restart("alice")
    net.run(100)
    net.faults.close_channels("alice", "bob")
    net.run(100)
    assert (record.status, record.orphan) == (Status.IN_FLIGHT, True)
    net.faults.restart("alice")
    net.run(100)
    assert (record.status, record.orphan, net.bob.received) == (Status.FAILED, False, [])


def test_restarting_the_receiver_leaves_no_orphan() -> None:
    net = pair(pace=Pace(SLOW))
    calls = [net.send(number) for number in range(50)]
    net.faults.restart("bob", orphan_rate=1.0)
    net.run(10)
    assert {call.end for call in calls} == {"SUCCEEDED"}


def test_a_lost_call_is_executed_never_at_once_or_late() -> None:
    net = pair()
    net.faults.lose_calls("alice", 1, CallFate.NEVER)
    assert net.send(1).was_cut
    net.faults.lose_calls("alice", 1, CallFate.ACCEPTED)
    assert net.send(2).was_cut
    net.faults.lose_calls("alice", 1, CallFate.LATE, 20 * SECOND)
    assert net.send(3).was_cut
    net.run()
    assert list(net.alice.payments) == [hash_of(2)]
    net.run(19)
    assert hash_of(3) not in net.alice.payments
    net.run(1)
    assert net.alice.payments[hash_of(3)].status is Status.SUCCEEDED
    call = net.send(4)
    net.run()
    assert call.end == "SUCCEEDED"


def test_every_late_call_is_late_once_however_many_are_to_be_late() -> None:
    net = pair()
    net.faults.lose_calls("alice", 10, CallFate.LATE, 5 * SECOND)
    net.send(1)
    net.run(5)
    assert net.alice.payments[hash_of(1)].status is Status.SUCCEEDED
    fault = net.alice.call_fault
    assert fault is not None and fault.count == 9


def test_a_ghost_pays_after_its_hash_had_failed() -> None:
    net = pair()
    net.faults.lose_calls("alice", 1, CallFate.LATE, 60 * SECOND)
    net.send(1)
    net.faults.take_down("bob")
    assert net.send(1).end == "INSUFFICIENT_BALANCE"
    net.faults.bring_up("bob")
    net.run(60)
    assert net.alice.payments[hash_of(1)].status is Status.SUCCEEDED


def test_what_a_frozen_node_was_sent_is_executed_on_the_thaw() -> None:
    net = pair()
    net.faults.freeze("alice")
    call = net.send(1)
    net.run(100)
    assert (call.states, list(net.alice.payments)) == ([], [])
    net.faults.thaw("alice")
    net.run()
    assert call.end == "SUCCEEDED"


def test_random_failures_come_in_their_share_and_with_their_reasons() -> None:
    net = pair()
    net.faults.fail_randomly("alice", 0.25, Failure.TIMEOUT, Failure.NO_ROUTE)
    ends = []
    for number in range(400):
        call = net.send(number)
        net.run()
        ends.append(call.end)
    assert {"SUCCEEDED", "TIMEOUT", "NO_ROUTE"} == set(ends)
    assert 60 <= 400 - ends.count("SUCCEEDED") <= 140
    net.faults.fail_randomly("alice", 0)
    call = net.send(999)
    net.run()
    assert call.end == "SUCCEEDED"


def test_refusals_credentials_and_wallets_have_their_texts() -> None:
    net = pair()
    net.faults.refuse("alice", "no such luck")
    assert net.send(1).refusal.text == "no such luck"
    net.faults.refuse("alice", "")
    net.faults.reject_credentials("alice")
    assert net.send(1).refusal.text.startswith("verification failed")
    net.faults.reject_credentials("alice", "")
    net.faults.set_wallet("alice", Wallet.LOCKED)
    assert net.send(1).refusal.text == "wallet locked, unlock it to enable full RPC access"
    net.faults.set_wallet("alice", Wallet.SERVER_ACTIVE)
    call = net.send(1)
    net.run()
    assert call.end == "SUCCEEDED"


def test_a_restored_database_knows_nothing_later_and_hands_indexes_out_again() -> None:
    net = pair()
    net.send(1)
    net.run()
    old = net.faults.history("alice")
    net.send(2)
    net.run()
    net.faults.restore("alice", old)
    again = net.send(2)
    net.run()
    assert (again.end, again.record.index) == ("SUCCEEDED", 2)
    assert len(net.bob.invoices[hash_of(2)].htlcs) == 2


def test_disabled_and_closing_channels_carry_nothing() -> None:
    net = pair(channels=2)
    net.faults.disable_channels("alice", "bob")
    assert net.send(1).end == "INSUFFICIENT_BALANCE"
    net.faults.disable_channels("alice", "bob", disabled=False)
    call = net.send(2)
    net.run()
    assert call.end == "SUCCEEDED"
    net.faults.close_channels("alice", "bob")
    assert net.send(3).end == "INSUFFICIENT_BALANCE"
