"""Whether our clock is right, and what becomes of our time when it is.

A machine without a battery boots years behind, a wrong one boots days ahead, and what is decided by
such a clock is done for good: a key is revoked, a stream ends, history is deleted, or a stream is
paid for two days in which its program was dead. So from a start on the clock is *unchecked* until a
node has answered; the node's newest block header then says whether the wall clock is *right* or
*wrong* (CLOCK), and so does the journal, which cannot be ahead of it.

Until it is right, our time is the least that it can be: the journal's last mark, and what boot time
has measured since the start. The wall clock decides nothing, and `Shared.time_known` is False: what
stops money, or takes note of it, works; what is decided by time waits; what begins or moves money
is refused. When it is right, our time moves to it at once. What lay between the mark and that
moment is one outage, and whoever renews streams gets his time from there.

A node that finds our time wrong later (an lnd that lags behind its chain) stops itself. It stops
all that time decides only if no other node still agrees: our time was right once, and boot time
does not err by hours.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from streamer.books.desk import Desk
from streamer.core import lifecycle
from streamer.core.book import Book
from streamer.core.periods import shift_periods
from streamer.core.shared import MARK, Shared
from streamer.core.timeshift import Shift, shift_book, shift_keys
from streamer.ports import Clock
from streamer.words.errors import Unavailable
from streamer.words.model import Facts
from streamer.words.money import SECOND_NS
from streamer.words.reasons import Halt

log = logging.getLogger(__name__)

BEHIND_NS = 60 * SECOND_NS
"""How far the wall clock may be behind the journal's last moment at a start."""
SAME_NS = 10 * SECOND_NS
"""What a node said of the wall clock is void when that was set by more than this since."""
SHOWN_NS = 5 * SECOND_NS
"""From here on the difference between our time and the wall clock is shown as a problem."""
FOLLOWED_NS = 10 * SECOND_NS
FOLLOW_AFTER_NS = 60 * SECOND_NS
SAME_STEP_NS = SECOND_NS
"""A difference beyond FOLLOWED_NS that has stayed within SAME_STEP_NS of one value for
FOLLOW_AFTER_NS is followed.
"""
FOLLOWED = "clock.followed"
"""The setting that keeps by how much our time moved last, in ns."""
UNCHECKED = "the clock is not checked yet, because no node has answered since the start"
ASK_AGAIN_SECONDS = 5
"""How often nodes are asked while the clock is not known to be right: when a refused caller may try
again.
"""


class ClockState(StrEnum):
    """What is known of our clock."""

    UNCHECKED = "UNCHECKED"
    RIGHT = "RIGHT"
    WRONG = "WRONG"


class Follower(Protocol):
    """Who keeps moments of our time and must move them with it."""

    def move_time(self, by_ns: int) -> None:
        """Our time is by_ns later than it was, or earlier: so are all moments from which durations
        are measured.
        """


@dataclass(slots=True, frozen=True)
class _Verdict:
    """problem: why our clock cannot be right; empty if it can. wall_ahead_ns: of our time, when
    that was said. lags: it may be the node that is behind, for it is not synced.
    """

    problem: str
    wall_ahead_ns: int
    lags: bool


class Timekeeping:
    """One for the daemon. mark_ns: the journal's last moment, 0 if it has none; clock begins
    there.
    """

    def __init__(self, clock: Clock, shared: Shared, desk: Desk, mark_ns: int = 0) -> None:
        self._clock = clock
        self._shared = shared
        self._desk = desk
        self._mark_ns = self._since_ns = mark_ns
        self._anchored = self._was_right = False
        self._was_wrong = False
        self._right_since_ns = 0
        self._steady: tuple[int, int] = (0, 0)
        self._keys_moved_back: dict[int, int] = {}
        self._verdicts: dict[str, _Verdict] = {}
        self._followers: list[Follower] = []
        self._books: list[Book] = []
        self._asks: list[Callable[[], None]] = []
        self._nodes: dict[str, Callable[[], str]] = {}
        self.moved_ns = 0
        """By how much our time has moved since the start."""
        shared.know_time(False)

    def follow(self, follower: Follower) -> None:
        """Tell follower of each move of our time."""
        self._followers.append(follower)

    def serve(self, book: Book, problem: Callable[[], str], ask: Callable[[], None]) -> None:
        """The streams of a node's book have their ttl from when the clock is right. problem: why
        that node does not answer.

        ask has the node asked at once whether the clock is right.
        """
        self._books.append(book)
        self._asks.append(ask)
        self._nodes[book.node] = problem

    # -- what is known ----------------------------------------------------------------------------

    @property
    def known(self) -> bool:
        """The clock is right: what time decides may be decided."""
        return self._shared.time_known

    @property
    def state(self) -> ClockState:
        """Unchecked, right or wrong."""
        if self.known:
            return ClockState.RIGHT
        return ClockState.WRONG if self._problems() else ClockState.UNCHECKED

    @property
    def judged_ns(self) -> int:
        """Which moment a node is to judge: the wall clock's, which ours will follow, or ours once
        that was right.
        """
        return self._clock.now_ns() if self._anchored else self._clock.wall_ns()

    @property
    def awaited(self) -> str:
        """What is waited for until the clock is right, in words; empty if it is."""
        if self.known:
            return ""
        silent = [
            f"node {name}: {why}" for name, problem in self._nodes.items() if (why := problem())
        ]
        return "; ".join(self._problems() or [UNCHECKED, *silent])

    def require_known(self) -> None:
        """Raise Unavailable (CLOCK) unless the clock is right."""
        if not self.known:
            raise self.unknown()

    def unknown(self) -> Unavailable:
        """The refusal of what may not begin now."""
        text = (
            "nothing that pays, or has a time, may begin until the clock is known to be right:"
            f" {self.awaited}"
        )
        return Unavailable(text, Halt.CLOCK, ASK_AGAIN_SECONDS)

    def behind_journal(self) -> str:
        """Why the wall clock cannot be right by the journal, with what to do; empty if it can.
        Asked at a start.
        """
        behind_ns = self._mark_ns - self._clock.wall_ns()
        if behind_ns <= BEHIND_NS:
            return ""
        return (
            f"the clock is {behind_ns // SECOND_NS} s behind the journal's last entry: put the"
            " clock right, sending then starts; if it is right, and was ahead when that entry was"
            " made, `streamer sending start`"
        )

    def _problems(self) -> list[str]:
        journal = self._shared.switch.halts.get(Halt.CLOCK, "")
        return [
            text
            for text in (
                journal,
                *(verdict.problem for verdict in self._verdicts.values() if self._holds(verdict)),
            )
            if text
        ]

    def _holds(self, verdict: _Verdict) -> bool:
        """A word about a wall clock that was set since is none about this one."""
        return self._anchored or abs(self._wall_ahead_ns() - verdict.wall_ahead_ns) <= SAME_NS

    def _wall_ahead_ns(self) -> int:
        return self._clock.wall_ns() - self._clock.now_ns()

    # -- what becomes known -----------------------------------------------------------------------

    def judge(self, node: str, problem: str, lags: bool = False) -> None:
        """What a node's newest header says of judged_ns: a problem, or none. lags: that is older,
        and the node is not synced.
        """
        self._verdicts[node] = _Verdict(problem, self._wall_ahead_ns(), lags)
        self._was_wrong = self._was_wrong or bool(problem)
        self.settle()

    def look(self) -> None:
        """Once a second: has the wall clock come up to the journal?"""
        if Halt.CLOCK in self._shared.switch.halts and self._clock.wall_ns() >= self._mark_ns:
            self._shared.switch.lift(Halt.CLOCK)
            log.info("the clock has come up to the journal's last entry")
        self._watch_difference()
        self.settle()

    @property
    def difference_ns(self) -> int:
        """How far the wall clock is ahead of our time; 0 before that was right for the first
        time.
        """
        return self._wall_ahead_ns() if self._was_right else 0

    @property
    def difference(self) -> str:
        """The same in words, from SHOWN_NS on; empty below."""
        ahead_ns = self.difference_ns
        if abs(ahead_ns) < SHOWN_NS:
            return ""
        how = (
            f"{abs(ahead_ns) // SECOND_NS} s {'ahead of' if ahead_ns > 0 else 'behind'} the"
            " daemon's time"
        )
        return (
            f"the wall clock is {how}: it was wrong at the start, or has been set since; what stays"
            " so for a minute is followed"
        )

    def _watch_difference(self) -> None:
        """Follow what has stayed within SAME_STEP_NS of one value for FOLLOW_AFTER_NS: a clock that
        is just being put right does not.
        """
        ahead_ns, now_ns = self.difference_ns, self._clock.now_ns()
        value_ns, since_ns = self._steady
        if abs(ahead_ns) <= FOLLOWED_NS or abs(ahead_ns - value_ns) > SAME_STEP_NS:
            self._steady = ahead_ns, now_ns
        elif (
            self._anchored
            and now_ns - since_ns >= FOLLOW_AFTER_NS
            and Halt.CLOCK not in self._shared.switch.halts
        ):
            self._follow()

    def _follow(self) -> None:
        """Our time is to follow the wall clock, when a node agrees: until then it is unchecked.

        A wall clock that jumps two days ahead for two minutes would else have moved the ends of
        streams and begun periods for good, and a crash before it is put right would have left
        everybody unpaid for these two days. One that jumps back, and a crash, would have had a
        stream paid for two days that nobody has lived.

        Backwards at once if no node can be asked: a journal whose mark stays ahead would stop the
        next start. Should that have been wrong, all that moved goes back with our time.
        """
        log.warning(
            "the wall clock is %.1f s from our time: a node has to say whether it is right",
            self.difference_ns / SECOND_NS,
        )
        facts = Facts()
        if self.difference_ns < 0 and all(problem() for problem in self._nodes.values()):
            self._shift(self.difference_ns, facts)
        self._anchored, self._since_ns = False, self._clock.now_ns()
        self._shared.know_time(False)
        self._verdicts.clear()
        if facts:
            # nobody waits for it: a journal that fails is noticed by the next who writes
            self._desk.commit(facts)
        for ask in self._asks:
            ask()

    def _shift(self, by_ns: int, facts: Facts) -> None:
        """Move our time, and all that moves with it: durable in one commit (facts), with the
        journal's mark.
        """
        log.warning("our time follows the wall clock, by %.1f s", by_ns / SECOND_NS)
        before_ns, now_ns = self._clock.now_ns(), self._clock.now_ns() + by_ns
        facts.settings += [(FOLLOWED, str(by_ns)), (MARK, str(now_ns))]
        shift = Shift(by_ns, before_ns, self._right_since_ns)
        shift_periods(self._books, self._shared.budgets, shift, facts)
        for book in self._books:
            shift_book(book, shift, facts)
        facts.keys += shift_keys(self._shared.budgets.all_keys(), shift, self._keys_moved_back)
        self._shared.outages.move_time(by_ns, now_ns, facts)
        self._shared.rounds.move_time()
        self._begin_right(self._right_since_ns + by_ns)
        self._move(by_ns)

    def _begin_right(self, since_ns: int) -> None:
        self._right_since_ns = since_ns
        for book in self._books:
            book.gap = (self._mark_ns, since_ns)

    def settle(self) -> None:
        """Let what is known take effect, whatever has changed."""
        agreed = any(
            not verdict.problem and self._holds(verdict) for verdict in self._verdicts.values()
        )
        if self._anchored:
            if self.known and not agreed:
                self._shared.know_time(False)
                self._since_ns = self._clock.now_ns()
            elif agreed and not self.known:
                self._know("CLOCK", Facts())
        elif agreed and (not self._problems() or self._goes_on()):
            self._take_up()

    def _goes_on(self) -> bool:
        """Whether one node that agrees is enough: after a step while it ran, if all that disagree
        lag. They stop themselves, whoever answers first. A header that is newer than our time is
        proof.
        """
        return (
            self._was_right
            and Halt.CLOCK not in self._shared.switch.halts
            and all(verdict.lags or not verdict.problem for verdict in self._verdicts.values())
        )

    def _take_up(self) -> None:
        """A node has found the wall clock right: ours is it from now on."""
        facts = Facts()
        if self._was_right:
            # by the time before, as all that it overlaps: it moves with that
            self._shared.outages.add("CLOCK", self._since_ns, self._clock.now_ns(), facts)
            self._since_ns = 0
            if abs(self._wall_ahead_ns()) > SAME_STEP_NS:
                self._shift(self._wall_ahead_ns(), facts)
        else:
            by_ns = self._wall_ahead_ns()
            # a person has said that the journal was ahead, with the periods that began in it; or
            # has begun one himself, by `sending start` in a run whose clock was not known: the mark
            # stood still then, and a crash has forgotten that run's time
            if (
                by_ns < -BEHIND_NS
                or self._shared.budgets.spend_limit.period_start_ns > self._clock.wall_ns()
            ):
                shift_periods(
                    self._books,
                    self._shared.budgets,
                    Shift(by_ns, self._clock.now_ns(), self._mark_ns),
                    facts,
                )
            self._move(by_ns)
            self._begin_right(self._clock.now_ns())
        cause = "CLOCK" if self._was_right else "DAEMON_DOWN"
        self._anchored = self._was_right = True
        self._know(cause, facts)

    def _move(self, by_ns: int) -> None:
        self._clock.move(by_ns)
        self.moved_ns += by_ns
        for follower in self._followers:
            follower.move_time(by_ns)

    def _know(self, cause: str, facts: Facts) -> None:
        """The clock is right from now on. One commit has all that follows: a crash leaves the mark
        where it was, or all of it.
        """
        now_ns = self._clock.now_ns()
        self._shared.know_time(True)
        if self._was_wrong:
            log.info("the clock is right: what waited for it goes on")
            self._was_wrong = False
        if self._since_ns:
            self._shared.outages.add(cause, self._since_ns, now_ns, facts)
        # nobody has looked at the loop while the time was not known
        self._shared.outages.awake(now_ns)
        # of a journal that was ahead, and a person has said so
        self._shared.outages.end_by(now_ns, facts)
        for book in self._books:
            book.outages.end_by(now_ns, facts)
            book.holds.end_by(now_ns, facts)
            facts.streams += lifecycle.outlast_unknown(
                book, self._mark_ns if cause == "DAEMON_DOWN" else None, now_ns
            )
        self._shared.mark(now_ns, facts)
        # nobody waits for it: a journal that fails is noticed by the next who writes
        self._desk.commit(facts)
