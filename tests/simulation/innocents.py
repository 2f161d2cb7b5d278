"""A chapter of some seeds, when all faults are over: a dozen receivers hold again and again, and
who never did is judged.

Each payer has a few *innocent* streams of a key of their own, to receivers that never misbehave;
one key is *short*, its streams are equal. Around them a crowd of another key: its receivers settle,
then hold all at once, or hold from their first payment on. Rates change in bursts; in half of the
chapters the daemon is killed for a while, or a node goes away.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from streamer.service.orders import StreamOrder
from streamer.words.model import ADMIN, BudgetTerms
from streamer.words.money import SECOND_NS
from tests.simulation.crowds import (
    CROWD,
    HUBS,
    MINUTE_NS,
    crowd_order,
    let_go,
    new_key,
    open_one,
    set_rates,
)
from tests.simulation.judges import Judge

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.simulation.chaos import Chaos

INNOCENT_SECONDS = 10
INNOCENTS = 2
"""Of each payer."""
EACH = 4
"""Streams to each receiver of the crowd: together they want more than any window here has."""
EQUALS = 4
EQUAL_NS = 5 * SECOND_NS
PERIOD_INTERVALS = 12
"""So many payments of a stream would fill a period of a short key, if there was money for them."""
FLOOR_MSAT, LOW_FLOOR_MSAT = 5_000, 2_000
"""What a fee limit is at least: by default, and hardly more than the fee itself."""
PROVING_NS = MINUTE_NS
"""So long it takes at most until the receivers of the innocent are proven; only then a crowd begins
that takes what is for new ones.
"""
LOOK_SECONDS = 5.0
MINUTES = 14
"""How long a chapter is."""


class Chapter:
    """`live` goes through it, over the death of a process too; AssertionError when somebody
    innocent suffers.
    """

    def __init__(self, chaos: Chaos) -> None:
        self.chaos = chaos
        self.over = False
        self.judge = Judge(chaos.world)
        self.down_seconds = 0.0
        self._crowd: list[str] = []
        self._plot: list[tuple[int, Callable[[], Awaitable[None]]]] = []

    # -- what happens -----------------------------------------------------------------------------

    async def live(self) -> None:
        """Until the chapter is over, or the process is to die."""
        if not self._plot:
            self.judge = Judge(self.chaos.world)
            await self._open()
        while not self.over and not self.chaos.world.replay_asked.is_set():
            if self._plot[0][0] <= self._now_ns():
                await self._plot.pop(0)[1]()
                continue
            await asyncio.sleep(LOOK_SECONDS)
            self.judge.look()

    def _now_ns(self) -> int:
        return self.chaos.clock.now_ns()

    async def _open(self) -> None:
        chaos, rng, began_ns = self.chaos, self.chaos.rng, self._now_ns()
        await self._open_innocents()
        await self._open_equals()
        while not all(
            self.judge.stream(stream_id).account.settled_count for stream_id in self.judge.innocents
        ):
            await asyncio.sleep(LOOK_SECONDS)
            assert self._now_ns() < began_ns + PROVING_NS, (
                "the innocent are not paid though nobody holds"
            )
        self._hold(rng.sample(HUBS["hub"], rng.randint(0, CROWD)))
        caller = await new_key(chaos, "of a crowd")
        for receiver in HUBS["hub"] * EACH:
            order = crowd_order(chaos, rng.choice((30, 60)), 60 * MINUTE_NS)
            self._crowd.append(await open_one(chaos, caller, receiver, order))
        self._write_plot()

    async def _open_innocents(self) -> None:
        caller = await new_key(self.chaos, "innocent")
        good = iter(HUBS["good hub"])
        for payer in self.chaos.world.payers:
            receiver = next(good)
            for _ in range(INNOCENTS):
                order = StreamOrder(
                    destination=b"",
                    amount_msat=1_000 * INNOCENT_SECONDS,
                    interval_ns=INNOCENT_SECONDS * SECOND_NS,
                    node=payer,
                    catch_up_ns=0,
                )
                self.judge.innocents.append(await open_one(self.chaos, caller, receiver, order))

    async def _open_equals(self) -> None:
        """Each of a node chosen once, to a receiver of its own, at a budget of a part of what they
        want.
        """
        rng, judge = self.chaos.rng, self.judge
        interval_ns = max(EQUAL_NS, self.chaos.world.settings.min_payment_interval_ns)
        judge.period_ns = max(MINUTE_NS, PERIOD_INTERVALS * interval_ns)
        judge.budget_msat = (
            EQUALS * 1_000 * judge.period_ns // SECOND_NS * rng.choice((3, 5, 8)) // 10
        )
        caller = await new_key(self.chaos, "short", BudgetTerms(judge.budget_msat, judge.period_ns))
        judge.fee_floor_msat = rng.choice((LOW_FLOOR_MSAT, FLOOR_MSAT))
        for receiver in HUBS["good hub"][-EQUALS:]:
            order = StreamOrder(
                destination=b"",
                amount_msat=5_000,
                interval_ns=EQUAL_NS,
                fee_floor_msat=judge.fee_floor_msat,
            )
            judge.equals.append(await open_one(self.chaos, caller, receiver, order))

    def _write_plot(self) -> None:
        rng, begin_ns = self.chaos.rng, self._now_ns()
        acts = [
            (2, self._wave),
            (2 + rng.randint(1, 3), self._let_go),
            (3, self._burst),
            (9, self._let_go),
        ]
        acts += [(rng.choice((3, 6)), self._wave)] * rng.randint(0, 1)
        if rng.random() < 0.5:
            acts.append((rng.choice((4, 7)), rng.choice((self._die, self._node_away))))
        acts.append((MINUTES, self._end))
        self._plot = sorted(
            ((begin_ns + minutes * MINUTE_NS, act) for minutes, act in acts), key=lambda act: act[0]
        )

    async def _wave(self) -> None:
        """All hold."""
        self.chaos.tell("wave")
        self._hold(HUBS["hub"])

    def _hold(self, names: list[str]) -> None:
        world = self.chaos.world
        for name in names:
            world.faults.hold(name)
        pubkeys = [world.network.named[name].pubkey for name in names]
        if any(
            book.slots.proven(pubkey) or book.slots.dated(pubkey)
            for book in world.books
            for pubkey in pubkeys
        ):
            self.judge.wave()

    async def _let_go(self) -> None:
        self.chaos.tell("let go")
        let_go(self.chaos, HUBS["hub"])

    async def _burst(self) -> None:
        self.chaos.tell("burst")
        await set_rates(self.chaos, self.judge.stream(self.chaos.rng.choice(self._crowd)))

    async def _die(self) -> None:
        self.chaos.tell("die")
        self.down_seconds = self.chaos.rng.choice((0.0, 5.0, 200.0))
        # its outage begins at the journal's last mark, which is as old as the last commit: in a
        # seed a heart beats seldom
        unmarked_ns = self._now_ns() - self.chaos.store.marked_ns()
        for payer in self.chaos.world.payers:
            self.judge.away(payer, int(self.down_seconds * SECOND_NS), unmarked_ns)
        self.chaos.world.replay_asked.set()

    async def _node_away(self) -> None:
        self.chaos.tell("node away")
        payer, length_ns = self.chaos.payer(), self.chaos.rng.randint(SECOND_NS, 3 * MINUTE_NS)
        self.judge.away(payer, length_ns)
        self.chaos.world.faults.offline_for(payer, length_ns)

    async def _end(self) -> None:
        judge = self.judge
        judge.end()
        for stream_id in (*judge.innocents, *judge.equals, *self._crowd):
            await self.chaos.world.service.streams.cancel(ADMIN, stream_id)
        self.over = True
