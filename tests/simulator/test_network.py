"""The model by itself: money is conserved, fees are exact, limits are lnd's."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.simulator.network.channels import MAX_HTLCS, Policy
from streamer.simulator.network.faults import Faults
from streamer.simulator.network.network import BLOCK_NS, FIRST_HEIGHT, Network
from streamer.simulator.network.pace import Pace
from tests.simulator.simnet import COMMITMENT_MSAT, START_NS, Witness, hash_of, keysend, pair


def line(base_msat: int = 1_000, ppm: int = 1, *, hops: int = 2) -> Network:
    network = Network(7, start_ns=START_NS)
    nodes = [network.add_node(f"n{number}") for number in range(hops + 1)]
    for one, two in itertools.pairwise(nodes):
        network.open_channel(one, two, 1_000_000, policy=Policy(base_msat, ppm))
    return network


def total(network: Network) -> list[int]:
    return [
        sum(
            side.balance_msat + sum(htlc.amount_msat for htlc in side.htlcs.values())
            for side in channel.sides
        )
        for channel in network.channels.values()
    ]


def test_a_direct_keysend_settles_without_fee_and_moves_exactly_its_amount() -> None:
    net = pair()
    call = net.send(1, 1_234_567)
    assert call.states == ["IN_FLIGHT", "IN_FLIGHT"]
    net.run()
    assert call.states[-1] == "SUCCEEDED"
    assert (call.record.fee_msat, call.record.index) == (0, 1)
    ours, theirs = net.network.channels[next(iter(net.network.channels))].sides
    assert (ours.balance_msat, theirs.balance_msat) == (
        1_000_000_000 - COMMITMENT_MSAT - 1_234_567,
        1_234_567,
    )
    (received,) = net.bob.received
    assert (received.amount_msat, received.records[70_001], received.payment_hash) == (
        1_234_567,
        b"x",
        hash_of(1),
    )


def test_fees_are_summed_backwards_to_the_msat() -> None:
    network = line(base_msat=1_500, ppm=2_345, hops=3)
    call = Witness()
    network.submit(
        network.named["n0"],
        keysend(network.named["n3"].pubkey, 1, 7_777_777, fee_limit_msat=100_000),
        call,
    )
    network.advance(START_NS)
    # n2 forwards 7,777,777; n1 forwards that and n2's fee; the first hop charges nothing
    last = 1_500 + 7_777_777 * 2_345 // 1_000_000
    middle = 1_500 + (7_777_777 + last) * 2_345 // 1_000_000
    assert call.end == "SUCCEEDED"
    assert call.record.fee_msat == last + middle
    assert network.named["n3"].received[0].amount_msat == 7_777_777


def test_a_fee_limit_one_msat_too_low_is_no_route() -> None:
    for limit, end in ((1_000, "SUCCEEDED"), (999, "NO_ROUTE")):
        network = line(base_msat=1_000, ppm=0)
        call = Witness()
        network.submit(
            network.named["n0"],
            keysend(network.named["n2"].pubkey, 1, 5_000, fee_limit_msat=limit),
            call,
        )
        network.advance(START_NS)
        assert call.end == end


def test_a_cltv_limit_below_the_route_is_no_route() -> None:
    network = line()
    for number, limit, end in ((1, 160, "SUCCEEDED"), (2, 159, "NO_ROUTE")):
        call = Witness()
        network.submit(
            network.named["n0"],
            keysend(network.named["n2"].pubkey, number, 5_000, cltv_limit=limit),
            call,
        )
        network.advance(START_NS)
        assert call.end == end


def test_the_reserve_stays() -> None:
    net = pair(capacity_sat=1_000_000)
    whole = 990_000_000 - COMMITMENT_MSAT
    assert net.send(1, whole + 1).end == "INSUFFICIENT_BALANCE"
    call = net.send(2, whole)
    net.run()
    assert call.end == "SUCCEEDED"


def test_below_the_minimum_htlc_is_no_route() -> None:
    net = pair()
    assert [net.send(number, amount).end for number, amount in ((1, 999), (2, 1))] == [
        "NO_ROUTE",
        "NO_ROUTE",
    ]


def test_more_than_the_largest_channel_is_insufficient_though_the_sum_would_do() -> None:
    net = pair(channels=3, capacity_sat=1_000_000)
    assert net.send(1, 1_200_000_000).end == "INSUFFICIENT_BALANCE"


def test_all_slots_taken_looks_like_lack_of_money_and_passes() -> None:
    net = pair(pace=Pace((10**9, 10**9)))
    calls = [net.send(number) for number in range(MAX_HTLCS)]
    assert net.send(9_001).end == "INSUFFICIENT_BALANCE"
    net.run(1)
    assert {call.end for call in calls} == {"SUCCEEDED"}
    late = net.send(9_002)
    net.run(1)
    assert late.end == "SUCCEEDED"


def test_a_receiver_that_nobody_knows_is_no_route() -> None:
    net = pair()
    assert net.send(1, destination=b"\x02" + bytes(32)).end == "NO_ROUTE"


def test_pace_one_payment_in_three_seconds() -> None:
    net = pair(pace=Pace.per_second(1, seconds=3))
    calls = [net.send(number) for number in range(3)]
    ends = []
    while (moment := net.network.next_event_ns()) is not None:
        net.network.advance(moment)
        ends.append((net.network.now_ns - START_NS) // 10**9)
    assert ends == [3, 6, 9]
    assert {call.end for call in calls} == {"SUCCEEDED"}


def test_like_lnd_gives_the_measured_throughput() -> None:
    for workers, expected in ((1, 10), (10, 64), (50, 113), (100, 130), (250, 132)):
        net = pair(channels=10, capacity_sat=100_000_000, pace=Pace.like_lnd())
        number = 0
        for _ in range(workers):
            net.send(number := number + 1)
        while net.network.now_ns < START_NS + 30 * 10**9:
            moment = net.network.next_event_ns()
            assert moment is not None
            net.network.advance(moment)
            while net.alice.working < workers:
                net.send(number := number + 1)
        measured = len(net.bob.received) / 30
        assert abs(measured - expected) <= 0.08 * expected, (workers, measured)


def test_an_htlc_that_is_held_until_it_expires_costs_the_channel() -> None:
    net = pair(channels=2)
    net.faults.hold("bob")
    call = net.send(1)
    net.run()
    blocks = call.record.route[0].expiry_height - FIRST_HEIGHT
    assert blocks == 83
    net.network.advance(START_NS + blocks * BLOCK_NS + BLOCK_NS - 1)
    assert call.states[-1] == "IN_FLIGHT"
    net.network.advance(START_NS + (blocks + 1) * BLOCK_NS)
    assert call.end == "TIMEOUT"
    assert [channel.closing for channel in net.network.channels.values()].count(True) == 1


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    steps=st.lists(
        st.tuples(st.integers(0, 9), st.integers(0, 5), st.integers(1, 600_000_000)), max_size=60
    ),
)
def test_no_msat_is_ever_made_or_lost(seed: int, steps: list[tuple[int, int, int]]) -> None:
    network = line(hops=2)
    network.rng.seed(seed)
    faults = Faults(network, lambda: None)
    names = list(network.named)
    network.named["n0"].pace = Pace((0, 2 * 10**9))
    before = total(network)
    calls = []
    for number, (action, which, amount) in enumerate(steps):
        name = names[which % 3]
        if action == 0:
            faults.take_down(name, orphan_rate=0.5)
        elif action == 1:
            faults.bring_up(name)
        elif action == 2:
            faults.hold(name)
        elif action == 3:
            faults.release(name, settle=amount % 2 == 0)
        elif action == 4:
            faults.freeze(name)
        elif action == 5:
            faults.thaw(name)
        else:
            payer, receiver = network.named[name], network.named[names[(which + 1) % 3]]
            calls.append(Witness())
            network.submit(
                payer, keysend(receiver.pubkey, number, amount, fee_limit_msat=10**7), calls[-1]
            )
            network.advance(network.now_ns + amount % 10**9)
        assert total(network) == before
        assert all(
            side.balance_msat >= 0
            for channel in network.channels.values()
            for side in channel.sides
        )
    paid = sum(
        record.order.amount_msat
        for node in network.nodes.values()
        for record in node.payments.values()
        if record.preimage
    )
    assert paid == sum(
        htlc.amount_msat for node in network.nodes.values() for htlc in node.received
    )
    for node in network.nodes.values():
        assert node.working >= 0


def test_the_same_seed_gives_the_same_run() -> None:
    def run(seed: int) -> list[tuple[bytes, str, int]]:
        net = pair(pace=Pace((10**7, 10**9)), seed=seed)
        net.faults.fail_randomly("bob", 0.3)
        calls = [net.send(number) for number in range(50)]
        net.run(0.5)
        net.faults.restart("alice", orphan_rate=0.4)
        net.run(10)
        return [
            (call.record.order.payment_hash, call.record.status.name, call.record.ended_ns)
            for call in calls
        ]

    assert run(3) == run(3)
    assert run(3) != run(4)
