"""What people do to a daemon, by the use cases behind the doors: each call of the API, in any
state, at any moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from streamer.core.keysend import derive_token
from streamer.service.orders import PaymentOrder, StreamOrder
from streamer.words.errors import StoreFailed, StreamerError
from streamer.words.model import ADMIN, ENDED, BudgetTerms, Stream
from streamer.words.money import SECOND_NS
from tests.simulation.callers import (
    REQUEST_RECORD,
    keysend_as_key,
    make_key,
    open_stream_as_key,
    pay_invoice,
    revoke_key,
)
from tests.simulation.crowds import burst_of_rates, open_crowd, open_short
from tests.simulation.world import SECRET

if TYPE_CHECKING:
    from tests.simulation.chaos import Chaos

MINUTE_NS = 60 * SECOND_NS
HOUR_NS = 60 * MINUTE_NS
STREAMS_AT_MOST = 10


@dataclass(frozen=True)
class Tempo:
    """How often streams are paid, how much happens, and for how many days it makes sense to look.

    interval_seconds: of the rates that people choose. step_seconds: the mean time between two
    things that somebody or something does.
    """

    name: str
    interval_seconds: tuple[int, ...]
    step_seconds: tuple[float, ...]
    days: float


DENSE = Tempo("dense", (1, 10, 30, 60), (10.0, 30.0, 120.0), 0.4)
USUAL = Tempo("usual", (60, 300, 900), (60.0, 120.0, 400.0), 1.5)
THIN = Tempo("thin", (600, 1_800, 3_600), (200.0, 400.0, 1_200.0), 3.5)
BUSY = Tempo("busy", (1, 2, 5), (300.0, 600.0), 0.4)
CROWDED = Tempo("crowded", (10, 60, 300), (60.0, 120.0), 0.1)
"""Little trouble, and then always a chapter of the innocent (innocents.py)."""
TEMPI = (DENSE, DENSE, USUAL, USUAL, THIN, THIN, THIN)
"""Of a seed's own choice: two days and a thousand payments on the average. BUSY is for many
payments in little time.
"""


async def open_stream(chaos: Chaos) -> None:
    rng, now_ns = chaos.rng, chaos.world.now_ns()
    seconds = rng.choice(chaos.tempo.interval_seconds)
    budget = (
        BudgetTerms(rng.randint(10_000, 10_000_000), rng.choice((None, HOUR_NS, 24 * HOUR_NS)))
        if rng.random() < 0.4
        else None
    )
    order = StreamOrder(
        destination=chaos.world.network.named[chaos.receiver()].pubkey,
        amount_msat=rng.randint(1, 5_000 * seconds),
        interval_ns=seconds * SECOND_NS,
        node=chaos.payer(),
        start_time_ns=now_ns + rng.choice((0, 0, rng.randint(0, HOUR_NS))),
        end_time_ns=now_ns + rng.randint(2 * HOUR_NS, 24 * HOUR_NS) if rng.random() < 0.3 else None,
        budget=budget,
        catch_up_ns=rng.choice((0, 5 * MINUTE_NS, HOUR_NS)),
        catch_up_forever=rng.random() < 0.25,
        ttl_ns=rng.choice((None, None, rng.randint(MINUTE_NS, 4 * HOUR_NS))),
        max_open_payments=rng.choice((1, 1, 2, 4)),
        max_payment_msat=rng.choice((None, None, 10_000_000)),
    )
    request_id, order = chaos.again("stream", StreamOrder) or (
        f"request {rng.randrange(1 << 60)}",
        order,
    )
    chaos.requests["stream"] = (request_id, order)
    await chaos.world.service.streams.create(
        ADMIN, order, request_id, validate_only=rng.random() < 0.1
    )


async def open_if_few(chaos: Chaos) -> None:
    if sum(stream.state not in ENDED for stream in chaos.world.streams) < STREAMS_AT_MOST:
        await open_stream(chaos)


async def pause(chaos: Chaos) -> None:
    await chaos.world.service.streams.pause(ADMIN, some(chaos).id)


async def resume(chaos: Chaos) -> None:
    await chaos.world.service.streams.resume(ADMIN, some(chaos).id)


async def cancel(chaos: Chaos) -> None:
    if chaos.rng.random() < 0.2:
        await chaos.world.service.streams.cancel(ADMIN, some(chaos).id)


async def renew(chaos: Chaos) -> None:
    await chaos.world.service.streams.renew(
        ADMIN, chaos.rng.choice(("", "state=ACTIVE", f"id={some(chaos).id}"))
    )


async def change_rate(chaos: Chaos) -> None:
    stream = some(chaos)
    amount = (
        chaos.rng.randint(1, 5_000) * max(stream.terms.rate.interval_ns, SECOND_NS) // SECOND_NS
    )
    await chaos.world.service.streams.update(
        ADMIN,
        stream.id,
        StreamOrder(destination=b"", amount_msat=amount, interval_ns=0),
        frozenset({"amount_msat"}),
    )


async def change_budget(chaos: Chaos) -> None:
    """More or less or none; who lowers it below what is spent is over it by his own will."""
    stream, rng = some(chaos), chaos.rng
    before = stream.terms.budget
    period = (
        rng.choice((None, HOUR_NS)) if before is None or rng.random() < 0.2 else before.period_ns
    )
    budget = None if rng.random() < 0.1 else BudgetTerms(rng.randint(10_000, 10_000_000), period)
    chaos.world.excuses.budget.add(stream.key)
    await chaos.world.service.streams.update(
        ADMIN,
        stream.id,
        StreamOrder(destination=b"", amount_msat=0, interval_ns=0, budget=budget),
        frozenset({"budget"}),
    )


async def change_limits(chaos: Chaos) -> None:
    rng, order = (
        chaos.rng,
        StreamOrder(
            destination=b"",
            amount_msat=0,
            interval_ns=0,
            ttl_ns=chaos.rng.choice((None, HOUR_NS)),
            max_open_payments=chaos.rng.choice((1, 2, 4)),
        ),
    )
    await chaos.world.service.streams.update(
        ADMIN,
        some(chaos).id,
        order,
        frozenset(rng.sample(("ttl", "max_open_payments", "max_payment_msat"), 2)),
    )


async def keysend(chaos: Chaos) -> None:
    """With a request_id, which a client that saw no answer uses again, in a later process too."""
    rng = chaos.rng
    order = PaymentOrder(
        chaos.world.network.named[chaos.receiver()].pubkey,
        rng.randint(1_000, 1_000_000),
        chaos.payer(),
    )
    request_id, order = chaos.again("payment", PaymentOrder) or (
        f"request {rng.randrange(1 << 60)}",
        order,
    )
    chaos.requests["payment"] = (request_id, order)
    records = ((REQUEST_RECORD, request_id.encode()),)
    order = PaymentOrder(order.destination, order.amount_msat, order.node, records=records)
    await chaos.world.service.payments.create(ADMIN, order, request_id, rng.choice((0.1, 10.0)))


async def write_off(chaos: Chaos) -> None:
    payments = chaos.world.open_payments
    if payments:
        payment = chaos.rng.choice(payments)
        try:
            await chaos.world.service.payments.write_off(ADMIN, payment.id)
        except (asyncio.CancelledError, StoreFailed):
            # it may be durable, its answer lost with the process
            chaos.world.excuses.written_off.add(payment.payment_hash)
            raise
        chaos.world.excuses.written_off.add(payment.payment_hash)


async def stop(chaos: Chaos) -> None:
    await chaos.world.service.sending.stop(drain=chaos.rng.random() < 0.5, patience_seconds=30.0)


async def start(chaos: Chaos) -> None:
    await chaos.world.service.sending.start(b"")


async def look(chaos: Chaos) -> None:
    """What is shown must never fail, and changes nothing."""
    service = chaos.world.service
    service.sending.report()
    service.sending.unready()
    await service.streams.page(ADMIN, chaos.rng.choice(("", "state=STALLED")), 3, "")
    await service.streams.get(ADMIN, some(chaos).id)
    found, _ = await service.payments.page(ADMIN, chaos.rng.choice(("", "in_doubt")), 3, "")
    for report in found:
        await service.payments.get(ADMIN, report.payment.id)


ACTS: tuple[Callable[[Chaos], Awaitable[None]], ...] = (
    open_if_few,
    open_if_few,
    open_if_few,
    pause,
    resume,
    resume,
    resume,
    cancel,
    renew,
    renew,
    change_rate,
    change_budget,
    change_limits,
    keysend,
    keysend,
    write_off,
    stop,
    start,
    start,
    start,
    look,
    make_key,
    make_key,
    revoke_key,
    open_stream_as_key,
    keysend_as_key,
    pay_invoice,
    pay_invoice,
    pay_invoice,
    open_crowd,
    open_short,
    burst_of_rates,
)


def some(chaos: Chaos) -> Stream:
    """One of the streams: of those that go on, mostly."""
    streams = chaos.world.streams
    running = [stream for stream in streams if stream.state not in ENDED]
    return chaos.rng.choice(running if running and chaos.rng.random() < 0.9 else streams)


async def act(chaos: Chaos, what: Callable[[Chaos], Awaitable[None]]) -> None:
    """Somebody does this; a refusal is an answer too, but not to a look; a failed store ends the
    process by other ways.
    """
    try:
        await what(chaos)
    except StoreFailed:
        return
    except StreamerError as refusal:
        assert str(refusal) and what is not look, refusal


def tokens(chaos: Chaos) -> set[bytes]:
    """Of all streams that the daemon knows now."""
    return {derive_token(SECRET, stream.id) for stream in chaos.world.streams}
