"""A small random world from a seed: who is paid on which terms, what people and the node do, and
what becomes of each payment.

What becomes of a payment follows from the seed, its stream and its seq alone, so that a world can
be made smaller without telling another story: streams and events are left out, and payments made
tame (settled at once).
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Any

from streamer.words.model import BudgetTerms, Rate
from streamer.words.money import SECOND_NS
from streamer.words.reasons import Reason

S = SECOND_NS
MINUTE, HOUR = 60 * S, 3600 * S
IN_DOUBT_AFTER = 600 * S
HELD_AFTER = 30 * S
LARGEST_SPENDABLE_MSAT = 2 * 10**10
RATES = (
    Rate(1_000, S, S),
    Rate(1_000, S, 10 * S),
    Rate(1_000, S, MINUTE),
    Rate(50_000, MINUTE, 2 * MINUTE),
    Rate(50_000, MINUTE, 7 * S),
    Rate(333, S, 10 * S),
    Rate(7, 3 * S, 1_000 * S),
    Rate(100_003, S, 20 * S),
    Rate(2_500, 10 * S, 30 * S),
    Rate(20_001, S, 300 * S),
    Rate(1_000, S, HOUR),
    Rate(90, S, 40 * S),
)
CATCH_UPS = (0, 0, 10 * S, 5 * MINUTE, 5 * MINUTE, None)
REASONS = (
    Reason.TIMEOUT,
    Reason.TIMEOUT,
    Reason.NO_ROUTE,
    Reason.NO_LIQUIDITY,
    Reason.NODE_REFUSED,
    Reason.RECEIVER_REJECTED,
)
WAITS = (0, 0, S // 3, S, 4 * S, 25 * S)
LONG_WAITS = (40 * S, 3 * MINUTE, 11 * MINUTE, HOUR)
STREAMS = 4
TIGHT_PPM = (0, 10_000, 10**6)


@dataclass(frozen=True)
class Event:
    """What happens at a moment after the beginning; stream 0 is the node."""

    at: int
    stream: int
    what: str
    value: Any = None


@dataclass(frozen=True)
class Fate:
    """What becomes of a payment, each so long after it was planned."""

    steps: tuple[tuple[int, str, Any], ...]


@dataclass(frozen=True)
class World:
    seed: int
    length: int
    stall_after: int
    streams: dict[int, dict[str, Any]]
    events: tuple[Event, ...]
    moods: dict[int, tuple[str, ...]]
    tame: frozenset[tuple[int, int]] = frozenset()
    without: frozenset[str] = frozenset()

    def fate(self, stream: int, seq: int) -> Fate:
        """Of one payment, whenever it is planned."""
        if (stream, seq) in self.tame:
            return Fate(((0, "settle", 0),))
        moods = self.moods[stream]
        whole = fate_of(
            random.Random(f"{self.seed}/{stream}/{seq}"), moods[min(seq // 4, len(moods) - 1)]
        )
        return Fate(tuple(step for step in whole.steps if step[1] not in self.without))


def world_of(seed: int) -> World:
    draw = random.Random(seed)
    length = draw.choice((10 * MINUTE, HOUR, 3 * HOUR))
    numbers = range(1, draw.randint(1, STREAMS) + 1)
    streams = {number: terms_of(draw, length) for number in numbers}
    events = [
        event for number in numbers for event in people(draw, number, streams[number], length)
    ] + node_events(draw, length)
    moods = {
        number: tuple(
            draw.choice(("good", "good", "mixed", "failing", "slow", "stuck", "holding"))
            for _ in range(6)
        )
        for number in numbers
    }
    return World(
        seed,
        length,
        draw.choice((1, 2, 3, 5)),
        streams,
        tuple(sorted(events, key=lambda event: event.at)),
        moods,
    )


def terms_of(draw: random.Random, length: int) -> dict[str, Any]:
    """The terms of one stream that are not the house's own; moments are counted from the
    beginning.
    """
    end = draw.choice((None, None, moment(draw, length)))
    return {
        "rate": draw.choice(RATES),
        "start_time_ns": draw.choice((0, 0, moment(draw, length) // 8)),
        "end_time_ns": None if end is None else length // 8 + end + draw.choice((0, 123_456_789)),
        "catch_up_ns": draw.choice(CATCH_UPS),
        "budget": budget_of(draw),
        "ttl_ns": draw.choice((None, None, None, length // 3 + 7)),
        "max_open_payments": draw.choice((1, 1, 2, 3, 4)),
        "max_payment_msat": draw.choice((None, None, 5_000, 60_000, 700_000)),
        "min_payment_msat": draw.choice((1_000, 1_000, 2_500)),
        "min_payment_interval_ns": draw.choice((S, S, 7 * S)),
        "fee_limit_ppm": draw.choice((0, 10_000)),
        "fee_floor_msat": draw.choice((0, 100, 5_000)),
    }


def moment(draw: random.Random, length: int) -> int:
    """On the grid of seconds, mostly."""
    return draw.randrange(length // S) * S + draw.choice((0, 0, 0, draw.randrange(S)))


def budget_of(draw: random.Random) -> BudgetTerms | None:
    amount = draw.choice((4_000, 30_000, 300_000, 3_000_000))
    return draw.choice(
        (
            None,
            None,
            BudgetTerms(amount, None),
            BudgetTerms(amount, draw.choice((2 * MINUTE, HOUR))),
        )
    )


def people(draw: random.Random, number: int, terms: dict[str, Any], length: int) -> list[Event]:
    """What is done to one stream: pairs of pause and resume, and changes."""
    events = []
    for _ in range(draw.choice((0, 0, 1, 1, 2))):
        at = moment(draw, length)
        events.append(Event(at, number, "pause"))
        events += [
            Event(at + draw.choice((0, 3 * S, MINUTE, 20 * MINUTE)), number, "resume")
        ] * draw.choice((0, 1, 1, 1))
    for _ in range(draw.choice((0, 0, 1, 2))):
        events.append(change(draw, number, terms, moment(draw, length), length))
    if draw.random() < 0.3:
        events.append(Event(moment(draw, length), number, "resume"))
    if draw.random() < 0.1:
        events.append(Event(moment(draw, length), number, "cancel"))
    if terms["ttl_ns"] is not None:
        events += [
            Event(at, number, "renew")
            for at in range(0, length, length // 4)
            if draw.random() < 0.7
        ]
    return events


def change(draw: random.Random, number: int, terms: dict[str, Any], at: int, length: int) -> Event:
    changes: list[dict[str, Any]] = [
        {"rate": draw.choice(RATES)},
        {"rate": draw.choice(RATES)},
        {"catch_up_ns": draw.choice(CATCH_UPS)},
        {"max_payment_msat": draw.choice((5_000, 60_000))},
        {"max_open_payments": draw.randint(1, 4)},
    ]
    if terms["budget"] is not None:
        changes += [
            {"budget": replace(terms["budget"], amount_msat=draw.choice((4_000, 100_000, 10**7)))}
        ] * 2
    if terms["end_time_ns"] is not None:
        changes.append({"end_time_ns": at + moment(draw, length) + S})
    return Event(at, number, "change", draw.choice(changes))


def node_events(draw: random.Random, length: int) -> list[Event]:
    """Spans in which the node is down, sending is stopped, or everything waits in our own queue."""
    events = []
    for what, ends in (("down", "up"), ("stop", "start"), ("busy", "idle")):
        for _ in range(draw.choice((0, 0, 1, 2))):
            at = moment(draw, length)
            events += [Event(at, 0, what), Event(at + 1 + moment(draw, length // 3), 0, ends)]
    return events


def fate_of(draw: random.Random, mood: str) -> Fate:
    """Something that a node and a receiver may do with a payment, given the mood in which they
    are.
    """
    kind = mood if draw.random() < 0.8 else "mixed"
    if kind == "mixed":
        kind = draw.choice(("good", "good", "failing", "slow", "holding", "late", "lost"))
    soon, later = draw.choice(WAITS), draw.choice(LONG_WAITS)
    if kind == "good":
        return Fate(((soon, "settle", draw.choice((0, 0, 50))),))
    if kind == "failing":
        return Fate(((soon, "fail", draw.choice(REASONS)),))
    end = (later, "settle", 0) if draw.random() < 0.6 else (later, "fail", Reason.TIMEOUT)
    if kind == "slow":
        return Fate((end,))
    if kind == "stuck":
        return Fate(((draw.choice((HOUR // 2, HOUR)), *end[1:]),))
    if kind == "holding":
        return Fate(((HELD_AFTER, "held", None), end))
    if kind == "late":
        return Fate(((soon, "fail", Reason.TIMEOUT), (later, "settle", 0)))
    return Fate(
        ((soon + MINUTE, "orphan", None), draw.choice((end, (soon + 2 * later, "write off", None))))
    )


# -- where the bounds are close to each other ------------------------------------------------------


def tight_world_of(seed: int) -> World:
    """One stream whose end, largest payment and budget differ by little: what is left at the last
    is too small to pay, or just not.

    In the worlds above, where each is drawn by itself, that comes once in thousands.
    """
    draw = random.Random(f"tight {seed}")
    minimum = draw.choice((1_000, 1_000, 2_500))
    size = draw.choice((1, 2, 3, 5, 60)) * minimum
    rate = Rate(
        draw.choice((300, 700, minimum, 1_500, 2_600, 7_001)), S, S * draw.choice((1, 1, 2, 5))
    )
    start, left, floor, ppm = (
        draw.choice((0, 0, S // 3)),
        near(draw, size, minimum),
        draw.choice((0, 100, 5_000)),
        draw.choice(TIGHT_PPM),
    )
    terms = {
        "rate": rate,
        "start_time_ns": start,
        "end_time_ns": (
            None
            if draw.random() < 0.15
            else start + left * S // rate.amount_msat + draw.choice((0, 0, 1))
        ),
        "catch_up_ns": draw.choice((0, 2 * S, None)),
        "budget": tight_budget_of(draw, near(draw, size, minimum), floor, ppm),
        "ttl_ns": None,
        "max_open_payments": draw.choice((1, 1, 2)),
        "max_payment_msat": near(draw, size, minimum) if draw.random() < 0.6 else None,
        "min_payment_msat": minimum,
        "min_payment_interval_ns": S,
        "fee_limit_ppm": ppm,
        "fee_floor_msat": floor,
    }
    events = tight_events(draw, terms, near(draw, size, minimum))
    moods = tuple(draw.choice(("good", "good", "good", "mixed", "failing")) for _ in range(6))
    return World(
        seed,
        3 * MINUTE,
        draw.choice((1, 2, 5)),
        {1: terms},
        tuple(sorted(events, key=lambda event: event.at)),
        {1: moods},
    )


def near(draw: random.Random, msat: int, minimum: int) -> int:
    return max(minimum, msat + draw.randint(-2 * minimum, 2 * minimum))


def tight_budget_of(draw: random.Random, amount: int, floor: int, ppm: int) -> BudgetTerms | None:
    """It holds this amount and its fee limit, give or take a millisatoshi."""
    whole = amount + max(floor, amount * ppm // 10**6) + draw.choice((0, 0, -1, 1, floor))
    return draw.choice(
        (None, BudgetTerms(whole, None), BudgetTerms(whole, draw.choice((10 * S, MINUTE))))
    )


def tight_events(draw: random.Random, terms: dict[str, Any], msat: int) -> list[Event]:
    events, end = [], terms["end_time_ns"]
    for what, ends in (("down", "up"), ("busy", "idle")):
        if draw.random() < 0.4:
            at = draw.randrange(10 * S)
            events += [Event(at, 0, what), Event(at + 1 + draw.randrange(20 * S), 0, ends)]
    if end is not None and draw.random() < 0.3:
        changes = (
            {"end_time_ns": end + draw.randrange(5 * S)},
            {"max_payment_msat": msat},
            {"rate": Rate(1_500, S, S)},
        )
        events.append(Event(draw.randrange(end), 1, "change", draw.choice(changes)))
    return events
