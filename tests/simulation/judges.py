"""What those who do nothing wrong may expect while others misbehave: to be paid in time, alike, and
for all time that could be paid.
"""

from __future__ import annotations

from dataclasses import dataclass

from streamer.core.line import served_msat
from streamer.core.streamtime import origin_ns, paid_until_ns
from streamer.words.model import Stream, StreamState
from streamer.words.money import SECOND_NS
from tests.simulation.crowds import CROWD
from tests.simulation.troubled import Troubled

HOLD_AFTER_NS = 30 * SECOND_NS
IN_TIME_NS = 5 * SECOND_NS
PAYMENT_NS = SECOND_NS
"""What the payment of a good receiver takes here, about (troubled.PACE)."""
FOUND_OUT_NS = 45 * SECOND_NS
"""So long a wave of holds may keep somebody waiting: hold_after, and what was late meanwhile has
its turn.
"""
WAVE_NS = 60 * SECOND_NS + FOUND_OUT_NS
"""By then each stream of the crowd was due once, and is found out."""
CALM_NS = 120 * SECOND_NS
"""What an outage may disturb beyond its end, and how long a stream may need to begin."""
UNSEEN_NS = 10 * SECOND_NS
"""How much longer than it was an outage may be counted: a daemon's from its last mark, a node's to
the new connection.
"""
SETTLED_NS = 5 * SECOND_NS
"""So long after the end of a period its payments have settled."""
MAKING_UP_PERIODS = 8
"""A stream is behind by what its key may spend in a period at most: with four of them it is made up
for in as many periods, and some.
"""
EVEN_LOOKS = 3
"""Looks in a row that find them even until a period is judged: at the first one something is made
up for yet, and has been since.
"""
FEW = 8
"""With a smaller window than this a turn may not find a place in the time it lasts
(line.TURN_NS).
"""


@dataclass(slots=True)
class Late:
    """How often a stream was late, and since when it is (0: it is not)."""

    times: int = 0
    since_ns: int = 0


class Judge:
    """Looked at every few seconds. innocents and equals: ids of streams; the others are told to it
    before.
    """

    def __init__(self, world: Troubled) -> None:
        self.world = world
        self.window = int(str(world.options["max_in_flight"]))
        self.innocents: list[str] = []
        self.equals: list[str] = []
        self.budget_msat = self.period_ns = self.fee_floor_msat = 0
        self.lateness_looks = self.fairness_looks = 0
        self.waves = 0
        self._late: dict[str, Late] = {}
        self._outages: dict[str, list[int]] = {}
        self._calm_from_ns = dict.fromkeys(world.payers, world.now_ns() + CALM_NS)
        self._equal_from_ns = self._period_start_ns = self._had_from_ns = 0
        self._making_up = self._even_looks = 0

    def stream(self, stream_id: str) -> Stream:
        """As the present process has it; it has not ended."""
        return next(
            book.streams[stream_id] for book in self.world.books if stream_id in book.streams
        )

    # -- what is done ---------------------------------------------------------------------------

    def wave(self) -> None:
        """Receivers that are proven begin to hold, all at once."""
        self.waves += 1
        self._equal_from_ns = self.world.now_ns() + WAVE_NS

    def away(self, payer: str, length_ns: int, unmarked_ns: int = 0) -> None:
        """From now on this node, or the daemon, is away for so long; of the time before, the
        journal does not know unmarked_ns.
        """
        self._outages.setdefault(payer, []).append(length_ns + max(UNSEEN_NS, unmarked_ns))
        self._calm_from_ns[payer] = max(
            self._calm_from_ns[payer], self.world.now_ns() + length_ns + CALM_NS
        )

    # -- what is judged -------------------------------------------------------------------------

    def look(self) -> None:
        """At any moment."""
        for stream in map(self.stream, self.innocents):
            self._check_in_time(stream)
            self._check_skipped(stream)
        self._look_at_equals()

    def end(self) -> None:
        """After all."""
        self.look()
        assert self.lateness_looks, "no innocent stream was ever looked at"
        for stream in map(self.stream, self.innocents):
            assert stream.account.streak == 0 and stream.account.settled_count, (
                f"{stream.id} was not paid"
            )

    def _check_in_time(self, stream: Stream) -> None:
        """It is late by a few seconds at most, but once for each wave, by hold_after more (money
        rule 12).

        Once for each time that those who begin to hold fill the window: who settled before has one
        payment under way until he is found out (slots.py), so that is crowd // window times. Not
        judged: while its node or the daemon is away, and begins again.
        """
        now_ns = self.world.now_ns()
        assert stream.state is StreamState.ACTIVE, (
            f"{stream.id}, innocent, is {stream.state} {stream.reason}"
        )
        late = self._late.setdefault(stream.id, Late())
        if now_ns < self._calm_from_ns[stream.terms.node]:
            late.since_ns = 0
            return
        self.lateness_looks += 1
        late_ns = now_ns - origin_ns(stream) - paid_until_ns(stream)
        usual_ns = IN_TIME_NS + self._queue_ns(stream)
        if late_ns <= usual_ns:
            late.since_ns = 0
            return
        turns = max(1, CROWD // self.window)
        text = (
            f"{stream.id}, innocent, is late by {late_ns / SECOND_NS:.1f} s,"
            f" {usual_ns / SECOND_NS:.1f} s are usual"
        )
        if not late.since_ns:
            late.since_ns, late.times = now_ns, late.times + 1
            assert late.times <= self.waves * turns, (
                f"{text}, for the {late.times}. time, after {self.waves} waves"
            )
        assert late_ns <= usual_ns + HOLD_AFTER_NS * turns, text
        assert now_ns - late.since_ns < FOUND_OUT_NS * turns, (
            f"{text}, since {(now_ns - late.since_ns) / SECOND_NS:.1f} s"
        )

    def _queue_ns(self, stream: Stream) -> int:
        """How long it may wait for all the others to have a turn before: half of the window is
        always theirs who settle.
        """
        book = self.world.book_of(stream)
        running = sum(
            one.state in (StreamState.ACTIVE, StreamState.STALLED) for one in book.streams.values()
        )
        return running * PAYMENT_NS // max(1, self.window // 2)

    def _check_skipped(self, stream: Stream) -> None:
        """Only the outages of its node and of the daemon are skipped."""
        allowed_ns = sum(self._outages.get(stream.terms.node, ()))
        text = (
            f"{stream.id}, innocent, skipped {stream.skipped_ns / SECOND_NS:.1f} s, of"
            f" {allowed_ns / SECOND_NS:.1f} s of outages"
        )
        assert stream.skipped_ns <= allowed_ns, text

    def _look_at_equals(self) -> None:
        """When a period ends: since the last disturbance equal streams of a short key have got the
        same, within a share.

        Not judged: while a wave, an outage or the beginning takes their places away, for a turn
        that finds none goes back to the others after 10 s (line.TURN_NS), as it does where a window
        is so small that it is a queue of its own. Nor where the payment interval is not small
        against the period: who is not due yet when it begins does not wait, and has no share of its
        first round.
        """
        now_ns = self.world.now_ns()
        period_start_ns = (now_ns - SETTLED_NS) // self.period_ns * self.period_ns
        if self.window < FEW or period_start_ns == self._period_start_ns:
            return
        disturbed = self._period_start_ns < max(self._equal_from_ns, *self._calm_from_ns.values())
        self._period_start_ns = period_start_ns
        if self._makes_up(disturbed) or disturbed:
            self._had_from_ns = period_start_ns
            return
        self.fairness_looks += 1
        paid = {self.stream(stream_id).key: 0 for stream_id in self.equals}
        for payment in self.world.observer.payments:
            if (
                payment.stream_key in paid
                and self._had_from_ns <= payment.planned_ns < period_start_ns
            ):
                paid[payment.stream_key] += payment.settled_msat
        got = list(paid.values())
        assert max(got) - min(got) <= self._share_msat(), (
            f"equal streams of a key got {got}, with a share of {self._share_msat()}"
        )

    def _share_msat(self) -> int:
        return max(self.budget_msat // len(self.equals), 1_000 + self.fee_floor_msat)

    def _makes_up(self, disturbed: bool) -> bool:
        """Whether those that got less while their node was away get more now, the period in which
        that ends included.

        A look comes when a period has begun, and some of it is paid already.
        """
        served = [served_msat(self.stream(stream_id)) for stream_id in self.equals]
        uneven = max(served) - min(served) > self._share_msat()
        self._making_up = (1 if disturbed else self._making_up + 1) if uneven else 0
        self._even_looks = 0 if uneven else self._even_looks + 1
        assert self._making_up <= MAKING_UP_PERIODS, (
            f"equal streams of a key were served {served}, with a share of {self._share_msat()}"
        )
        return self._even_looks < EVEN_LOOKS
