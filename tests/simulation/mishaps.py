"""What may happen to a world: each mishap is one choice of the seed, and says how long it lasts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from streamer.core import lifecycle
from streamer.errors import FailedPrecondition
from streamer.model import BudgetTerms, Rate, Stream
from streamer.money import SECOND_NS
from streamer.simulator.books import Failure
from streamer.simulator.lightning_node import CallFate

if TYPE_CHECKING:
    from tests.simulation.chaos import Chaos

MINUTE_NS = 60 * SECOND_NS
HOUR_NS = 60 * MINUTE_NS
GHOST_AT_MOST_NS = 100 * SECOND_NS
"""A ghost must be executed within ghost_after (2 min): that is what the operator promises."""

End = tuple[int, Callable[[], None]]
"""(after so many ns, what ends the mishap)."""


def lose_calls(chaos: Chaos) -> None:
    fate = chaos.rng.choice(list(CallFate))
    chaos.world.faults.lose_calls("payer", chaos.rng.randint(1, 5), fate, chaos.rng.randint(SECOND_NS, GHOST_AT_MOST_NS))


def restart(chaos: Chaos) -> None:
    chaos.world.faults.restart("payer", chaos.rng.choice((0.0, 0.33, 1.0)))


def restart_receiver(chaos: Chaos) -> None:
    chaos.world.faults.restart(chaos.receiver(), 0.0)


def offline(chaos: Chaos) -> None:
    chaos.world.faults.offline_for(chaos.rng.choice(("payer", chaos.receiver())), chaos.rng.randint(SECOND_NS, HOUR_NS))


def freeze(chaos: Chaos) -> End:
    name = chaos.rng.choice(("payer", chaos.receiver()))
    chaos.world.faults.freeze(name)
    return chaos.rng.randint(SECOND_NS, 10 * MINUTE_NS), lambda: chaos.world.faults.thaw(name)


def cut(chaos: Chaos) -> None:
    chaos.world.faults.cut_connections("payer")


def refuse(chaos: Chaos) -> End:
    chaos.world.faults.refuse("payer", "no custom records with types below 65536 allowed")
    return chaos.rng.randint(SECOND_NS, MINUTE_NS), lambda: chaos.world.faults.refuse("payer", "")


def reject(chaos: Chaos) -> End:
    chaos.world.faults.reject_credentials("payer")
    return chaos.rng.randint(SECOND_NS, 5 * MINUTE_NS), lambda: chaos.world.faults.reject_credentials("payer", "")


def hold(chaos: Chaos) -> End:
    name, settle = chaos.receiver(), chaos.rng.random() < 0.5
    chaos.world.faults.hold(name)
    return chaos.rng.randint(SECOND_NS, HOUR_NS), lambda: chaos.world.faults.release(name, settle=settle)


def no_keysend(chaos: Chaos) -> End:
    name = chaos.receiver()
    chaos.world.faults.set_keysend(name, accepted=False)
    return chaos.rng.randint(SECOND_NS, HOUR_NS), lambda: chaos.world.faults.set_keysend(name, accepted=True)


def fail_randomly(chaos: Chaos) -> End:
    kinds = (Failure.TIMEOUT, Failure.ERROR, Failure.NO_ROUTE, Failure.INSUFFICIENT_BALANCE, Failure.INCORRECT_PAYMENT_DETAILS)
    chaos.world.faults.fail_randomly("payer", chaos.rng.random(), *chaos.rng.sample(kinds, chaos.rng.randint(1, 3)))
    return chaos.rng.randint(SECOND_NS, HOUR_NS), lambda: chaos.world.faults.fail_randomly("payer", 0.0)


def disable(chaos: Chaos) -> End:
    name = chaos.receiver()
    chaos.world.faults.disable_channels("payer", name)
    return chaos.rng.randint(SECOND_NS, HOUR_NS), lambda: chaos.world.faults.disable_channels("payer", name, disabled=False)


def close_channels(chaos: Chaos) -> End:
    """The channels go, in the end for good, and the operator opens another one."""
    name = chaos.receiver()
    chaos.world.faults.close_channels("payer", name)
    return chaos.rng.randint(SECOND_NS, HOUR_NS), lambda: closed(chaos, name)


def closed(chaos: Chaos, name: str) -> None:
    """What was closing is closed, gone from the node's lists, and its HTLCs have come back."""
    chaos.world.simulation.sync()
    payer, receiver = chaos.world.network.named["payer"], chaos.world.network.named[name]
    for flight in [flight for flight in payer.flights.values() if flight.record.route[0].side.channel.closing]:
        chaos.world.network.fail(flight, Failure.TIMEOUT)
    for side in [side for node in (payer, receiver) for side in node.sides if side.channel.closing]:
        side.node.sides.remove(side)
        side.node.sides_to[side.peer.pubkey].remove(side)
    chaos.world.network.open_channel(payer, receiver, 100_000_000)


def forget(chaos: Chaos) -> None:
    """Not while a ghost waits: a settled payment that is deleted before its own ghost comes is paid again by the node."""
    network = chaos.world.network
    payer = network.named["payer"]
    if payer.inbox or any(isinstance(action, partial) and action.func == network._deliver for _, _, action in network._events):
        return
    before = set(payer.payments)
    chaos.world.faults.forget("payer")
    chaos.world.forgotten |= before - set(payer.payments)


def slow_disk(chaos: Chaos) -> End:
    chaos.store.slow = True
    return chaos.rng.randint(SECOND_NS, HOUR_NS), lambda: setattr(chaos.store, "slow", False)


def bad_disk(chaos: Chaos) -> None:
    """Until a commit fails; that ends the process, and the next one has a good disk."""
    chaos.store.fail_rate = 0.3


def crash(chaos: Chaos) -> None:
    chaos.crashed.set()


def crash_soon(chaos: Chaos) -> None:
    chaos.crash_after(chaos.rng.randint(1, 6), chaos.rng.randint(0, 40))


def suspend(chaos: Chaos) -> None:
    chaos.clock.suspend(chaos.rng.randint(SECOND_NS, HOUR_NS))


def step_clock(chaos: Chaos) -> None:
    chaos.clock.step_wall(chaos.rng.randint(-HOUR_NS, HOUR_NS))


MISHAPS: tuple[Callable[[Chaos], End | None], ...] = (
    lose_calls, lose_calls, restart, restart_receiver, offline, freeze, cut, refuse, reject, hold, no_keysend, fail_randomly,
    disable, close_channels, forget, slow_disk, bad_disk, crash, crash_soon, crash_soon, crash_soon, suspend, step_clock,
)  # fmt: skip


# -- users ------------------------------------------------------------------------------------


async def open_stream(chaos: Chaos) -> None:
    rng, now_ns = chaos.rng, chaos.clock.now_ns()
    seconds = rng.choice((1, 10, 30, 60, 600))
    budget = BudgetTerms(rng.randint(10_000, 10_000_000), rng.choice((None, HOUR_NS, 24 * HOUR_NS))) if rng.random() < 0.4 else None
    await chaos.world.open(
        f"{rng.randint(1, 5_000 * seconds)}msat/{seconds}s",
        rng.randrange(chaos.receivers),
        start_time_ns=now_ns + rng.choice((0, 0, rng.randint(0, HOUR_NS))),
        end_time_ns=now_ns + rng.randint(2 * HOUR_NS, 24 * HOUR_NS) if rng.random() < 0.3 else None,
        budget=budget,
        catch_up_ns=rng.choice((None, 0, 5 * MINUTE_NS, HOUR_NS)),
        ttl_ns=rng.choice((None, None, rng.randint(MINUTE_NS, 4 * HOUR_NS))),
        max_open_payments=rng.choice((1, 1, 2, 4)),
        max_payment_msat=rng.choice((None, None, 10_000_000)),
        min_payment_interval_ns=rng.choice((SECOND_NS, 30 * SECOND_NS, 300 * SECOND_NS)),
    )


async def act(chaos: Chaos) -> None:
    """Somebody does something to some stream."""
    streams = list(chaos.world.book.streams.values())
    stream, rng = chaos.rng.choice(streams), chaos.rng
    actions = (lifecycle.pause, lifecycle.resume, lifecycle.resume, lifecycle.renew, lifecycle.renew, change_rate, change_budget)
    action = lifecycle.cancel if rng.random() < 0.05 else rng.choice(actions)
    try:
        if action in (change_rate, change_budget):
            await chaos.world.do(lifecycle.change, stream, action(chaos, stream))
        else:
            await chaos.world.do(action, stream)
    except FailedPrecondition:
        return


def change_rate(chaos: Chaos, stream: Stream) -> object:
    amount, rate = chaos.rng.randint(1, 5_000), stream.terms.rate
    interval = max(rate.interval_ns, SECOND_NS)
    return replace(stream.terms, rate=Rate(amount * interval // SECOND_NS, interval, rate.payment_interval_ns))


def change_budget(chaos: Chaos, stream: Stream) -> object:
    """More or less or none; who lowers it below what is spent is over it by his own will."""
    if stream.terms.budget is None:
        return stream.terms
    chaos.world.excused.add(stream.key)
    return replace(stream.terms, budget=BudgetTerms(chaos.rng.randint(10_000, 10_000_000), stream.terms.budget.period_ns))
