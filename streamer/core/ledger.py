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
    """One period of a budget. inherited_msat: what of spent_msat an earlier run of the daemon had
    spent, by the time that it had. The rest is in by_left, by the bits of the time that was left of
    the period (ns) when it was planned.
    """

    start_ns: int
    spent_msat: int
    inherited_msat: int
    by_left: dict[int, int]

    def spent_within_msat(self, left_ns: int) -> int:
        """What this run has spent in the last left_ns of the period, and of as much time again
        before at most.
        """
        bits = bits_of(left_ns)
        return sum(msat for of_bits, msat in self.by_left.items() if of_bits <= bits)


def bits_of(left_ns: int) -> int:
    """Where by_left keeps what was planned so long before its period's end."""
    return max(FINEST, max(0, left_ns).bit_length())


def add_by_left(by_left: dict[int, int], left_ns: int, msat: int) -> None:
    """Count msat there: at each payment, so a comparison stands for the calls of bits_of."""
    bits = left_ns.bit_length() if left_ns >> FINEST > 0 else FINEST
    by_left[bits] = by_left.get(bits, 0) + msat


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
        passed = [*self.passed, self._present()][-PASSED_KEPT:]
        self.begin(period_start_ns)
        self.passed = passed

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
        midnight, and not all of the day before. Returns the starts of all these periods. Reserves
        are to be made anew.
        """
        period, known = self.period_ns, [*self.passed, self._present()]
        if period is None:
            return frozenset()
        start_ns = (
            now_ns - now_ns % period
            if self.aligned
            else self._moved_ns(period, by_ns, now_ns, since_ns)
        )
        from_ns = start_ns - by_ns  # when it began, by the time before
        of_it = [
            one for one in known if one.start_ns == start_ns or one.start_ns + period > from_ns
        ]
        in_part = [one for one in of_it if one.start_ns < min(start_ns, from_ns)]
        whole = [
            one
            for one in of_it
            if one not in in_part and (one.start_ns >= start_ns or not one.inherited_msat)
        ]
        spent, by_left = 0, dict[int, int]()
        for one in of_it:
            left_ns = one.start_ns + period - from_ns if one in in_part else 2 * period
            within = one.spent_within_msat(left_ns)
            spent += one.spent_msat if one in whole else within
            for bits, msat in one.by_left.items():
                if bits <= bits_of(left_ns):
                    # the least that may have been left of it, in the period of now
                    least_ns = (1 << bits - 1) + start_ns - one.start_ns - by_ns
                    add_by_left(by_left, least_ns, msat)
        merged = self.merged.union(one.start_ns for one in whole) - {start_ns}
        self.begin(start_ns, spent)
        self.by_left = by_left
        self.inherited_msat, self.merged = (
            sum(one.inherited_msat for one in of_it if one.start_ns == start_ns),
            merged,
        )
        return frozenset(one.start_ns for one in of_it)

    def _moved_ns(self, period: int, by_ns: int, now_ns: int, since_ns: int) -> int:
        """When the period of now_ns began, if periods keep no grid.

        One of an earlier run that goes on at now_ns is true, and only a jump of our time had ended
        it. One that this run has begun, or that would lie ahead, moves with the time, and ends as
        much later as it would have. Else a new one begins.
        """
        before = [
            one.start_ns for one in (*self.passed, self._present()) if one.start_ns < since_ns
        ]
        for start_ns in before:
            if start_ns <= now_ns < start_ns + period:
                return start_ns
        moves = self.period_start_ns >= since_ns or self.period_start_ns > now_ns
        # an earlier run's time may have been ahead by more than ours was: no period begins in the
        # future
        return min(self.period_start_ns + by_ns, now_ns) if moves else now_ns

    def _present(self) -> Period:
        return Period(self.period_start_ns, self.spent_msat, self.inherited_msat, self.by_left)

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
            for passed in self.passed:
                if passed.start_ns == period_start_ns:
                    passed.spent_msat += spent_msat
                    if self.period_ns is not None:
                        left_ns = period_start_ns + self.period_ns - planned_ns
                        add_by_left(passed.by_left, left_ns, spent_msat)
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
