"""What may happen to a world: each mishap is one choice of the seed, and says how long it lasts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from streamer.run.heartbeat import LEAST_FREE_BYTES
from streamer.simulator.network import channels
from streamer.simulator.network.books import Failure, Status
from streamer.simulator.network.lightning_node import CallFate, LightningNode
from streamer.words.money import SECOND_NS
from tests.simulation.crowds import hold_many
from tests.simulation.people import HOUR_NS, MINUTE_NS
from tests.simulation.troubled import PLENTY_BYTES

if TYPE_CHECKING:
    from tests.simulation.chaos import Chaos

GHOST_AT_MOST_NS = 100 * SECOND_NS
"""A ghost must be executed within ghost_after (2 min): that is what the operator promises."""
STEPS_NS = 30 * MINUTE_NS
"""How far the wall clock is put wrong at most."""

End = tuple[int, Callable[[], None]]
"""(after so many ns, what ends the mishap)."""


def lose_calls(chaos: Chaos) -> None:
    fate = chaos.rng.choice(list(CallFate))
    chaos.world.faults.lose_calls(
        chaos.payer(), chaos.rng.randint(1, 5), fate, chaos.rng.randint(SECOND_NS, GHOST_AT_MOST_NS)
    )


def late_answers(chaos: Chaos) -> End:
    chaos.world.late_rate = chaos.rng.random()
    return chaos.rng.randint(MINUTE_NS, HOUR_NS), lambda: setattr(chaos.world, "late_rate", 0.0)


def restart(chaos: Chaos) -> None:
    chaos.world.faults.restart(chaos.payer(), chaos.rng.choice((0.0, 0.33, 1.0)))


def restart_receiver(chaos: Chaos) -> None:
    chaos.world.faults.restart(chaos.receiver(), 0.0)


def offline(chaos: Chaos) -> None:
    chaos.world.faults.offline_for(
        chaos.rng.choice((chaos.payer(), chaos.receiver())), chaos.rng.randint(SECOND_NS, HOUR_NS)
    )


def freeze(chaos: Chaos) -> End:
    name = chaos.rng.choice((chaos.payer(), chaos.receiver()))
    chaos.world.faults.freeze(name)
    return chaos.rng.randint(SECOND_NS, 10 * MINUTE_NS), lambda: chaos.world.faults.thaw(name)


def cut(chaos: Chaos) -> None:
    chaos.world.faults.cut_connections(chaos.payer())


def refuse(chaos: Chaos) -> End:
    name = chaos.payer()
    chaos.world.faults.refuse(name, "no custom records with types below 65536 allowed")
    return chaos.rng.randint(SECOND_NS, MINUTE_NS), lambda: chaos.world.faults.refuse(name, "")


def reject(chaos: Chaos) -> End:
    name = chaos.payer()
    chaos.world.faults.reject_credentials(name)
    return chaos.rng.randint(
        SECOND_NS, 5 * MINUTE_NS
    ), lambda: chaos.world.faults.reject_credentials(name, "")


def hold(chaos: Chaos) -> End:
    name, settle = chaos.receiver(), chaos.rng.random() < 0.5
    chaos.world.faults.hold(name)
    return chaos.rng.randint(SECOND_NS, HOUR_NS), lambda: chaos.world.faults.release(
        name, settle=settle
    )


def no_keysend(chaos: Chaos) -> End:
    name = chaos.receiver()
    chaos.world.faults.set_keysend(name, accepted=False)
    return chaos.rng.randint(SECOND_NS, HOUR_NS), lambda: chaos.world.faults.set_keysend(
        name, accepted=True
    )


def fail_randomly(chaos: Chaos) -> End:
    kinds = (
        Failure.TIMEOUT,
        Failure.ERROR,
        Failure.NO_ROUTE,
        Failure.INSUFFICIENT_BALANCE,
        Failure.INCORRECT_PAYMENT_DETAILS,
    )
    name = chaos.payer()
    chaos.world.faults.fail_randomly(
        name, chaos.rng.random(), *chaos.rng.sample(kinds, chaos.rng.randint(1, 3))
    )
    return chaos.rng.randint(SECOND_NS, HOUR_NS), lambda: chaos.world.faults.fail_randomly(
        name, 0.0
    )


def disable(chaos: Chaos) -> End:
    payer, receiver = chaos.payer(), chaos.receiver()
    chaos.world.faults.disable_channels(payer, receiver)
    return chaos.rng.randint(SECOND_NS, HOUR_NS), lambda: chaos.world.faults.disable_channels(
        payer, receiver, disabled=False
    )


def fill_slots(chaos: Chaos) -> End:
    """Others' HTLCs take every slot of a node's channels, or of some."""
    sides = [
        side for side in chaos.world.network.named[chaos.payer()].sides if chaos.rng.random() < 0.8
    ]
    taken = {
        -1 - number: channels.Htlc(bytes(32), 1_000, 10**6) for number in range(channels.MAX_HTLCS)
    }
    for side in sides:
        side.htlcs.update(taken)

    def free() -> None:
        for side in sides:
            for number in taken:
                side.htlcs.pop(number, None)

    return chaos.rng.randint(SECOND_NS, HOUR_NS), free


# -- channels that close, histories that go ---------------------------------------------------


def close_channels(chaos: Chaos) -> End:
    """The channels go, in the end for good, and the operator opens another one."""
    payer, receiver = chaos.payer(), chaos.receiver()
    chaos.world.faults.close_channels(payer, receiver)
    chaos.world.excuses.doubted.add(payer)
    return chaos.rng.randint(SECOND_NS, HOUR_NS), lambda: closed(chaos, payer, receiver)


def closed(chaos: Chaos, payer_name: str, receiver_name: str) -> None:
    """What was closing is closed, gone from the node's lists, and its HTLCs have come back."""
    chaos.world.simulation.sync()
    network = chaos.world.network
    payer, receiver = network.named[payer_name], network.named[receiver_name]
    gone = [side.channel for side in payer.sides_to[receiver.pubkey] if side.channel.closing]
    for flight in [
        flight for flight in payer.flights.values() if flight.record.route[0].side.channel in gone
    ]:
        network.fail(flight, Failure.TIMEOUT)
    for side in [side for channel in gone for side in channel.sides]:
        side.node.sides.remove(side)
        side.node.sides_to[side.peer.pubkey].remove(side)
    if not payer.sides_to[receiver.pubkey]:
        network.open_channel(payer, receiver, 100_000_000)


def forget(chaos: Chaos) -> None:
    """Not while a ghost waits: a settled payment that is deleted before its own ghost comes is paid
    again by the node.
    """
    name = chaos.payer()
    payer = chaos.world.network.named[name]
    if ghosts(chaos, payer) or unread(chaos, name):
        return
    before = set(payer.payments)
    chaos.world.faults.forget(name)
    chaos.world.excuses.forgotten |= before - set(payer.payments)
    chaos.world.excuses.doubted.add(name)
    chaos.backup = None


def ghosts(chaos: Chaos, payer: LightningNode) -> bool:
    """Whether a call waits somewhere that its client has given up."""
    network = chaos.world.network
    return bool(payer.inbox) or any(
        isinstance(action, partial) and action.func == network._deliver
        for _, _, action in network._events
    )


def unread(chaos: Chaos, name: str) -> bool:
    """Whether the journal is an old one and the node was not reached since: only its list knows
    what was paid in between.
    """
    if chaos.world.engines[name].up:
        chaos.unread.discard(name)
    return name in chaos.unread


def snapshot_node(chaos: Chaos) -> None:
    """Somebody copies the database of a node."""
    name = chaos.payer()
    node = chaos.world.network.named[name]
    chaos.world.simulation.sync()
    moved = {side.channel.id: (side.channel.updates, len(side.htlcs)) for side in node.sides}
    chaos.snapshots[name] = (chaos.world.faults.history(name), moved)


def restore_node(chaos: Chaos) -> End | None:
    """The node gets that copy back. Its peers close each channel that has moved since, for its
    state is an old one.
    """
    name = chaos.payer()
    node, world = chaos.world.network.named[name], chaos.world
    if name not in chaos.snapshots or ghosts(chaos, node) or unread(chaos, name):
        return None
    history, before = chaos.snapshots.pop(name)
    world.faults.take_down(name)
    now = dict(node.payments)
    world.faults.restore(name, history)
    world.excuses.doubted.add(name)
    for payment_hash in now.keys() | node.payments.keys():
        old, new = node.payments.get(payment_hash), now.get(payment_hash)
        if (
            old is None
            or new is None
            or old.status is not new.status
            or old.status is Status.IN_FLIGHT
        ):
            world.excuses.overtaken.add(payment_hash)
    node.orphans.clear()
    for side in node.sides:
        if before.get(side.channel.id) != (side.channel.updates, len(side.htlcs)):
            side.channel.closing = True
    world.faults.bring_up(name)
    chaos.indexes_again, chaos.backup = True, None
    peers = {side.peer.name for side in node.sides if side.channel.closing}

    def all_closed() -> None:
        for peer in peers:
            closed(chaos, name, peer)

    return chaos.rng.randint(MINUTE_NS, HOUR_NS), all_closed


def back_up_journal(chaos: Chaos) -> None:
    """Not of a node whose indexes come again: what it paid under them since cannot be found in its
    list (docs/exactly-once.md).
    """
    if not (chaos.keeps_journal or chaos.indexes_again):
        chaos.backup = chaos.store.backup()


def restore_journal(chaos: Chaos) -> None:
    """The next process finds the data folder as it was at the backup."""
    chaos.old_journal = chaos.backup is not None
    chaos.crashed.set()


def torn_tail(chaos: Chaos) -> None:
    """The disk has promised what it did not keep: the next process finds the journal without the
    last commits of this one.
    """
    if not (chaos.keeps_journal or chaos.indexes_again):
        chaos.backup = chaos.store.backup()
        chaos.old_journal = True
        chaos.crash_after(chaos.rng.randint(1, 6), chaos.rng.randint(0, 40))


# -- disk, process, clock -----------------------------------------------------------------------


def slow_disk(chaos: Chaos) -> End:
    chaos.store.slow = True
    return chaos.rng.randint(SECOND_NS, HOUR_NS), lambda: setattr(chaos.store, "slow", False)


def bad_disk(chaos: Chaos) -> None:
    """Until a commit fails; that ends the process, and the next one has a good disk."""
    chaos.store.fail_rate = 0.3


def full_disk(chaos: Chaos) -> End:
    """Of a sudden, or so slowly that the heartbeat sees it coming."""
    if chaos.rng.random() < 0.5:
        chaos.store.full = True
        return chaos.rng.randint(SECOND_NS, 5 * MINUTE_NS), lambda: setattr(
            chaos.store, "full", False
        )
    chaos.store.free_bytes = LEAST_FREE_BYTES - 1
    return chaos.rng.randint(MINUTE_NS, HOUR_NS), lambda: setattr(
        chaos.store, "free_bytes", PLENTY_BYTES
    )


def crash(chaos: Chaos) -> None:
    chaos.crashed.set()


def crash_soon(chaos: Chaos) -> None:
    chaos.crash_after(chaos.rng.randint(1, 6), chaos.rng.randint(0, 40))


def suspend(chaos: Chaos) -> None:
    chaos.clock.suspend(chaos.rng.randint(SECOND_NS, HOUR_NS))


def step_clock(chaos: Chaos) -> None:
    wrong_by = chaos.clock.wall_ns() - chaos.clock.now_ns()
    chaos.clock.step_wall(chaos.rng.choice((0, chaos.rng.randint(-STEPS_NS, STEPS_NS))) - wrong_by)


def wrong_clock(chaos: Chaos) -> End:
    """The next process starts with a clock that is wrong, by minutes or by days; it is put right
    later, in that process or in another.
    """
    wrong_by = chaos.clock.wall_ns() - chaos.clock.now_ns()
    most = chaos.rng.choice((STEPS_NS, 3 * HOUR_NS, 72 * HOUR_NS))
    chaos.clock.step_wall(chaos.rng.randint(-most, most) - wrong_by)
    chaos.crashed.set()
    return chaos.rng.randint(SECOND_NS, HOUR_NS), lambda: chaos.clock.step_wall(
        chaos.clock.now_ns() - chaos.clock.wall_ns()
    )


MISHAPS: tuple[Callable[[Chaos], End | None], ...] = (
    lose_calls,
    lose_calls,
    late_answers,
    restart,
    restart_receiver,
    offline,
    freeze,
    cut,
    refuse,
    reject,
    hold,
    hold,
    hold_many,
    no_keysend,
    fail_randomly,
    disable,
    fill_slots,
    close_channels,
    forget,
    snapshot_node,
    restore_node,
    back_up_journal,
    restore_journal,
    torn_tail,
    slow_disk,
    bad_disk,
    full_disk,
    crash,
    crash_soon,
    crash_soon,
    crash_soon,
    suspend,
    step_clock,
    wrong_clock,
)
