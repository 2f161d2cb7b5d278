"""Budgets: two-phase money on several levels at once.

A payment first reserves its amount and fee limit on every level (daemon, key, stream), all or none.
Its end posts what settled or voids the reserve. A reserve belongs to the period in which it was
made and stays there when it ends later; a period never goes backwards with the clock. Should our
time itself have been wrong, and move, then the period moves with all that was spent in it
(`Budget.move`; why: periods.py).
"""

from __future__ import annotations

from dataclasses import dataclass

PPM = 1_000_000
PASSED_KEPT = 2
"""Periods before the present one that a budget remembers. In less than one period there are at most
two others between a true one and the newest of a time that was ahead: the one to which that time
jumped, and the one after it.
"""
PERIODS_KEPT = 16
"""The most that are kept, with one more for each move of our time: for a clock that is put right
again and again.
"""
FINEST = 33
"""Bits: what was spent in the last 8.6 s of a period is kept as one sum. Our time follows no step
of less than 10 s.
"""


def fee_limit_msat(amount_msat: int, floor_msat: int, ppm: int) -> int:
    """What a payment may cost in fees at most: never 0 by rounding if a floor is set."""
    return max(floor_msat, amount_msat * ppm // PPM)


def largest_amount_msat(room_msat: int, floor_msat: int, ppm: int) -> int:
    """The largest amount that fits into room_msat together with its fee limit; 0 if none does."""
    amount = room_msat - floor_msat
    if amount <= 0:
        return 0
    if amount * ppm // PPM > floor_msat:
        amount = room_msat * PPM // (PPM + ppm)
        while amount + 1 + fee_limit_msat(amount + 1, floor_msat, ppm) <= room_msat:
            amount += 1
    return amount


@dataclass(slots=True)
class Period:
    """What was spent in one period of a budget, by the time that our clock had then, which has
    moved by moved_ns since.

    inherited_msat: what an earlier run of the daemon had spent in it. by_left: what this run has,
    by the bits of the time that was left of the period (ns) when it was planned. earlier: an
    earlier run of the daemon began it.
    """

    start_ns: int
    inherited_msat: int
    by_left: dict[int, int]
    moved_ns: int = 0
    earlier: bool = False

    def spent_within_msat(self, left_ns: int) -> int:
        """What this run has spent in the last left_ns of the period, and of as much time again
        before at most.
        """
        bits = bits_of(left_ns)
        return sum(msat for of_bits, msat in self.by_left.items() if of_bits <= bits)

    def take(self, other: Period) -> None:
        """Count what was spent in the same period, before our time moved."""
        self.moved_ns = max(self.moved_ns, other.start_ns + other.moved_ns - self.start_ns)
        self.earlier = self.earlier or other.earlier
        self.inherited_msat += other.inherited_msat
        for bits, msat in other.by_left.items():
            self.by_left[bits] = self.by_left.get(bits, 0) + msat


def bits_of(left_ns: int) -> int:
    """Where by_left keeps what was planned so long before its period's end."""
    return max(FINEST, max(0, left_ns).bit_length())


def add_by_left(by_left: dict[int, int], left_ns: int, msat: int) -> None:
    """Count msat there: at each payment, so a comparison stands for the calls of bits_of."""
    bits = left_ns.bit_length() if left_ns >> FINEST > 0 else FINEST
    sum_msat = by_left.get(bits, 0) + msat
    # a refund of what was spent elsewhere, before our time moved, is left out: counted alone it
    # would let the next period pay more than its budget
    if sum_msat >= 0:
        by_left[bits] = sum_msat


class Budget:
    """limit_msat per period, amounts and fees together.

    aligned: periods begin at multiples of period_ns since 1970 (UTC). Otherwise the period begins
    when `begin` says so and lasts period_ns from there. period_ns None: one period without end.
    passed: the periods before, only in memory. merged: the starts of periods that our time had, and
    whose money counts in the present one.
    """

    __slots__ = (
        "aligned",
        "by_left",
        "inherited_msat",
        "limit_msat",
        "merged",
        "passed",
        "period_ns",
        "period_start_ns",
        "reserved_msat",
        "spent_msat",
    )

    def __init__(self, limit_msat: int, period_ns: int | None, aligned: bool = True) -> None:
        self.limit_msat = limit_msat
        self.period_ns = period_ns
        self.aligned = aligned
        self.period_start_ns = 0
        self.begin(0)

    def begin(self, period_start_ns: int, spent_msat: int = 0) -> None:
        """Start a period, with what was spent in it already, by an earlier run; what was before is
        forgotten.
        """
        self.period_start_ns = period_start_ns
        self.spent_msat = self.inherited_msat = spent_msat
        self.reserved_msat = 0
        self.by_left: dict[int, int] = {}
        self.passed: list[Period] = []
        self.merged: frozenset[int] = frozenset()

    def go_on(self, period_start_ns: int) -> None:
        """A later period begins."""
        known = self._known()
        # from the end: after a step back an older one may have the start of that which just ended
        newest = list(dict.fromkeys(one.start_ns for one in reversed(known)))[:PASSED_KEPT]
        self.begin(period_start_ns)
        self.passed = [one for one in known if one.moved_ns or one.start_ns in newest]

    def roll(self, now_ns: int) -> None:
        """Go on to the period of now_ns, if that is a later one."""
        period = self.period_ns
        if period is None or now_ns < self.period_start_ns + period:
            return
        self.go_on(now_ns - now_ns % period if self.aligned else now_ns)

    def move(self, by_ns: int, now_ns: int, since_ns: int) -> frozenset[int]:
        """Our time has moved by by_ns, and it is now_ns. since_ns: when the time before began to be
        this run's.

        The period of now is the present one, with what an earlier run spent in it, as far as that
        is remembered; with all of each later one, which that time had invented; and with what this
        run spent in that part of those before that reaches into it: that was later than it seemed.
        Nothing is left out that may belong to it: what is too much waits for one period, a part too
        little would be paid a second time. Too much is what a sum by halves of the time left cannot
        tell apart: after a step of 12 s in the morning what was spent in the last 17 s before
        midnight, and not all of the day before. Each period keeps what it had, however often our
        time moves: it is looked at anew, by all moves since. Returns the starts of all that count.
        Reserves are to be made anew.
        """
        period, known = self.period_ns, self._known()
        if period is None:
            return frozenset()
        for one in known:
            one.earlier = one.earlier or (not one.moved_ns and one.start_ns < since_ns)
        start_ns = (
            now_ns - now_ns % period
            if self.aligned
            else self._moved_ns(known, period, by_ns, now_ns, since_ns)
        )
        spent, counted, in_part = 0, set[int](), set[int]()
        for one in known:
            one.moved_ns += by_ns
            left_ns = one.start_ns + period + one.moved_ns - start_ns
            if one.start_ns == start_ns:
                left_ns = 2 * period
            if left_ns <= 0:
                continue
            counted.add(one.start_ns)
            # what an earlier run spent in a period that is over is over
            over = one.start_ns < start_ns and one.inherited_msat > 0
            spent += one.spent_within_msat(left_ns) + (0 if over else one.inherited_msat)
            if over or left_ns < period:
                in_part.add(one.start_ns)
        self.begin(start_ns, spent)
        self.inherited_msat, self.passed = 0, known
        self.merged = frozenset(counted - in_part - {start_ns})
        return frozenset(counted)

    def _moved_ns(
        self, known: list[Period], period: int, by_ns: int, now_ns: int, since_ns: int
    ) -> int:
        """When the period of now_ns began, if periods keep no grid.

        One of an earlier run that goes on at now_ns is true, and only a jump of our time had ended
        it. One that this run has begun, or that would lie ahead, moves with the time, and ends as
        much later as it would have. Else a new one begins.
        """
        before = [one.start_ns for one in known if one.earlier]
        for start_ns in before:
            if start_ns <= now_ns < start_ns + period:
                return start_ns
        moves = self.period_start_ns >= since_ns or self.period_start_ns > now_ns
        # an earlier run's time may have been ahead by more than ours was: no period begins in the
        # future
        return min(self.period_start_ns + by_ns, now_ns) if moves else now_ns

    def _known(self) -> list[Period]:
        """All that is kept, the present period last, what is empty too: a payment of it may be
        open. Beyond PERIODS_KEPT two that are parts of one period become one, with the later end,
        for which more counts; or the oldest is forgotten. To be asked once a move: they change.
        """
        present = Period(self.period_start_ns, self.inherited_msat, self.by_left)
        known = [*self.passed, present]
        if len(known) > PERIODS_KEPT:
            second = next(
                (
                    index
                    for index in range(1, PERIODS_KEPT)
                    if known[index - 1].start_ns == known[index].start_ns
                    or known[index - 1].start_ns + known[index - 1].moved_ns
                    == known[index].start_ns + known[index].moved_ns
                ),
                0,
            )
            oldest = known.pop(max(0, second - 1))
            if second:
                known[second - 1].take(oldest)
        return known

    def period_of(self, moment_ns: int) -> int:
        """When the period of a moment up to now began, after roll(now); 0 for one before periods
        that keep no grid.
        """
        if self.period_ns is None or moment_ns >= self.period_start_ns:
            return self.period_start_ns
        return moment_ns - moment_ns % self.period_ns if self.aligned else 0

    def end_ns(self) -> int | None:
        """When the present period ends; None: never."""
        return None if self.period_ns is None else self.period_start_ns + self.period_ns

    def room_msat(self) -> int:
        """What is neither spent nor reserved; negative after a late settlement."""
        return self.limit_msat - self.spent_msat - self.reserved_msat

    def room_at_msat(self, now_ns: int) -> int:
        """The room as it is at now_ns, whether or not somebody has rolled the period since."""
        begins = self.period_ns is not None and now_ns >= self.period_start_ns + self.period_ns
        return self.limit_msat if begins else self.room_msat()

    def present_of(self, period_start_ns: int) -> int:
        """The period in which the money of that one counts."""
        return self.period_start_ns if period_start_ns in self.merged else period_start_ns

    def reserve(self, msat: int) -> int:
        """Set msat aside and return the period to which this reserve belongs."""
        self.reserved_msat += msat
        return self.period_start_ns

    def release(
        self, period_start_ns: int, reserved_msat: int, spent_msat: int, planned_ns: int
    ) -> None:
        """End a reserve of that period: spent_msat of it (or more, or less) was spent, as planned
        at planned_ns.
        """
        if period_start_ns != self.period_start_ns and period_start_ns not in self.merged:
            passed = [one for one in self.passed if one.start_ns == period_start_ns]
            if passed and self.period_ns is not None:
                left_ns = period_start_ns + self.period_ns + passed[-1].moved_ns - planned_ns
                add_by_left(passed[-1].by_left, left_ns, spent_msat)
            return
        if spent_msat < 0 and period_start_ns not in self.merged and self._had(period_start_ns):
            return
        self.reserved_msat -= reserved_msat
        self.spent_msat += spent_msat
        if spent_msat and self.period_ns is not None:
            left_ns = self.period_start_ns + self.period_ns - planned_ns
            add_by_left(self.by_left, left_ns, spent_msat)
        if self.reserved_msat < 0:
            raise AssertionError(
                f"budget released {-self.reserved_msat} msat more than was reserved"
            )

    def _had(self, start_ns: int) -> bool:
        """Whether a time that was put right since had a period of this start, too: what is refunded
        was spent in that, perhaps, and is no money of this one.
        """
        return any(one.moved_ns and one.start_ns == start_ns for one in self.passed)
