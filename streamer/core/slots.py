"""Who takes up room at one node: the window, HTLC slots, and each destination's part. What all may
take together: shares.py.

What a receiver keeps open is his choice; only what is sent can be bounded. So a destination is
*proven* or not: one whose last payment settled within hold_after may have more under way with each
that does, up to the cap; any other has one. All that is stuck (held, in doubt, out of sight with an
HTLC) or under way to who is not proven takes at most half of the window together: a thousand
receivers that hold leave the rest to those who never did.

What is beyond that can only come of receivers that were proven. When a quarter of the window is
found to be kept by such ones at the same time, that is an *alarm*: every proof of before is *dated*
until its destination settles another one in time. To who is dated one payment is under way at a
time, and to all of them together at most half of the window. Else those that have nothing under way
yet would take the places of those that are just found out, and everybody else would wait for
hold_after once more, and again: as often as the crowd is larger than the window. Who settles has
proven himself anew within one payment, and has the other half of the window.
"""

from __future__ import annotations

from collections import deque
from typing import TypeVar

from streamer.core.shares import Shares, part
from streamer.words.model import Mark, Payment, PaymentState

FREE_MARKS = frozenset({Mark.ORPHAN, Mark.LOST_SIGHT})
"""Payments so marked hold money, but no place of their stream, and none in the window (money rules
5, 6).
"""
KEPT_PROOFS = 100_000
"""Destinations that are known as proven; beyond, the one that settled longest ago has to prove
itself again.
"""

NO_PROOF = (-1, 1, 0)
"""That of who has settled none in time: after no alarm, one payment, never."""

Key = TypeVar("Key")
Pair = tuple[bytes, int]
"""(destination, number of the API key)."""


class Slots:
    """The open payments of one node by what they take, and what its destinations have shown."""

    def __init__(self, cap: int, hold_after_ns: int) -> None:
        self.cap = cap
        self.hold_after_ns = hold_after_ns
        self.window: dict[int, Payment] = {}
        self.stuck: dict[int, Payment] = {}
        self.doubtful: dict[int, Payment] = {}
        self.shares = Shares()
        self.freed: set[int] = set()
        """Keys whose share has got room by another key's payment, which proved their receiver: for
        the gate to call.
        """
        self._flights: dict[bytes, dict[int, Payment]] = {}
        # (alarm, most, settled_ns) of each that is or was proven
        self._proofs: dict[bytes, tuple[int, int, int]] = {}
        self._alarm = 0
        # (planned_ns, places) of what was found to be kept by who was proven, lately
        self._found: deque[tuple[int, int]] = deque()
        self._holders: dict[Pair, int] = {}
        self._doubts: dict[int, int] = {}
        self._seen: set[int] = set()

    # -- how much there is ----------------------------------------------------------------------

    def is_clear(self, destination: bytes, api_key: int) -> bool:
        """True if nothing keeps a payment from destination: it is proven, has not all that it may
        have, and holds nothing. The question of every payment.
        """
        proof = self._proofs.get(destination, NO_PROOF)
        if proof[0] != self._alarm or (destination, api_key) in self._holders:
            return False
        flights = self._flights.get(destination)
        return flights is None or len(flights) < min(self.cap, proof[1])

    def full(self, destination: bytes) -> bool:
        """True if destination has all the payments under way that it may have: the cap, or what it
        has shown.
        """
        flights = self._flights.get(destination)
        return (0 if flights is None else len(flights)) >= min(self.cap, self._allowed(destination))

    def _allowed(self, destination: bytes) -> int:
        """What it has shown, since the last alarm."""
        return self._proofs[destination][1] if self.proven(destination) else 1

    def proven(self, destination: bytes) -> bool:
        """True if its last payment settled in time, after the last alarm."""
        return self._proofs.get(destination, NO_PROOF)[0] == self._alarm

    def dated(self, destination: bytes) -> bool:
        """True if it did before the last alarm, and not since."""
        return destination in self._proofs and not self.proven(destination)

    def settled_ns(self, destination: bytes) -> int:
        """When it settled last, in time; 0: never, or before the start."""
        return self._proofs.get(destination, NO_PROOF)[2]

    def obstacle(self, destination: bytes, api_key: int) -> int | None:
        """Whose share keeps a payment from destination (shares.obstacle): none, if it is proven."""
        return (
            None
            if self.proven(destination)
            else self.shares.obstacle(api_key, self.dated(destination))
        )

    def admits(self, destination: bytes, api_key: int, invoice: bool = False) -> bool:
        """Whether the shares allow a payment to destination: always, if it is proven and no
        invoice, which may be held by design.
        """
        if self.obstacle(destination, api_key) is not None:
            return False
        return not invoice or destination not in self._proofs or self.shares.invoice_fits(api_key)

    def jammed(self, destination: bytes, api_key: int, invoice: bool = False) -> bool:
        """True if what is stuck takes the share by itself that a payment to destination needs."""
        return self.shares.jammed(api_key, self.dated(destination) and not invoice)

    # -- what takes it --------------------------------------------------------------------------

    def take(self, payment: Payment) -> None:
        """Count a payment that is open now: a new one, or one of the journal with its mark."""
        was, payment.mark = payment.mark, Mark.NONE
        self._enter_window(payment)
        if was is not Mark.NONE:
            self.set_mark(payment, was)

    def set_mark(self, payment: Payment, mark: Mark) -> None:
        """Change the mark, and what the payment takes with it."""
        self._count_hold(payment, -1)
        payment.mark = mark
        self._count_hold(payment, 1)
        self._seen.discard(payment.row)
        if mark in FREE_MARKS:
            self.clear_doubt(payment)
        self._place(payment)

    def see(self, payment: Payment, has_htlc: bool) -> None:
        """Whether a channel has an HTLC of a payment that is out of sight."""
        (self._seen.add if has_htlc else self._seen.discard)(payment.row)
        self._place(payment)

    def doubt(self, payment: Payment) -> int:
        """Count payment as in doubt; how many of its stream are."""
        self.doubtful[payment.row] = payment
        self._doubts[payment.stream_key] = self._doubts.get(payment.stream_key, 0) + 1
        self._unprove(payment)
        self._place(payment)
        return self._doubts[payment.stream_key]

    def clear_doubt(self, payment: Payment) -> bool:
        """Undo doubt; True if it was in doubt."""
        if self.doubtful.pop(payment.row, None) is None:
            return False
        _lower(self._doubts, payment.stream_key)
        return True

    def doubts(self, stream_key: int) -> int:
        """How many payments of the stream are in doubt."""
        return self._doubts.get(stream_key, 0)

    def end(self, payment: Payment, mark: Mark, excused: bool) -> None:
        """It has ended: it takes nothing any more, and has shown what its destination does. mark:
        what stays on it.

        excused: it may be late because nobody could see its end before.
        """
        held = payment.mark is Mark.HELD
        if payment.mark is not Mark.NONE or payment.row in self.doubtful:
            self.clear_doubt(payment)
            self._count_hold(payment, -1)
            self._seen.discard(payment.row)
        self._leave(payment)
        payment.mark = mark
        if held or self.is_late(payment):
            if held or not excused:
                self._unprove(payment)
        elif payment.state is PaymentState.SETTLED:
            self.prove(payment.destination, self._allowed(payment.destination) + 1, payment.end_ns)

    def is_late(self, payment: Payment) -> bool:
        """Whether an ended payment took longer than a receiver may that is proven."""
        return payment.end_ns - payment.planned_ns > self.hold_after_ns

    def _place(self, payment: Payment) -> None:
        if payment.mark is Mark.HELD or payment.row in self.doubtful or payment.row in self._seen:
            self._enter_stuck(payment)
        elif payment.mark in FREE_MARKS:
            self._leave(payment)
        else:
            self._enter_window(payment)

    def _enter_window(self, payment: Payment) -> None:
        if payment.row in self.window:
            return
        if payment.row in self.stuck:
            self._leave(payment)
        self.window[payment.row] = payment
        flights = self._flights.get(payment.destination)
        if flights is None:
            flights = self._flights[payment.destination] = {}
        flights[payment.row] = payment
        self._count(payment, 1)

    def _enter_stuck(self, payment: Payment) -> None:
        if payment.row not in self.stuck:
            self._leave(payment)
            self.stuck[payment.row] = payment
            self.shares.add(payment.api_key, stuck=1)

    def _leave(self, payment: Payment) -> None:
        if self.window.pop(payment.row, None) is not None:
            flights = self._flights[payment.destination]
            del flights[payment.row]
            if not flights:
                del self._flights[payment.destination]
            self._count(payment, -1)
        elif self.stuck.pop(payment.row, None) is not None:
            self.shares.add(payment.api_key, stuck=-1)

    def _count(self, payment: Payment, change: int) -> None:
        """Count one under way, or no more, as its destination is known now."""
        proof = self._proofs.get(payment.destination)
        if proof is None:
            self.shares.add(payment.api_key, unproven=change)
        elif proof[0] != self._alarm:
            self.shares.add(payment.api_key, dated=change)

    # -- what receivers do ----------------------------------------------------------------------

    def holds(self, destination: bytes, api_key: int) -> bool:
        """True while the receiver holds a keysend of this API key: it gets no more from it. An
        invoice may be held by design.
        """
        return (destination, api_key) in self._holders

    @property
    def held(self) -> int:
        """How many keysends receivers hold."""
        return sum(self._holders.values())

    @property
    def holders(self) -> list[Pair]:
        """Who holds payments of whom."""
        return list(self._holders)

    def _count_hold(self, payment: Payment, change: int) -> None:
        if payment.mark is not Mark.HELD or payment.payment_request:
            return
        pair = (payment.destination, payment.api_key)
        if change > 0:
            self._holders[pair] = self._holders.get(pair, 0) + 1
            self._unprove(payment)
        else:
            _lower(self._holders, pair)

    def prove(self, destination: bytes, most: int, settled_ns: int = 0) -> None:
        """It has settled in time: most payments may be under way to it, within the cap. settled_ns:
        when (0: before the start).
        """
        if not self.proven(destination):
            for payment in self._flights.get(destination, {}).values():
                self._count(payment, -1)
                self.freed.add(payment.api_key)
        self._proofs.pop(destination, None)
        self._proofs[destination] = (self._alarm, min(most, self.cap), settled_ns)
        if len(self._proofs) > KEPT_PROOFS:
            self._forget(next(iter(self._proofs)))

    def move_time(self, by_ns: int) -> None:
        """Our time has moved."""
        self._found = deque((planned_ns + by_ns, places) for planned_ns, places in self._found)
        self._proofs = {
            destination: (alarm, most, settled_ns + by_ns if settled_ns else 0)
            for destination, (alarm, most, settled_ns) in self._proofs.items()
        }

    def _unprove(self, payment: Payment) -> None:
        if payment.destination not in self._proofs or payment.payment_request:
            return
        if self.proven(payment.destination):
            self._find_out(payment)
        self._forget(payment.destination)

    def _forget(self, destination: bytes) -> None:
        flights = self._flights.get(destination, {}).values()
        for payment in flights:
            self._count(payment, -1)
        del self._proofs[destination]
        for payment in flights:
            self._count(payment, 1)

    def _find_out(self, payment: Payment) -> None:
        """Who was proven keeps payment, and with it probably all that is under way to him.

        What was planned within hold_after of each other was kept at the same time: so many places
        were taken from everybody else. Less than a quarter of the window is no alarm, whenever it
        happens: it leaves them enough.
        """
        others = self._flights.get(payment.destination, {}).keys() - {payment.row}
        self._found.append((payment.planned_ns, 1 + len(others)))
        while self._found[0][0] < payment.planned_ns - self.hold_after_ns:
            self._found.popleft()
        if sum(places for _, places in self._found) >= part(self.shares.size):
            self._raise_alarm()

    def _raise_alarm(self) -> None:
        """What was proven is dated now. The window is looked through once for a quarter of it that
        was found out.
        """
        for payment in self.window.values():
            if self.proven(payment.destination):
                self.shares.add(payment.api_key, dated=1)
        self._alarm += 1
        self._found.clear()


def _lower(counts: dict[Key, int], key: Key) -> None:
    if counts[key] == 1:
        del counts[key]
    else:
        counts[key] -= 1
