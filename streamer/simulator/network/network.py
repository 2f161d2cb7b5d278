"""A small Lightning network as a pure model: nodes, channels, and payments that take time.

Time is an argument: `advance(now_ns)` runs what is due, `next_event_ns()` says when to come back.
Randomness comes from the generator given. Nothing here awaits, sleeps, logs or speaks a protocol.

A payment's way: `submit` → check and record (IN_FLIGHT) → route, or FAILED at once → HTLCs in the
channels → its pace passes → arrival: settled, failed, held by the receiver, or stuck at a node that
is away and tried again when that is back.
"""

from __future__ import annotations

import hashlib
import heapq
import random
from collections.abc import Callable
from functools import partial

from streamer.simulator.encoding.keys import public_key
from streamer.simulator.network.books import (
    Call,
    FailedAttempt,
    Failure,
    Order,
    PaymentRecord,
    Refused,
    Status,
)
from streamer.simulator.network.channels import (
    ANCHORS_SAT,
    COMMIT_SAT,
    RESERVE_DIVISOR,
    Channel,
    Htlc,
    Policy,
    Side,
)
from streamer.simulator.network.lightning_node import (
    MAX_WAITING_CALLS,
    NOBODY,
    CallFate,
    Flight,
    LightningNode,
)
from streamer.simulator.network.pace import Pace
from streamer.simulator.network.receiving import decide
from streamer.simulator.network.routing import blocked_hop, find_route
from streamer.words.money import MSAT_PER_SAT, SECOND_NS

BLOCK_NS = 600 * SECOND_NS
"""Time between blocks, on the average of Bitcoin."""

FIRST_HEIGHT = 800
"""The height at the network's first moment: segwit is long active, as in a regtest net in use."""


class Network:
    """All nodes and channels, and the queue of what happens next.

    `wake` is called when an event becomes the earliest; whoever drives the model sets it.
    """

    def __init__(self, seed: int = 0, *, start_ns: int = 0, chain: str = "regtest") -> None:
        self.seed = seed
        self.rng = random.Random(seed)  # noqa: S311 - repeatable on purpose, no secret comes of it
        self.start_ns = start_ns
        self.now_ns = start_ns
        self.chain = chain
        self.nodes: dict[bytes, LightningNode] = {}
        self.named: dict[str, LightningNode] = {}
        self.channels: dict[int, Channel] = {}
        self.wake: Callable[[], None] | None = None
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._event_count = 0

    # -- what it is made of ------------------------------------------------------------------

    def add_node(
        self, name: str, pace: Pace | None = None, *, pubkey: bytes | None = None
    ) -> LightningNode:
        """A new node; its key follows from the seed and its name unless given (33 bytes)."""
        node = LightningNode(name, pubkey or public_key(str(self.seed), name), pace or Pace())
        self.nodes[node.pubkey] = node
        self.named[name] = node
        return node

    def open_channel(
        self,
        one: LightningNode,
        two: LightningNode,
        capacity_sat: int,
        push_sat: int = 0,
        policy: Policy | None = None,
        *,
        private: bool = False,
    ) -> Channel:
        """A channel funded by one, of which push_sat belong to two from the start; active at
        once.
        """
        number = len(self.channels) + 1
        txid = hashlib.sha256(f"{self.seed}/channel/{number}".encode()).hexdigest()
        channel = Channel(
            (FIRST_HEIGHT << 40) | (number << 16), f"{txid}:0", capacity_sat * MSAT_PER_SAT
        )
        reserve = channel.capacity_msat // RESERVE_DIVISOR
        pushed = push_sat * MSAT_PER_SAT
        channel.private, channel.push_msat, channel.opened_ns = private, pushed, self.now_ns
        terms = policy or Policy()
        cost = (COMMIT_SAT + ANCHORS_SAT) * MSAT_PER_SAT
        channel.sides = (
            Side(channel, one, two, channel.capacity_msat - cost - pushed, reserve, terms),
            Side(channel, two, one, pushed, reserve, terms),
        )
        for side in channel.sides:
            side.node.sides.append(side)
            side.node.sides_to.setdefault(side.peer.pubkey, []).append(side)
        self.channels[channel.id] = channel
        return channel

    # -- time --------------------------------------------------------------------------------

    @property
    def height(self) -> int:
        """The block height now."""
        return FIRST_HEIGHT + (self.now_ns - self.start_ns) // BLOCK_NS

    def at(self, when_ns: int, action: Callable[[], None]) -> None:
        """Do action when time has come to when_ns; events of one moment keep their order."""
        self._event_count += 1
        event = (when_ns, self._event_count, action)
        heapq.heappush(self._events, event)
        if self.wake is not None and self._events[0] is event:
            self.wake()

    def next_event_ns(self) -> int | None:
        """The moment of the next event, or None when nothing will happen by itself."""
        return self._events[0][0] if self._events else None

    def advance(self, now_ns: int) -> None:
        """Let time come to now_ns and run what is due; a moment in the past changes nothing."""
        events = self._events
        while events and events[0][0] <= now_ns:
            when, _, action = heapq.heappop(events)
            self.now_ns = max(self.now_ns, when)
            action()
        self.now_ns = max(self.now_ns, now_ns)

    # -- sending -----------------------------------------------------------------------------

    def submit(self, payer: LightningNode, order: Order, call: Call) -> None:
        """SendPaymentV2: all that happens is told to call, now or later.

        A call at a frozen node waits there and is executed on the thaw, whoever is gone by then.
        """
        fault = payer.call_fate() if payer.listening else None
        if fault is None:
            self._deliver(payer, order, call)
            return
        if fault.fate is CallFate.ACCEPTED:
            self._deliver(payer, order, NOBODY)
        elif fault.fate is CallFate.LATE:
            self.at(self.now_ns + fault.late_ns, partial(self._deliver, payer, order, NOBODY))
        call.cut()

    def _deliver(self, payer: LightningNode, order: Order, call: Call) -> None:
        if not payer.listening or (payer.frozen and len(payer.inbox) >= MAX_WAITING_CALLS):
            call.cut()
        elif payer.frozen:
            payer.inbox.append(partial(self._deliver, payer, order, call))
        else:
            self._accept(payer, order, call)

    @staticmethod
    def track(
        payer: LightningNode, payment_hash: bytes, call: Call, *, follow: bool = True
    ) -> None:
        """TrackPaymentV2: the present state at once, then (follow) every change until it ends."""
        try:
            record = payer.find(payment_hash)
        except Refused as refusal:
            call.refuse(refusal)
            return
        if follow and record.status is Status.IN_FLIGHT:
            record.calls.append(call)
        call.update(record)

    def _accept(self, payer: LightningNode, order: Order, call: Call) -> None:
        try:
            payer.check(order)
        except Refused as refusal:
            call.refuse(refusal)
            return
        record = payer.record(order, self.now_ns)
        record.calls.append(call)
        self._tell(payer, record)
        self._seek(payer, record)

    def _seek(self, payer: LightningNode, record: PaymentRecord) -> None:
        """Send the payment along a route, or fail it; a route that turns out to be blocked is
        learned from.
        """
        order = record.order
        receiver = self.nodes.get(order.destination)
        while True:
            route = find_route(payer, receiver, order, self.height, self.now_ns)
            if isinstance(route, Failure) or receiver is None:
                self._end(
                    payer,
                    record,
                    Status.FAILED,
                    route if isinstance(route, Failure) else Failure.NO_ROUTE,
                )
                return
            payer.attempts += 1
            record.route, record.attempt_id, record.attempt_ns = route, payer.attempts, self.now_ns
            record.fee_msat = route[0].amount_msat - order.amount_msat
            blocked = blocked_hop(route)
            if blocked < 0:
                self._launch(Flight(payer, receiver, record))
                return
            self._tell(payer, record)
            payer.experience.fail(route[blocked].side, route[blocked].amount_msat, self.now_ns)
            self._fail_attempt(record, "TEMPORARY_CHANNEL_FAILURE", blocked)
            self._tell(payer, record)

    def _fail_attempt(self, record: PaymentRecord, code: str, source: int) -> None:
        route, height = tuple(record.route), self.height
        record.failed.append(
            FailedAttempt(
                record.attempt_id,
                route,
                record.attempt_ns,
                self.now_ns,
                code,
                source,
                height,
                self.chain,
            )
        )
        record.route, record.fee_msat = [], 0

    def _launch(self, flight: Flight) -> None:
        record, payer = flight.record, flight.payer
        payment_hash = record.order.payment_hash
        for hop in record.route:
            side = hop.side
            side.balance_msat -= hop.amount_msat
            hop.htlc = side.next_htlc
            side.next_htlc += 1
            side.htlcs[hop.htlc] = Htlc(payment_hash, hop.amount_msat, hop.expiry_height)
        payer.flights[payment_hash] = flight
        payer.working += 1
        self._tell(payer, record)
        end_ns = payer.pace.end_ns(self.now_ns, payer.working, self.rng)
        for hop in record.route:
            low, high = hop.side.peer.forward_ns
            end_ns += self.rng.randint(low, high) if high else 0
        self.at(end_ns, partial(self._arrive, flight))

    # -- arriving ----------------------------------------------------------------------------

    def _arrive(self, flight: Flight) -> None:
        if flight.done:
            return
        blocker = _blocker(flight)
        if blocker is not None:
            blocker.stuck.append(flight)
            self._stop_working(flight)
        elif flight.receiver.holding:
            flight.receiver.held.append(flight)
            self._stop_working(flight)
        else:
            self.conclude(flight)

    def retry(self, flight: Flight) -> None:
        """Let a stuck HTLC go on, at this moment."""
        self.at(self.now_ns, partial(self._arrive, flight))

    def _stop_working(self, flight: Flight) -> None:
        """Nobody works on it any more; its HTLC stays, and costs the channel when it expires."""
        if flight.working:
            flight.working = False
            flight.payer.working -= 1
            expiry = flight.record.route[0].expiry_height + 1
            self.at(
                self.start_ns + (expiry - FIRST_HEIGHT) * BLOCK_NS, partial(self._expire, flight)
            )

    def _expire(self, flight: Flight) -> None:
        if flight.done:
            return
        flight.record.route[0].side.close(forced=True)
        self.fail(flight, Failure.TIMEOUT)

    def conclude(self, flight: Flight) -> None:
        """The receiver decides on an HTLC that reached it: settled, failed, or kept."""
        decide(self, flight)

    def keep(self, flight: Flight) -> None:
        """The HTLC waits at the receiver, who has an invoice for it and not yet the preimage."""
        self._stop_working(flight)

    def succeed(self, flight: Flight, preimage: bytes) -> None:
        """Hand the money over along the route and end the payment as SUCCEEDED."""
        self._release(flight, settled=True)
        record = flight.record
        record.preimage = preimage
        record.failed.clear()
        if len(record.route) > 1:
            flight.payer.experience.succeed(record.route)
        self._end(flight.payer, record, Status.SUCCEEDED, Failure.NONE)

    def fail(self, flight: Flight, failure: Failure) -> None:
        """Give the HTLC back and end the payment as FAILED."""
        record = flight.record
        self._release(flight, settled=False)
        if failure is Failure.INCORRECT_PAYMENT_DETAILS and len(record.route) > 1:
            flight.payer.experience.succeed(record.route)
        # lnd shows the reason on an IN_FLIGHT update before the payment ends
        record.failure = failure
        self._tell(flight.payer, record)
        self._fail_attempt(record, *_how(failure, record))
        self._end(flight.payer, record, Status.FAILED, failure)

    def orphan(self, flight: Flight) -> None:
        """The HTLC vanishes and the payment stays IN_FLIGHT for ever, as a restarted lnd leaves
        it.
        """
        record = flight.record
        flight.payer.orphans.append((record, record.route[0].side.channel))
        self._release(flight, settled=False)
        record.route, record.fee_msat, record.orphan = [], 0, True

    def resolve_orphans(self, node: LightningNode) -> None:
        """What a starting lnd does: orphans whose channel is closed by now end as FAILED; it looks
        for no other route, so there is none.
        """
        orphans, node.orphans = node.orphans, []
        for record, channel in orphans:
            if channel.closing:
                record.orphan = False
                self._end(node, record, Status.FAILED, Failure.NO_ROUTE)
            else:
                node.orphans.append((record, channel))

    def _release(self, flight: Flight, *, settled: bool) -> None:
        flight.done = True
        flight.payer.flights.pop(flight.record.order.payment_hash, None)
        if flight.working:
            flight.working = False
            flight.payer.working -= 1
        for hop in flight.record.route:
            hop.side.htlcs.pop(hop.htlc, None)
            hop.side.channel.updates += 2
            (hop.side.other if settled else hop.side).balance_msat += hop.amount_msat
            if settled:
                hop.side.sent_msat += hop.amount_msat

    def _end(
        self, payer: LightningNode, record: PaymentRecord, status: Status, failure: Failure
    ) -> None:
        record.status, record.failure, record.ended_ns = status, failure, self.now_ns
        self._tell(payer, record)
        # lnd forgets failed attempts once a payment has ended
        record.failed.clear()
        record.calls.clear()

    @staticmethod
    def _tell(payer: LightningNode, record: PaymentRecord) -> None:
        for call in tuple(record.calls):
            call.update(record)
        for watcher in tuple(payer.on_payment):
            watcher(record)


def _how(failure: Failure, record: PaymentRecord) -> tuple[str, int]:
    """What the HTLC of a failed payment came back with, and from which hop of its route."""
    if failure is Failure.INCORRECT_PAYMENT_DETAILS:
        return "INCORRECT_OR_UNKNOWN_PAYMENT_DETAILS", len(record.route)
    if failure is Failure.TIMEOUT:
        return "PERMANENT_CHANNEL_FAILURE", 0
    return "TEMPORARY_CHANNEL_FAILURE", len(record.route) - 1


def _blocker(flight: Flight) -> LightningNode | None:
    """The first node of the route that is away or frozen."""
    payer = flight.payer
    if payer.frozen or not payer.up:
        return payer
    for hop in flight.record.route:
        node = hop.side.peer
        if node.frozen or not node.up:
            return node
    return None
