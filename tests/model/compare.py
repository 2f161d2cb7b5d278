"""Drives the core's book and the plain model through one world, and stops where they differ.

`python -m tests.model.compare --seed N -v` tells the story of a world up to the first difference;
with --small it is first made as small as it gets. What is compared after each step: state and
reason, what was planned at that moment (amount, bought until, due moment, skip, probe), settled and
reserved money, paid until, skipped and dropped.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from streamer.core import lifecycle
from streamer.core.book import Book
from streamer.core.streamtime import paid_until_ns
from streamer.words.errors import FailedPrecondition
from streamer.words.model import Facts, Mark, Payment, StreamState
from streamer.words.model import Stream as CoreStream
from streamer.words.reasons import Halt
from tests.core.house import T0, House, terms_of
from tests.model.nouns import Node, Paid
from tests.model.rules import Stream
from tests.model.worlds import (
    IN_DOUBT_AFTER,
    LARGEST_SPENDABLE_MSAT,
    World,
    tight_world_of,
    world_of,
)
from tests.prove.volumes import tried

MOST_PAYMENTS = 120
"""A world ends when so many were planned: with its length, the bound of its work."""
RUNS = (StreamState.PENDING, StreamState.ACTIVE, StreamState.STALLED)
MARKS = {"held": Mark.HELD, "orphan": Mark.ORPHAN}


class Differs(Exception):
    """At a step of a world, core and model do not say the same."""

    def __init__(self, what: str, core: Any, model: Any) -> None:
        super().__init__(f"{what}: core {core}, model {model}")
        self.what = what


def destination(number: int) -> bytes:
    """A stream's own: what a receiver does is no other stream's trouble."""
    return b"\x02" + bytes([number]) * 32


def shown(moment: int | None) -> str:
    return "-" if moment is None else f"{moment / 10**9:.9f}".rstrip("0").rstrip(".")


@dataclass(order=True)
class Step:
    """Something that happens: of the world, or to a payment."""

    at: int
    order: int
    number: int = field(compare=False)
    what: str = field(compare=False)
    value: Any = field(compare=False, default=None)
    seq: int = field(compare=False, default=0)


class Pair:
    """The core's book and the model in one world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.house = House(per_destination=1_000, stall_after=world.stall_after)
        self.house.book.largest_spendable_msat = LARGEST_SPENDABLE_MSAT
        self.node = Node(world.stall_after, LARGEST_SPENDABLE_MSAT // 2)
        self.core: dict[int, CoreStream] = {}
        self.model: dict[int, Stream] = {}
        self.payments: dict[tuple[int, int], tuple[Payment, Paid]] = {}
        self.queue: list[Step] = []
        self.orders = itertools.count()
        self.away = 0
        self.story: list[str] = []
        self.now = 0

    # -- the way through it -----------------------------------------------------------------------

    def run(self) -> int:
        """Until the world ends or the two differ; the number of payments."""
        for number, terms in self.world.streams.items():
            self.open(number, terms)
        for event in self.world.events:
            self.push(event.at, event.stream, event.what, event.value)
        while self.now <= self.world.length and len(self.payments) < MOST_PAYMENTS:
            self.step()
            following = self.following()
            if following is None:
                break
            self.now = following
            self.house.now_ns = T0 + following
        return len(self.payments)

    def open(self, number: int, terms: dict[str, Any]) -> None:
        changes = dict(
            terms, destination=destination(number), start_time_ns=T0 + terms["start_time_ns"]
        )
        if terms["end_time_ns"] is not None:
            changes["end_time_ns"] = T0 + terms["end_time_ns"]
        self.core[number] = self.house.open(**changes)
        self.model[number] = Stream(self.node, terms_of(**changes), T0)
        told = (f"{name} {value}" for name, value in terms.items() if value not in (None, ()))
        self.tell(f"stream {number}: {', '.join(told)}")

    def push(self, at: int, number: int, what: str, value: Any = None, seq: int = 0) -> None:
        heapq.heappush(self.queue, Step(at, next(self.orders), number, what, value, seq))

    def following(self) -> int | None:
        """The next moment at which anything happens: of the world, or by itself on one of the two
        sides.
        """
        moments = [self.queue[0].at] if self.queue else []
        core = self.house.book.next_ns()
        moments += [moment - T0 for moment in ([] if core is None else [core])]
        moments += [moment - T0 for stream in self.model.values() for moment in stream.wakes()]
        return min((moment for moment in moments if moment > self.now), default=None)

    def step(self) -> None:
        while True:
            while self.queue and self.queue[0].at <= self.now:
                self.happens(heapq.heappop(self.queue))
            if self.away or not self.plan():
                break
        if not self.away and self.node.sending:
            for number in self.core:
                self.compare(number)

    # -- what happens ---------------------------------------------------------------------------

    def happens(self, step: Step) -> None:
        if step.number == 0:
            self.tell(f"the node: {step.what}")
            self.happens_to_node(step.what)
        elif step.seq:
            self.happens_to_payment(step)
        else:
            self.tell(f"stream {step.number}: {step.what} {step.value or ''}")
            self.done(step)

    def happens_to_node(self, what: str) -> None:
        facts, now = Facts(), self.house.now_ns
        if what in ("down", "up"):
            outages = self.house.book.outages
            (outages.begin if what == "down" else lambda _, now, facts: outages.end(now, facts))(
                "NODE_DOWN", now, facts
            )
            self.node.outages.hold("down", what == "down", now)
        if what in ("stop", "start"):
            self.sending(what == "start", facts)
        self.house.commit(facts)
        self.away += {"down": 1, "busy": 1, "up": -1, "idle": -1}.get(what, 0)

    def sending(self, on: bool, facts: Facts) -> None:
        now = self.house.now_ns
        if on:
            self.house.switch.lift(Halt.OPERATOR, facts)
            self.house.outages.end(now, facts)
        else:
            self.house.switch.stop(Halt.OPERATOR, "", facts)
            self.house.outages.begin(Halt.OPERATOR, now, facts)
        self.node.sending = on
        self.node.outages.hold("stopped", not on, now)

    def done(self, step: Step) -> None:
        """By a person."""
        core, model, now = self.core[step.number], self.model[step.number], self.house.now_ns
        value = dict(step.value or {})
        if "end_time_ns" in value:
            value["end_time_ns"] += T0
        try:
            if step.what == "change":
                self.house.change(core, **value)
            else:
                self.house.act(getattr(lifecycle, step.what), core)
            refused = False
        except FailedPrecondition:
            refused = True
        if model.ended(now):
            return
        if refused:
            raise Differs("refused", core.state, model.state)
        getattr(model, {"renew": "renewed"}.get(step.what, step.what))(now, **value)

    def happens_to_payment(self, step: Step) -> None:
        core, paid = self.payments[step.number, step.seq]
        model, now = self.model[step.number], self.house.now_ns
        late = step.what == "settle" and paid.state == "failed"
        if not late and (paid.state != "open" or (paid.orphan and step.what in ("held", "doubt"))):
            return
        self.tell(f"payment {step.number}.{step.seq}: {step.what} {step.value or ''}")
        model.pass_time(now)
        if step.what == "settle":
            self.house.settle(core, fee_msat=min(step.value, core.fee_limit_msat))
            model.settle(paid, min(step.value, paid.fee_limit), now)
        elif step.what == "fail":
            self.house.fail(core, step.value)
            model.fail(paid, step.value, now)
        elif step.what == "write off":
            self.house.write_off(core)
            model.write_off(paid, now)
        else:
            (
                self.house.doubt(core)
                if step.what == "doubt"
                else self.house.mark(core, MARKS[step.what])
            )
            model.mark(paid, step.what, now)

    # -- what they do -----------------------------------------------------------------------------

    def plan(self) -> bool:
        """Let both plan; whether anything was."""
        planned = {payment.stream_key: payment for payment in self.house.plan()}
        mine = {
            number: paid
            for number, model in self.model.items()
            if (paid := model.plan(self.house.now_ns)) is not None
        }
        for number, stream in self.core.items():
            core, paid = planned.get(stream.key), mine.get(number)
            if core is not None or paid is not None:
                self.planned(number, core, paid)
        return bool(planned)

    def planned(self, number: int, core: Payment | None, paid: Paid | None) -> None:
        ours = (
            None
            if core is None
            else self.told(core.amount_msat, core.bought_until_ns, core.skip_ns, core.skip_msat)
        )
        theirs = (
            None if paid is None else self.told(paid.amount, paid.until, paid.skip, paid.skip_msat)
        )
        if core is None or paid is None:
            raise Differs(f"{number}: plan", ours, theirs)
        self.tell(f"payment {number}.{paid.seq}: {'probe ' if paid.probe else ''}{theirs}")
        for name, one, other in (
            ("seq", core.seq, paid.seq),
            ("skip", core.skip_ns, paid.skip),
            ("amount", ours, theirs if core.amount_msat != paid.amount else ours),
            ("bought until", ours, theirs),
            ("due", shown(core.due_ns - T0), shown(paid.due - T0)),
            ("fee limit", core.fee_limit_msat, paid.fee_limit),
            ("probe", core.probe, paid.probe),
        ):
            if one != other:
                raise Differs(f"{number}: {name}", one, other)
        self.payments[number, paid.seq] = (core, paid)
        for after, what, value in self.world.fate(number, paid.seq).steps:
            self.push(self.now + after, number, what, value, paid.seq)
        self.push(self.now + IN_DOUBT_AFTER, number, "doubt", None, paid.seq)

    def told(self, amount: int, until: int, skip: int, skip_msat: int) -> str:
        return f"{amount} msat until {shown(until)}" + (
            f", skips {shown(skip)} ({skip_msat} msat)" if skip else ""
        )

    def compare(self, number: int) -> None:
        core, model = self.core[number], self.model[number]
        self.house.act(Book.pass_time, core)
        model.pass_time(self.house.now_ns)
        quiet = core.state in (StreamState.ACTIVE, StreamState.PENDING)
        for what, one, other in (
            (
                "state",
                f"{core.state} {'' if quiet else core.reason}",
                f"{model.state} {'' if quiet else model.reason}",
            ),
            ("settled", core.account.settled_msat, model.settled),
            ("reserved", core.reserved_msat, model.reserved),
            ("skipped", (core.skipped_ns, core.skipped_msat), (model.skipped, model.skipped_msat)),
            ("dropped", core.dropped_msat, model.dropped),
            ("paid until", shown(paid_until_ns(core)), shown(model.paid_until())),
            ("expires", core.expire_time_ns if core.state in RUNS else 0, model.expire),
        ):
            if one != other:
                raise Differs(f"{number}: {what}", one, other)

    def tell(self, line: str) -> None:
        self.story.append(f"{shown(self.now):>12}  {line}")


# -- one world after another -----------------------------------------------------------------------


def difference(world: World) -> tuple[Pair, Differs | None]:
    pair = Pair(world)
    try:
        pair.run()
    except Differs as differs:
        return pair, differs
    return pair, None


def smaller(world: World, planned: list[tuple[int, int]]) -> Iterator[World]:
    """The same world with something left out."""
    for number in world.streams:
        yield replace(
            world,
            streams={other: terms for other, terms in world.streams.items() if other != number},
            events=tuple(event for event in world.events if event.stream != number),
        )
    for event in world.events:
        yield replace(world, events=tuple(other for other in world.events if other is not event))
    for number, terms in world.streams.items():
        for name in ("end_time_ns", "budget", "ttl_ns", "max_payment_msat"):
            if terms[name] is not None:
                yield replace(world, streams={**world.streams, number: {**terms, name: None}})
    for payment in planned:
        if payment not in world.tame:
            yield replace(world, tame=world.tame | {payment})


def shrunk(world: World) -> World:
    """As small as it gets while it still differs in the same."""
    pair, differs = difference(world)
    assert differs is not None
    kind = differs.what.split(": ")[-1]
    while True:
        for candidate in smaller(world, list(pair.payments)):
            other, differs = difference(candidate)
            if differs is not None and differs.what.split(": ")[-1] == kind:
                world, pair = candidate, other
                break
        else:
            return world


def told(story: list[str]) -> list[str]:
    """The story without the payments in the middle of it that settled at once."""
    lines: list[str] = []
    for line, following, after in zip(story, [*story[1:], ""], [*story[2:], "", ""], strict=False):
        plain = ": settle" in line or (
            ": settle" in following and line.split(":")[0] == following.split(":")[0]
        )
        if not plain or "skips" in line or "probe" in line or not after:
            lines.append(line)
        elif lines[-1] != "...":
            lines.append("...")
    return lines


def explain(world: World, verbose: bool, tight: bool = False) -> str:
    pair, differs = difference(world)
    lines = [f"seed {world.seed}: {'no difference' if differs is None else differs}"]
    if verbose:
        lines += told(pair.story)
        lines.append(f"{shown(pair.now):>12}  {lines[0]}")
    again = f"python -m tests.model.compare --seed {world.seed}{' --tight' if tight else ''} -v"
    return "\n".join(
        [
            *lines,
            *(
                []
                if differs is None
                else [f"the story: {again}; as small as it gets: {again} --small"]
            ),
        ]
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.model.compare", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--worlds", type=int, default=1)
    parser.add_argument("-v", "--verbose", action="store_true", help="tell the story, too")
    parser.add_argument(
        "--small",
        action="store_true",
        help="make each world that differs as small as it gets first",
    )
    parser.add_argument(
        "--without",
        action="append",
        default=[],
        help="what never becomes of a payment, as `held` or `orphan`",
    )
    parser.add_argument(
        "--tight",
        action="store_true",
        help="worlds of one stream whose bounds are close to each other",
    )
    asked = parser.parse_args()
    kinds: Counter[str] = Counter()
    payments = 0
    for seed in range(asked.seed, asked.seed + asked.worlds):
        world = replace(
            (tight_world_of if asked.tight else world_of)(seed), without=frozenset(asked.without)
        )
        pair, differs = difference(world)
        payments += len(pair.payments)
        if differs is not None:
            kinds[differs.what.split(": ")[-1]] += 1
            print(explain(shrunk(world) if asked.small else world, asked.verbose, asked.tight))
        elif asked.worlds == 1:
            print(explain(world, asked.verbose, asked.tight))
    differing = sum(kinds.values())
    print(f"{asked.worlds} worlds, {payments} payments, {differing} differ: {dict(kinds)}")
    if not asked.tight:
        tried("model worlds", asked.worlds - differing)
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
