"""What keeps a stream that is due from paying, and where it waits meanwhile: in one line for each
obstacle, not with one look for each.

The streams of one API key to one destination wait in one line while the receiver holds a payment of
that key, while the destination has all under way that it may have, or while the first of them waits
for a share of what is not proven, or was before an alarm (shares.py): for its key's, or for
everybody's. In a line the earliest due is first, and nobody costs anything until called. A line
moves one by one: each end, and each stream that had its turn, calls the next. So where somebody
waits though there is room, one of that line is among the ready.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass

from streamer.core.shares import EVERYBODY
from streamer.core.slots import Pair, Slots
from streamer.words.model import Single, Stream
from streamer.words.reasons import Reason

Entry = tuple[int, int]
"""(due_ns, stream key)."""


@dataclass(slots=True, frozen=True)
class Share:
    """The place before a share: of one key or of EVERYBODY, for destinations that were proven
    before the alarm or never.
    """

    api_key: int
    dated: bool


Place = Pair | Share
"""Where a line stands: before a destination, for the streams of one key; or before a share."""
MOST_STALE = 1_000
"""So many entries of streams that left may stay in a line beside as many as there are live ones."""


class Line:
    """Streams that wait for one thing. What leaves before its turn leaves a stale entry behind,
    recognised at the head.

    Before a share of what was proven before an alarm every other turn is that of the one whose
    destination settled last: what holds has settled none since it began to, so of those behind a
    hub that is gone, and of a crowd that holds all at once, none is before who went on until there
    was no room any more. The turns between are of who is due first, so nobody waits for ever.
    """

    def __init__(self) -> None:
        self._live: dict[int, int] = {}
        self._heap: list[Entry] = []
        self._latest: list[tuple[int, Entry]] = []  # (settled last, negative; entry)
        self._by_due = False

    def __len__(self) -> int:
        return len(self._live)

    def push(self, entry: Entry, settled_ns: int = 0) -> None:
        """Let a stream wait; it does not yet. settled_ns: when its destination settled last, if
        that gives it a turn (else 0).
        """
        self._live[entry[1]] = entry[0]
        heapq.heappush(self._heap, entry)
        if settled_ns:
            heapq.heappush(self._latest, (-settled_ns, entry))

    def first(self) -> Entry:
        """The earliest; there must be one."""
        while not self._waits(self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0]

    def next(self) -> Entry:
        """Whose turn it is, and before whom it goes: as one that is due since a moment before the
        first. There must be one.
        """
        while self._latest and not self._waits(self._latest[0][1]):
            heapq.heappop(self._latest)
        self._by_due = not (self._by_due and self._latest)
        first = self.first()
        return first if self._by_due else (first[0] - 1, self._latest[0][1][1])

    def drop(self, stream_key: int) -> int:
        """This one waits no more; since when it was due (ns)."""
        due_ns = self._live.pop(stream_key)
        if len(self._heap) > 2 * len(self._live) + MOST_STALE:
            self._heap = [(moment, key) for key, moment in self._live.items()]
            heapq.heapify(self._heap)
        if len(self._latest) > 2 * len(self._live) + MOST_STALE:
            self._latest = [turn for turn in self._latest if self._waits(turn[1])]
            heapq.heapify(self._latest)
        return due_ns

    def move_time(self, by_ns: int) -> None:
        """Our time has moved; no order changes by that."""
        self._live = {key: due_ns + by_ns for key, due_ns in self._live.items()}
        self._heap = _moved(self._heap, by_ns)
        self._latest = [
            (settled_ns - by_ns, (due_ns + by_ns, key))
            for settled_ns, (due_ns, key) in self._latest
        ]

    def _waits(self, entry: Entry) -> bool:
        return self._live.get(entry[1]) == entry[0]


def _moved(entries: list[Entry], by_ns: int) -> list[Entry]:
    """A heap of moments, moved: it stays one."""
    return [(due_ns + by_ns, key) for due_ns, key in entries]


class Gate:
    """The streams that are due: ready, in the order of due, or in a line. streams: those of the
    book, by key.
    """

    def __init__(self, slots: Slots, streams: Mapping[int, Stream]) -> None:
        self.ready: list[Entry] = []
        self._slots = slots
        self._streams = streams
        self._queued: set[int] = set()
        self._lines: dict[Place, Line] = {}
        self._at: dict[int, Place] = {}
        # who waits for a share, by destination and key: the others wait behind it
        self._before: dict[bytes, dict[int, int]] = {}
        # of each destination: (due_ns, key) of the lines that may move
        self._turns: dict[bytes, list[Entry]] = {}
        self._in_turn: set[Pair] = set()
        # keys that wait for their share of what is dated: they may have what nobody else takes
        self._borrowers: dict[int, None] = {}

    def __contains__(self, stream_key: int) -> bool:
        return stream_key in self._queued

    def __len__(self) -> int:
        """Streams that are due and wait for room; not those whose receiver holds a payment."""
        held = (self._lines[pair] for pair in self._slots.holders if pair in self._lines)
        return len(self._queued) - sum(len(line) for line in held)

    def add(self, entry: Entry) -> None:
        """A stream is due."""
        heapq.heappush(self.ready, entry)
        self._queued.add(entry[1])

    def waits(self, stream_key: int) -> bool:
        """Whether it stands in a line."""
        return stream_key in self._at

    def done(self, stream_key: int) -> None:
        """It has its turn now."""
        self._queued.discard(stream_key)

    def take_ready(self, most: int) -> list[Entry]:
        """Take out the first of those that are ready: nothing may be sent to anybody."""
        taken = [heapq.heappop(self.ready) for _ in range(min(most, len(self.ready)))]
        for entry in taken:
            self.done(entry[1])
        return taken

    def move_time(self, by_ns: int) -> None:
        """Our time has moved: who waits is due since the same moment, by the new time."""
        self.ready[:] = _moved(self.ready, by_ns)
        self._turns = {
            destination: _moved(turns, by_ns) for destination, turns in self._turns.items()
        }
        for line in self._lines.values():
            line.move_time(by_ns)

    def leave(self, stream: Stream) -> None:
        """It may not pay any more, and waits no longer in its line."""
        self._queued.discard(stream.key)
        self._take(stream.key)
        self.call(stream.terms.destination, stream.api_key)

    # -- what keeps it --------------------------------------------------------------------------

    def place(self, stream: Stream) -> Place | None:
        """Where stream has to wait now; None: it may pay."""
        pair, slots = (stream.terms.destination, stream.api_key), self._slots
        if slots.is_clear(*pair):
            return None
        if slots.holds(*pair) or slots.full(pair[0]):
            return pair
        whose = slots.obstacle(*pair)
        if whose is None:
            return None
        return (
            pair if pair[1] in self._before.get(pair[0], ()) else Share(whose, slots.dated(pair[0]))
        )

    def park(self, entry: Entry, stream: Stream, place: Place) -> None:
        """Let stream wait there until it is called."""
        dated = isinstance(place, Share) and place.dated
        settled_ns = self._slots.settled_ns(stream.terms.destination) if dated else 0
        self._lines.setdefault(place, Line()).push(entry, settled_ns)
        self._at[stream.key] = place
        if not isinstance(place, Share):
            self._await_turn(place)
            return
        self._before.setdefault(stream.terms.destination, {})[stream.api_key] = stream.key
        if place.dated and place.api_key != EVERYBODY:
            self._borrowers[place.api_key] = None

    def why(self, stream: Stream) -> Reason:
        """RECEIVER_HOLDS or NO_SLOTS, if that is what keeps stream from paying; NONE if nothing
        does, or only a busy receiver.
        """
        destination, key, slots = stream.terms.destination, stream.api_key, self._slots
        if slots.holds(destination, key):
            return Reason.RECEIVER_HOLDS
        return Reason.NONE if slots.admits(destination, key) else Reason.NO_SLOTS

    def refuses(self, order: Single) -> Reason:
        """RECEIVER_HOLDS or NO_SLOTS, if a single payment is refused while that lasts; NONE if it
        may wait for its turn.
        """
        asked, slots = (order.destination, order.api_key, bool(order.payment_request)), self._slots
        if slots.holds(order.destination, order.api_key):
            return Reason.RECEIVER_HOLDS
        return Reason.NO_SLOTS if not slots.admits(*asked) and slots.jammed(*asked) else Reason.NONE

    def has_turn(self, order: Single) -> bool:
        """Whether a single payment has room now, or is to be refused."""
        if self.refuses(order) is not Reason.NONE:
            return True
        admitted = self._slots.admits(order.destination, order.api_key, bool(order.payment_request))
        return admitted and not self._slots.full(order.destination)

    # -- moving on ------------------------------------------------------------------------------

    def call(self, destination: bytes, api_key: int) -> None:
        """Something may be free for this destination and key now: of each line that has room the
        first is ready again.
        """
        if not self._lines:
            self._slots.freed.clear()
            return
        self._await_turn((destination, api_key))
        if destination in self._before and self._slots.proven(destination):
            for stream_key in list(self._before[destination].values()):
                heapq.heappush(self.ready, self._take(stream_key))
        self._call_destination(destination)
        freed = self._slots.freed - {api_key}
        self._slots.freed.clear()
        for key in (*freed, api_key, EVERYBODY):
            self._call_share(Share(key, dated=False))
        for key in freed:
            self._call_share(Share(key, dated=True))
        # one of them, whose turn calls the next: of two that have room for one, who settled last
        # would always be the first
        for key in (api_key, EVERYBODY):
            if self._call_share(Share(key, dated=True)):
                return
        self._call_borrower()

    def resize(self, most: int, size: int) -> None:
        """Take the window's bound and its present size (payments): have the shares grown, the first
        of each key may go on.
        """
        if not self._slots.shares.resize(most, size):
            return
        for place in [place for place in self._lines if isinstance(place, Share)]:
            self._call_share(place)

    def _await_turn(self, pair: Pair) -> None:
        if pair in self._lines and pair not in self._in_turn:
            self._in_turn.add(pair)
            heapq.heappush(
                self._turns.setdefault(pair[0], []), (self._lines[pair].first()[0], pair[1])
            )

    def _call_destination(self, destination: bytes) -> None:
        """The first of the keys that may pay it. What holds up another one's line, when it ends,
        calls that itself.
        """
        turns = self._turns.get(destination)
        while turns and not self._slots.full(destination):
            pair = (destination, heapq.heappop(turns)[1])
            self._in_turn.discard(pair)
            waits = pair in self._lines and pair[1] not in self._before.get(destination, ())
            if waits and not self._slots.holds(*pair):
                heapq.heappush(self.ready, self._take(self._lines[pair].first()[1]))
                self._await_turn(pair)
                break
        if turns is not None and not turns:
            del self._turns[destination]

    def _call_share(self, place: Share) -> bool:
        """Let the next of a line go on, if its share has room; whether one does."""
        if place not in self._lines:
            return False
        whose = self._obstacle(place)
        if whose == place.api_key:
            return False
        entry = self._lines[place].next()
        self._take(entry[1])
        if whose is None:
            heapq.heappush(self.ready, entry)
        else:
            self.park(entry, self._streams[entry[1]], Share(whose, place.dated))
        return whose is None

    def _obstacle(self, place: Share) -> int | None:
        """Whose share keeps the line before place, as it is now."""
        shares, everybody = self._slots.shares, Share(EVERYBODY, place.dated)
        if place == everybody:
            return EVERYBODY if shares.all_full(place.dated) else None
        whose = shares.obstacle(place.api_key, place.dated)
        if whose is None and everybody in self._lines:
            # behind the keys that wait for it with less: two that have it all would pass it to and
            # fro
            return EVERYBODY
        return whose

    def _call_borrower(self) -> None:
        """Of the keys that have their share, one may have more of what nobody else takes: each in
        its turn.
        """
        for key in list(self._borrowers):
            if self._slots.shares.obstacle(key, dated=True) is None:
                self._borrowers[key] = self._borrowers.pop(key)
                self._call_share(Share(key, dated=True))
                return

    def _take(self, stream_key: int) -> Entry:
        """Out of its line."""
        place = self._at.pop(stream_key)
        line, stream = self._lines[place], self._streams[stream_key]
        due_ns = line.drop(stream_key)
        if not line:
            del self._lines[place]
            if isinstance(place, Share) and place.dated:
                self._borrowers.pop(place.api_key, None)
        if isinstance(place, Share):
            before = self._before[stream.terms.destination]
            del before[stream.api_key]
            if not before:
                del self._before[stream.terms.destination]
        return due_ns, stream_key
