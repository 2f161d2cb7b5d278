"""Recovery alone: a node that answers what the test says, and an engine whose next turn is the
loop's next step.
"""

from __future__ import annotations

import asyncio
import copy
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from streamer.doubt.recovery import Patience, Recovery
from streamer.ports import Channel, Channels
from streamer.simulator.clock import VirtualClock
from streamer.words.model import Answer, Facts, Kind, Payment, PaymentQuery, Stream
from streamer.words.money import SECOND_NS
from streamer.words.reasons import Reason
from tests.core.house import House

S = SECOND_NS
LOST = Answer(Kind.LOST, closed=False)
IN_FLIGHT = Answer(Kind.IN_FLIGHT, accepted=True)
NOT_FOUND = Answer(Kind.NOT_FOUND)
WITNESS = b"w" * 32


def failed(reason: Reason = Reason.NO_ROUTE, message: str = "no route") -> Answer:
    return Answer(Kind.FAILED, accepted=True, reason=reason, message=message)


def settled(amount_msat: int = 1_000, fee_msat: int = 0) -> Answer:
    return Answer(Kind.SETTLED, accepted=True, amount_msat=amount_msat, fee_msat=fee_msat)


def known(payment: Payment) -> tuple[str, str, str]:
    """How it ended, and what is said of it."""
    return payment.state.value, payment.reason.value, payment.message


def channel(
    spendable_msat: int = 10**9,
    active: bool = True,
    slots: int = 0,
    pending: dict[bytes, int] | None = None,
    max_htlcs: int = 483,
) -> Channel:
    return Channel(1, active, spendable_msat, 0, slots, pending or {}, max_htlcs=max_htlcs)


class Desk:
    """One recovery between a scripted node and a scripted engine; `answers` by hash, NOT_FOUND for
    others.
    """

    def __init__(self, clock: VirtualClock, **patience: int) -> None:
        self.clock = clock
        self.house = House(per_destination=1_000)
        self.house.now_ns = self.began_ns = clock.now_ns()
        self.answers: dict[bytes, Answer] = {WITNESS: settled()}
        self.now_open: tuple[Channel, ...] = (channel(),)
        self.closing: frozenset[str] = frozenset()
        self.trouble: dict[str, Exception] = {}
        self.asked: dict[bytes, list[float]] = defaultdict(list)
        self.looks = self.at_once = self.most_at_once = self.worries = 0
        self.answer_seconds = 0.0
        self.resent: list[Payment] = []
        self.blocked: list[tuple[Reason, str]] = []
        self.may = True
        self.past: list[Payment] = []
        """What the journal has, newest first."""
        self.late: list[Payment] = []
        self.up_since_ns = clock.now_ns()
        self.recovery = Recovery(self, self.house.book, clock, Patience(**patience), self)  # type: ignore[arg-type]
        self.recovery.evidence.witness = WITNESS

    # -- the node ---------------------------------------------------------------------------------

    async def track(self, payment_hash: bytes, patience_seconds: float) -> Answer:
        assert patience_seconds > 0
        self.asked[payment_hash].append(self.seconds)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(self.answer_seconds)
        self.at_once -= 1
        self._may_fail("track")
        return self.answers.get(payment_hash, NOT_FOUND)

    async def channels(self) -> Channels:
        self.looks += 1
        self._may_fail("channels")
        return Channels(self.now_open, self.closing, 0)

    async def identity(self) -> None:
        self._may_fail("identity")

    def _may_fail(self, call: str) -> None:
        if call in self.trouble:
            raise self.trouble[call]

    # -- the engine -------------------------------------------------------------------------------

    def defer(self, action: Callable[[int, Facts], None]) -> None:
        asyncio.get_running_loop().call_soon(self._do, action)

    def _do(self, action: Callable[[int, Facts], None]) -> None:
        self.house.now_ns, facts = self.clock.now_ns(), Facts()
        action(self.clock.now_ns(), facts)
        self.house.commit(facts)
        tally = self.house.book.take_tally()
        self.late += tally.late
        for payment in tally.ended:
            self.recovery.forget(payment)

    def resend(self, payment: Payment) -> None:
        self.resent.append(payment)

    def may_resend(self, payment: Payment) -> bool:
        return self.may and payment.open

    def block(self, reason: Reason, text: str) -> None:
        self.blocked.append((reason, text))

    def look(self) -> None:
        self.worries += 1

    async def history(self, query: PaymentQuery) -> list[Payment]:
        self._may_fail("history")
        found = [
            copy.copy(payment)
            for payment in self.past
            if (not query.states or payment.state in query.states)
            and (
                not query.payment_hash
                or (payment.payment_request and payment.payment_hash == query.payment_hash)
            )
            and payment.end_ns >= query.unpaid_since_ns
        ]
        return found[: query.limit]

    # -- the test ---------------------------------------------------------------------------------

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return (self.clock.now_ns() - self.began_ns) / S

    def open(self, **terms: Any) -> Stream:
        self.house.now_ns = self.clock.now_ns()
        return self.house.open(start_time_ns=self.clock.now_ns(), **terms)

    def payment(self, stream: Stream | None = None) -> Payment:
        """The next payment of stream, or the first of a new one."""
        stream = stream or self.open()
        self.house.now_ns = self.clock.now_ns()
        [payment] = self.house.plan()
        assert payment.owner == stream.id
        return payment

    def lose(self, payment: Payment, answer: Answer = LOST) -> None:
        """Its call ended without an answer."""
        self.recovery.take(payment, answer, self.clock.now_ns())

    def loose(self, answer: Answer | None = None, lost: Answer = LOST) -> Payment:
        """A payment of a stream of its own whose call was lost; answer: what the node will say of
        it.
        """
        payment = self.payment()
        if answer is not None:
            self.answers[payment.payment_hash] = answer
        self.lose(payment, lost)
        return payment

    async def connect(self) -> None:
        """The node is back, and recovery asks for all that is loose."""
        await self.recovery.catch_up()
        await asyncio.sleep(0.01)

    async def run(self, seconds: float) -> None:
        """Let recovery run for so long."""
        task = asyncio.ensure_future(self.recovery.run())
        await asyncio.sleep(seconds)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled(), "it runs for ever"
