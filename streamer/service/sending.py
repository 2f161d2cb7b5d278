"""The sending switch, and the daemon at one look."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from operator import attrgetter

from streamer.books.timekeeping import UNCHECKED, ClockState
from streamer.core import obstacle
from streamer.core.obstacle import Obstacle, ObstacleKind
from streamer.pay.engine import Engine
from streamer.service.keyring import Keyring
from streamer.service.keys import budgets_left
from streamer.service.nodes import Nodes
from streamer.service.reports import DaemonReport, NodeReport, Totals
from streamer.words.errors import FailedPrecondition, InvalidArgument
from streamer.words.model import ENDED, Facts, Mark, Payment, StreamState
from streamer.words.money import SECOND_NS, format_duration
from streamer.words.reasons import Halt, Reason

MINUTE_NS = 60 * SECOND_NS
LOW_SPACE_BYTES = 1024 * 1024 * 1024
"""Free bytes below which the status warns; sending stops at 64 MiB."""
DRAIN_LOOK_SECONDS = 1.0
STOPPED = "stopped by `streamer sending stop`: `streamer sending start` when it may go on"


class Sending:
    """The use cases of AdminService."""

    def __init__(
        self,
        nodes: Nodes,
        ring: Keyring,
        totals: Callable[[], Totals],
        replay: Callable[[], None],
        start_time_ns: int,
    ) -> None:
        """replay reads the journal again after STORE_FAILED; start_time_ns is the daemon's."""
        self._nodes = nodes
        self._ring = ring
        self._totals = totals
        self._replay = replay
        self._start_time_ns = start_time_ns
        self.webhook_problem: Callable[[], str] = lambda: ""
        """Why events do not arrive, in words; empty if they do."""

    async def stop(self, drain: bool, patience_seconds: float) -> DaemonReport:
        """Stop all new payments with reason OPERATOR; drain: wait until none is pending, or
        patience ends.
        """
        shared = self._nodes.shared

        def action(now_ns: int, facts: Facts) -> None:
            if Halt.OPERATOR not in shared.switch.halts:
                shared.switch.stop(Halt.OPERATOR, STOPPED, facts)
                shared.count_stopped(now_ns, facts)

        # even if nothing changes: another call's halt is durable then, too
        await self._nodes.desk.make(action)
        if drain:
            await self._drained(patience_seconds)
        return self.report()

    async def _drained(self, patience_seconds: float) -> None:
        """Return when nothing is pending, or patience ends; what is found to be kept is not waited
        for any longer.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + patience_seconds
        while (pending := self._pending()) and (left_seconds := end - loop.time()) > 0:
            engine, payment = pending[0]
            await engine.wait_for(payment, min(left_seconds, DRAIN_LOOK_SECONDS))

    async def start(self, accept_node: bytes) -> DaemonReport:
        """Lift OPERATOR and SPEND_LIMIT (a new period begins), replay after STORE_FAILED.

        A CLOCK that stands alone is lifted too: a person says that the journal's last entry is
        wrong, not the clock.

        accept_node: the public key of a changed node that is to be accepted. Raises
        InvalidArgument, FailedPrecondition (the disk still takes no writes, too).
        """
        switch = self._nodes.shared.switch
        if accept_node:
            await self._accept(accept_node)
        if Halt.STORE_FAILED in switch.halts:
            self._replay()
            return self.report()
        if not accept_node and switch.halts.keys() == {Halt.CLOCK}:
            switch.lift(Halt.CLOCK)
            self._nodes.timekeeping.settle()
        await self._nodes.desk.make(self._lift)
        return self.report()

    def _lift(self, now_ns: int, facts: Facts) -> None:
        shared = self._nodes.shared
        if shared.switch.lift(Halt.SPEND_LIMIT, facts):
            shared.budgets.spend_limit.begin(now_ns)
            facts.spends.append(shared.budgets.spend())
        shared.switch.lift(Halt.OPERATOR, facts)
        shared.count_stopped(now_ns, facts)
        for engine in self._nodes.engines.values():
            engine.wake()

    async def _accept(self, pubkey: bytes) -> None:
        changed = [
            engine
            for engine in self._nodes.engines.values()
            if Halt.NODE_CHANGED in engine.switch.halts
        ]
        if not changed:
            raise FailedPrecondition("no node has changed its identity: there is nothing to accept")
        offered = [engine for engine in changed if engine.link.stranger == pubkey.hex()]
        if not offered:
            seen = "; ".join(engine.switch.halts[Halt.NODE_CHANGED] for engine in changed)
            raise InvalidArgument(f"accept_node is not the key of the changed node: {seen}")
        for engine in offered:
            if engine.book.payments:
                count = len(engine.book.payments)
                raise FailedPrecondition(
                    f"{count} payments are open on the old node {engine.name}: wait for their ends,"
                    " or write them off"
                )
            facts = Facts()
            engine.link.accept(pubkey.hex(), facts)
            await self._nodes.desk.durable(facts)

    def _pending(self) -> list[tuple[Engine, Payment]]:
        """What is open and not known to be held, an orphan or out of sight: lnd may be busy with
        it.
        """
        engines = self._nodes.engines.values()
        return [
            (engine, payment)
            for engine in engines
            for payment in engine.book.payments.values()
            if payment.mark is Mark.NONE
        ]

    def report(self) -> DaemonReport:
        """The daemon at one look."""
        now_ns = self._nodes.clock.now_ns()
        engines = self._nodes.engines.values()
        by_state, stalled = _counted(engines)
        doubtful = [
            payment for engine in engines for payment in engine.book.slots.doubtful.values()
        ]
        limit = self._nodes.shared.budgets.spend_limit
        taken, free = self._nodes.history.space()
        return DaemonReport(
            problems=tuple(self._problems(free, now_ns)),
            stopped_by=tuple(str(halt) for halt in self._nodes.shared.switch.halts),
            nodes=tuple(_node(engine, self._nodes.wanted_per_second(engine)) for engine in engines),
            streams_by_state=by_state,
            stalled_by_reason=stalled,
            payments_open=sum(len(engine.book.payments) for engine in engines),
            payments_in_doubt=len(doubtful),
            payments_pending=len(self._pending()),
            in_doubt_msat=sum(payment.amount_msat for payment in doubtful),
            spent_msat=limit.spent_msat,
            spend_limit_msat=limit.limit_msat,
            spend_period_start_ns=limit.period_start_ns,
            store_bytes=taken,
            store_free_bytes=free,
            clock_difference_ns=self._nodes.timekeeping.difference_ns,
            start_time_ns=self._start_time_ns + self._nodes.timekeeping.moved_ns,
            totals=self._totals(),
            budgets_left=budgets_left(self._nodes, self._ring, now_ns),
        )

    def unready(self) -> str:
        """Why no node can pay now; empty if one can."""
        engines = self._nodes.engines.values()
        obstacles = [
            (engine.name, one) for engine in engines if (one := engine.obstacle) is not None
        ]
        if len(obstacles) < len(engines):
            return ""
        return "; ".join(dict.fromkeys(self._said(name, one) for name, one in obstacles))

    def _said(self, node: str, found: Obstacle) -> str:
        """An obstacle of a node in few words; one that is the daemon's is the same for each of
        them.
        """
        match found.kind:
            case ObstacleKind.NODE_HALT | ObstacleKind.NODE:
                return f"node {node}: {found.text}"
            case ObstacleKind.CLOCK:
                return f"{found.reason}: {self._nodes.timekeeping.awaited}"
            case _:
                return f"{found.reason}: {found.text}"

    def _problems(self, free_bytes: int, now_ns: int) -> list[str]:
        found = [one.words for one in obstacle.halts_of_daemon(self._nodes.shared)]
        timekeeping = self._nodes.timekeeping
        if timekeeping.state is ClockState.UNCHECKED:
            found.append(
                f"{UNCHECKED}: until then nothing is paid, nothing begins, and nothing ends by its"
                " time"
            )
        if timekeeping.difference:
            found.append(timekeeping.difference)
        for engine in self._nodes.engines.values():
            found += [f"node {engine.name}: {text}" for text in _node_problems(engine, now_ns)]
        if free_bytes < LOW_SPACE_BYTES:
            found.append(
                f"only {free_bytes // 1024**2} MiB are free for the journal: make room; sending"
                " stops at 64 MiB"
            )
        if problem := self.webhook_problem():
            found.append(problem)
        return found


def _node_problems(engine: Engine, now_ns: int) -> list[str]:
    found = [engine.problem] if engine.problem else []
    running = [stream for stream in engine.book.streams.values() if stream.state not in ENDED]
    stalled = sum(stream.state is StreamState.STALLED for stream in running)
    if stalled:
        found.append(
            f"{stalled} of {len(running)} streams are stalled: `streamer stream list --filter"
            " state=STALLED`"
        )
    doubtful = engine.book.slots.doubtful.values()
    if doubtful:
        age_ns = now_ns - min(payment.planned_ns for payment in doubtful)
        age = format_duration(age_ns - age_ns % MINUTE_NS)
        found.append(
            f"{len(doubtful)} payments are in doubt, the oldest for {age}: `streamer payment list"
            " --in-doubt`"
        )
    return found


def _counted(engines: Iterable[Engine]) -> tuple[dict[str, int], dict[str, int]]:
    """(streams by state, stalled ones by reason), in one pass: there are many streams, and payments
    wait for it.
    """
    both: Counter[tuple[StreamState, Reason]] = Counter()
    for engine in engines:
        both.update(map(attrgetter("state", "reason"), engine.book.streams.values()))
    states: Counter[str] = Counter()
    for (state, _), count in both.items():
        states[str(state)] += count
    return dict(states), {
        str(reason): count
        for (state, reason), count in both.items()
        if state is StreamState.STALLED
    }


def _node(engine: Engine, wanted_per_second: float) -> NodeReport:
    identity = engine.identity
    return NodeReport(
        name=engine.name,
        up=engine.up,
        problem=engine.problem,
        stopped_by=tuple(str(halt) for halt in engine.switch.halts),
        pubkey=b"" if identity is None else identity.pubkey,
        alias="" if identity is None else identity.alias,
        network="" if identity is None else identity.network,
        version="" if identity is None else identity.version,
        window=engine.window.size,
        in_flight=engine.in_flight,
        ready_streams=engine.book.ready_streams,
        capacity_per_second=engine.window.capacity_per_second,
        wanted_per_second=wanted_per_second,
    )
