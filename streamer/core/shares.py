"""What the payments of each API key, and of all together, take of what is bounded, and whose part
it is.

Three kinds are counted. *Stuck* is what receivers hold, what is in doubt, and what is out of sight
with an HTLC. *Unproven* is what is under way to receivers who have not settled in time; *dated*
what is under way to those who have, but before the last alarm (slots.py). What is stuck or unproven
takes at most half of the window together. What is unproven or dated has at most half of it under
way: the other half is always there for those who have proven themselves since the alarm.

A key has half of such a half. What it takes beyond (its receivers were proven, and then held all at
once) counts against itself alone, and in no sum that another key is measured by: so a crowd of one
key stops no other, however large it is. What is dated is under way for hold_after at most, so a key
may have the whole half for it while nobody else takes any; but as each may be held in the end,
never so much that more than three quarters of the HTLC slots are taken.
"""

from __future__ import annotations

from dataclasses import dataclass

EVERYBODY = -1
"""In the place of a key's number: the half of all keys together."""
UNBOUNDED = 1 << 30
"""The window until the engine has told it."""


def half(of: int) -> int:
    """What all may take of so many."""
    return max(1, of // 2)


def part(of: int) -> int:
    """What one key may take of so many."""
    return max(1, of // 4)


@dataclass(slots=True)
class Taken:
    """Counts of payments: those that are stuck, and those under way to receivers who are not
    proven, or were before the alarm.
    """

    stuck: int = 0
    unproven: int = 0
    dated: int = 0

    @property
    def all(self) -> int:
        """What takes of the half that is for long."""
        return self.stuck + self.unproven

    @property
    def under_way(self) -> int:
        """What takes of the half of what is under way."""
        return self.unproven + self.dated

    @property
    def slots(self) -> int:
        """What has, or may have, an HTLC out for long."""
        return self.stuck + self.unproven + self.dated


NOTHING = Taken()


class Shares:
    """The counts of one node. most, size: of the window; offered: HTLCs that the channels accept of
    ours (None: not looked yet).
    """

    def __init__(self) -> None:
        self.most = self.size = UNBOUNDED
        self.offered: int | None = None
        self.taken = Taken()
        self._seen_offered = UNBOUNDED
        self._of_key: dict[int, Taken] = {}
        self._all = self._under_way = self._stuck = 0
        """Sums over the keys, of each no more than its part."""

    def resize(self, most: int, size: int) -> bool:
        """Take the window's bound and its present size (payments); True if there is more room than
        before, of the slots too.
        """
        offered = UNBOUNDED if self.offered is None else self.offered
        more = most > self.most or size > self.size or offered > self._seen_offered
        self._seen_offered = offered
        if (most, size) != (self.most, self.size):
            self.most, self.size = most, size
            self._all = self._under_way = self._stuck = 0
            for of_key in self._of_key.values():
                self._sum(of_key, 1)
        return more

    def carried(self, size: int) -> int:
        """What of a window of size the slots carry, half of those that are free (channelview.room):
        never the last one.
        """
        if self.offered is None or not self.taken.stuck:
            return size
        return min(size, max(0, self.offered - self.taken.stuck) // 2)

    def add(self, api_key: int, stuck: int = 0, unproven: int = 0, dated: int = 0) -> None:
        """Count so many more, or less."""
        of_key = self._of_key.get(api_key)
        if of_key is None:
            of_key = self._of_key[api_key] = Taken()
        self._sum(of_key, -1)
        for taken in (self.taken, of_key):
            taken.stuck += stuck
            taken.unproven += unproven
            taken.dated += dated
        self._sum(of_key, 1)
        if not of_key.slots:
            del self._of_key[api_key]

    def _sum(self, of_key: Taken, change: int) -> None:
        self._all += change * min(of_key.all, part(self.most))
        self._stuck += change * min(of_key.stuck, part(self.most))
        self._under_way += change * min(of_key.under_way, part(self.size))

    # -- what is left ---------------------------------------------------------------------------

    def obstacle(self, api_key: int, dated: bool) -> int | None:
        """Whose share is taken, that of the key or that of EVERYBODY; None: one more may be under
        way to who is unproven, or dated.
        """
        of_key = self._of_key.get(api_key, NOTHING)
        if dated:
            if self._takes_slots(of_key.slots, self.taken.slots):
                return api_key
            if self.taken.under_way < half(self.size):
                return None
        elif of_key.all >= part(self.most):
            return api_key
        if of_key.under_way >= part(self.size):
            return api_key
        return EVERYBODY if self.all_full(dated) else None

    def all_full(self, dated: bool) -> bool:
        """True if the share of all is taken."""
        return self._under_way >= half(self.size) or (not dated and self._all >= half(self.most))

    def jammed(self, api_key: int, dated: bool) -> bool:
        """True if what is stuck takes the share of all or of this key by itself: nothing is free
        before a hold ends.
        """
        of_key = self._of_key.get(api_key, NOTHING)
        if dated:
            return self._takes_slots(of_key.stuck, self.taken.stuck)
        return self._stuck >= half(self.most) or of_key.stuck >= part(self.most)

    def invoice_fits(self, api_key: int) -> bool:
        """Whether one more may be held by design: of this key, and while less than half of the
        slots are.
        """
        most = self.most if self.offered is None else self.offered
        return self._of_key.get(api_key, NOTHING).all < part(self.most) and self.taken.stuck < half(
            most
        )

    def _takes_slots(self, of_key: int, of_all: int) -> bool:
        """Whether a key has its part of the HTLC slots, and all together have three quarters of
        them.
        """
        return (
            self.offered is not None
            and of_key >= part(self.offered)
            and of_all >= self.offered * 3 // 4
        )
