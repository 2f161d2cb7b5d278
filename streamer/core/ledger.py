"""Budgets: two-phase money on several levels at once.

A payment first reserves its amount and fee limit on every level (daemon, key, stream), all or none.
Its end posts what settled or voids the reserve. A reserve belongs to the period in which it was
made and stays there when it ends later; a period never goes backwards with the clock.
"""

from __future__ import annotations

PPM = 1_000_000


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


class Budget:
    """limit_msat per period, amounts and fees together.

    aligned: periods begin at multiples of period_ns since 1970 (UTC). Otherwise the period begins
    when `begin` says so and lasts period_ns from there. period_ns None: one period without end.
    """

    __slots__ = ("aligned", "limit_msat", "period_ns", "period_start_ns", "reserved_msat", "spent_msat")

    def __init__(self, limit_msat: int, period_ns: int | None, aligned: bool = True) -> None:
        self.limit_msat = limit_msat
        self.period_ns = period_ns
        self.aligned = aligned
        self.period_start_ns = 0
        self.spent_msat = 0
        self.reserved_msat = 0

    def begin(self, period_start_ns: int, spent_msat: int = 0) -> None:
        """Start a period, with what was spent in it already."""
        self.period_start_ns = period_start_ns
        self.spent_msat = spent_msat
        self.reserved_msat = 0

    def roll(self, now_ns: int) -> None:
        """Go on to the period of now_ns, if that is a later one."""
        period = self.period_ns
        if period is None or now_ns < self.period_start_ns + period:
            return
        self.begin(now_ns - now_ns % period if self.aligned else now_ns)

    def period_of(self, moment_ns: int) -> int:
        """When the period of a moment up to now began, after roll(now); 0 for one before periods that keep no grid."""
        if self.period_ns is None or moment_ns >= self.period_start_ns:
            return self.period_start_ns
        return moment_ns - moment_ns % self.period_ns if self.aligned else 0

    def end_ns(self) -> int | None:
        """When the present period ends; None: never."""
        return None if self.period_ns is None else self.period_start_ns + self.period_ns

    def room_msat(self) -> int:
        """What is neither spent nor reserved; negative after a late settlement."""
        return self.limit_msat - self.spent_msat - self.reserved_msat

    def reserve(self, msat: int) -> int:
        """Set msat aside and return the period to which this reserve belongs."""
        self.reserved_msat += msat
        return self.period_start_ns

    def release(self, period_start_ns: int, reserved_msat: int, spent_msat: int) -> None:
        """End a reserve of that period: spent_msat of it (or more, or less) was spent."""
        if period_start_ns != self.period_start_ns:
            return
        self.reserved_msat -= reserved_msat
        self.spent_msat += spent_msat
        if self.reserved_msat < 0:
            raise AssertionError(f"budget released {-self.reserved_msat} msat more than was reserved")
