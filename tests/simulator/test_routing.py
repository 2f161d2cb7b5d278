"""A payer that knows only its own balances: it tries, learns, and tries again after a minute."""

from __future__ import annotations

import pytest

from streamer.simulator.encoding.bolt11 import HopHint
from streamer.simulator.network.experience import PENALTY_NS
from streamer.simulator.network.network import Network
from streamer.simulator.network.routing import find_route
from tests.simulator.simnet import SECOND, START_NS, Witness, keysend

BIG, SMALL = 600_000_000, 1_000_000


def line(*, private: bool = False) -> Network:
    """n0 – n1 – n2; of the second channel n1 has 500,000 sat less what it costs."""
    network = Network(1, start_ns=START_NS)
    first, hub, last = (network.add_node(f"n{number}") for number in range(3))
    network.open_channel(first, hub, 1_000_000)
    network.open_channel(hub, last, 1_000_000, 500_000, private=private)
    return network


def pay(network: Network, number: int, amount_msat: int, **changes: object) -> Witness:
    call, order = (
        Witness(),
        keysend(network.named["n2"].pubkey, number, amount_msat, fee_limit_msat=10_000_000),
    )
    for name, value in changes.items():
        setattr(order, name, value)
    network.submit(network.named["n0"], order, call)
    network.advance(network.now_ns)
    return call


def test_a_blocked_channel_is_learned_and_tried_again_after_a_minute() -> None:
    network = line()
    payer = network.named["n0"]
    assert (pay(network, 1, BIG).end, payer.attempts) == ("NO_ROUTE", 1)
    # as much is not tried again, less is, and goes through
    assert (pay(network, 2, BIG).end, payer.attempts) == ("NO_ROUTE", 1)
    assert (pay(network, 3, SMALL).end, payer.attempts) == ("SUCCEEDED", 2)
    network.advance(network.now_ns + PENALTY_NS - SECOND)
    assert (pay(network, 4, BIG).end, payer.attempts) == ("NO_ROUTE", 2)
    network.advance(network.now_ns + 2 * SECOND)
    assert (pay(network, 5, BIG).end, payer.attempts) == ("NO_ROUTE", 3)


def test_what_was_tried_says_how_likely_a_route_is() -> None:
    network = line()
    payer, last = network.named["n0"], network.named["n2"]

    def likely(amount_msat: int) -> float:
        order = keysend(last.pubkey, 0, amount_msat, fee_limit_msat=10_000_000)
        route = find_route(payer, last, order, network.height, network.now_ns, experienced=False)
        assert isinstance(route, list)
        return payer.experience.probability(route, network.now_ns)

    assert likely(SMALL) == pytest.approx(0.95 * 0.6)
    pay(network, 1, BIG)
    pay(network, 2, SMALL)
    assert [likely(amount) for amount in (SMALL, SMALL + 1, BIG)] == pytest.approx(
        [0.95 * 0.95, 0.95 * 0.6, 0.0]
    )
    network.advance(network.now_ns + 3_600 * SECOND)
    assert likely(BIG) == pytest.approx(0.95 * 0.6 / 2)


def test_a_blocked_attempt_costs_nothing_and_a_way_around_is_taken() -> None:
    network = line()
    first, _, last = network.named.values()
    around = network.add_node("around")
    network.open_channel(first, around, 1_000_000)
    network.open_channel(around, last, 1_000_000)
    # the way over n1 is the cheaper one, and is tried first
    for side in network.channels[list(network.channels)[3]].sides:
        side.policy = type(side.policy)(base_msat=2_000)
    call = pay(network, 1, BIG)
    assert call.end == "SUCCEEDED"
    assert (first.attempts, call.record.fee_msat) == (2, 2_600)
    assert call.record.failed == []
    blocked = network.channels[next(iter(network.channels))]
    assert not blocked.sides[0].htlcs
    assert blocked.sides[1].balance_msat == 0


def test_a_private_channel_needs_a_hint() -> None:
    network = line(private=True)
    hub, channel = network.named["n1"], list(network.channels)[1]
    assert pay(network, 1, SMALL).end == "NO_ROUTE"
    hint = HopHint(hub.pubkey, channel, 5_000, 0, 40)
    call = pay(network, 2, SMALL, hints=((hint,),))
    assert call.end == "SUCCEEDED"
    assert call.record.fee_msat == 5_000


def test_only_the_channels_and_the_last_hop_that_are_asked_for() -> None:
    network = line()
    hub, last = network.named["n1"], network.named["n2"]
    (own,) = network.named["n0"].sides
    assert (
        pay(network, 1, SMALL, outgoing_channels=frozenset({12_345})).end == "INSUFFICIENT_BALANCE"
    )
    assert pay(network, 2, SMALL, outgoing_channels=frozenset({own.channel.id})).end == "SUCCEEDED"
    assert pay(network, 3, SMALL, last_hop=hub.pubkey).end == "SUCCEEDED"
    assert pay(network, 4, SMALL, last_hop=last.pubkey).end == "NO_ROUTE"
