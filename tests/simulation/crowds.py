"""Crowds: a dozen receivers that hold at once, keys whose budget is too small for their many
streams, rates that change in bursts.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from streamer.service.keys import KeyOrder
from streamer.service.orders import StreamOrder
from streamer.words.model import ADMIN, ENDED, ApiKey, BudgetTerms, Stream
from streamer.words.money import SECOND_NS
from tests.simulation.callers import SCOPES

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.chaos import Chaos
    from tests.simulation.troubled import Troubled

MINUTE_NS = 60 * SECOND_NS
CROWD = 14
GOOD = 7
HUBS = {
    "hub": [f"crowd{number}" for number in range(CROWD)],
    "good hub": [f"good{number}" for number in range(GOOD)],
}
"""Behind a hub of their own: those who may hold, and those who never misbehave, nor anything on the
way to them.
"""
CHANNEL_MSAT = 100_000_000
CROWDS_AT_MOST = 1
SHORT_KEYS_AT_MOST = 2
RATES = (3, 10, 80)
"""In a burst; the last is more than the segments that a stream keeps."""
OPEN_AT_MOST = 3
"""max_open_payments of a crowd's streams: 2 to 4 in one of three, else 1."""


def settle_crowds(world: Troubled) -> None:
    """Open the hubs, their receivers, and a channel from each payer to each hub."""
    network = world.network
    for name, receivers in HUBS.items():
        hub = network.add_node(name)
        for payer in world.payers:
            network.open_channel(network.named[payer], hub, CHANNEL_MSAT)
        for receiver in receivers:
            network.open_channel(hub, network.add_node(receiver), CHANNEL_MSAT)


async def new_key(chaos: Chaos, name: str, budget: BudgetTerms | None = None) -> ApiKey:
    """A key of its own."""
    return (await chaos.world.service.keys.create(KeyOrder(name, SCOPES, budget)))[0].key


async def open_one(chaos: Chaos, caller: ApiKey, receiver: str, order: StreamOrder) -> str:
    """A stream of caller to receiver, at the terms of order; its id."""
    destination = chaos.world.network.named[receiver].pubkey
    order = replace(order, destination=destination, node=order.node or chaos.payer())
    report = await chaos.world.service.streams.create(
        caller, order, f"request {chaos.rng.randrange(1 << 60)}", validate_only=False
    )
    return report.stream.id


def crowd_order(chaos: Chaos, seconds: int, lasts_ns: int) -> StreamOrder:
    """Terms of a stream of a crowd, that ends by itself."""
    rng = chaos.rng
    return StreamOrder(
        destination=b"",
        amount_msat=rng.randint(1_000, 5_000) * seconds,
        interval_ns=seconds * SECOND_NS,
        end_time_ns=chaos.world.now_ns() + lasts_ns,
        catch_up_ns=rng.choice((0, 5 * MINUTE_NS)),
        max_open_payments=rng.choice((1, 1, rng.randint(2, 1 + OPEN_AT_MOST))),
    )


# -- what people do -----------------------------------------------------------------------------


async def open_crowd(chaos: Chaos) -> None:
    """Somebody opens a stream to each of a dozen receivers that may not have been paid before."""
    if chaos.crowds >= CROWDS_AT_MOST:
        return
    chaos.crowds += 1
    caller = ADMIN if chaos.rng.random() < 0.3 else await new_key(chaos, "of a crowd")
    seconds, lasts_ns = (
        max(60, *chaos.tempo.interval_seconds),
        chaos.rng.randint(10, 120) * MINUTE_NS,
    )
    for receiver in HUBS["hub"]:
        await open_one(chaos, caller, receiver, crowd_order(chaos, seconds, lasts_ns))


async def open_short(chaos: Chaos) -> None:
    """Somebody opens more streams of one key than its budget of a few minutes can pay."""
    rng = chaos.rng
    if chaos.short_keys >= SHORT_KEYS_AT_MOST:
        return
    chaos.short_keys += 1
    streams, period_minutes = rng.randint(2, 6), rng.choice((1, 5, 10))
    caller = await new_key(
        chaos,
        "short",
        BudgetTerms(rng.randint(5_000, 20_000) * streams, period_minutes * MINUTE_NS),
    )
    for _ in range(streams):
        receiver = rng.choice(HUBS["hub"] + HUBS["good hub"])
        await open_one(
            chaos,
            caller,
            receiver,
            crowd_order(chaos, period_minutes * 15, rng.randint(20, 90) * MINUTE_NS),
        )


async def burst_of_rates(chaos: Chaos) -> None:
    """A program that has gone mad."""
    running = [stream for stream in chaos.world.streams if stream.state not in ENDED]
    await set_rates(chaos, chaos.rng.choice(running or chaos.world.streams))


async def set_rates(chaos: Chaos, stream: Stream) -> None:
    """One rate after the other."""
    seconds = max(stream.terms.rate.interval_ns, SECOND_NS) // SECOND_NS
    for _ in range(chaos.rng.choice(RATES)):
        amount = chaos.rng.randint(1_000, 5_000) * seconds
        await chaos.world.service.streams.update(
            ADMIN,
            stream.id,
            StreamOrder(destination=b"", amount_msat=amount, interval_ns=0),
            frozenset({"amount_msat"}),
        )


# -- what receivers do --------------------------------------------------------------------------


def hold_many(chaos: Chaos) -> tuple[int, Callable[[], None]]:
    """A dozen begin to hold at once, whether they have settled before or not; later each lets go in
    its own way.
    """
    names = chaos.rng.sample(HUBS["hub"], chaos.rng.randint(CROWD - 4, CROWD))
    for name in names:
        chaos.world.faults.hold(name)
    return chaos.rng.randint(SECOND_NS, 60 * MINUTE_NS), lambda: let_go(chaos, names)


def let_go(chaos: Chaos, names: list[str]) -> None:
    """They hold no more: what each held is settled, or fails."""
    for name in names:
        chaos.world.faults.release(name, settle=chaos.rng.random() < 0.5)
