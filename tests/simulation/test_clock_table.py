"""What the daemon does while its clock is unchecked, and while it is wrong: a row for every method
and for every timer.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from google.protobuf import json_format

from streamer.api.call import Call
from streamer.api.services import SERVICES, Rpc, served
from streamer.books import archive
from streamer.books.timekeeping import ClockState
from streamer.core import ends
from streamer.doubt.recovery import Patience
from streamer.service import Service
from streamer.service.keys import KeyOrder
from streamer.service.orders import StreamOrder
from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.simulator.network.invoices import Wanted, add_invoice
from streamer.simulator.network.lightning_node import CallFate
from streamer.words.errors import NodeUnavailable, NotFound, Unavailable
from streamer.words.model import ADMIN, BudgetTerms, Facts, Mark, StreamState
from streamer.words.money import SECOND_NS
from streamer.words.reasons import Halt
from tests.simulation.skewed import HOUR_NS, Skewed
from tests.simulation.test_money_rules import die, one_open
from tests.simulation.test_scenarios import QUICK
from tests.simulation.test_unchecked_clock import daemon

STATES = (ClockState.UNCHECKED, ClockState.WRONG)
AHEAD_HOURS = 500 * 24
"""More than any ttl, end, budget's period and history.keep."""
WORKS, REFUSED = "works", "CLOCK"

# -- methods --------------------------------------------------------------------------------------

METHODS: tuple[tuple[str, dict[str, Any], str], ...] = (
    (
        "StreamService/CreateStream",
        {"stream": {"destination": "$receiver", "amountMsat": 1000, "interval": "1s"}},
        REFUSED,
    ),
    (
        "StreamService/CreateStream",
        {
            "stream": {"destination": "$receiver", "amountMsat": 1000, "interval": "1s"},
            "validateOnly": True,
        },
        REFUSED,
    ),
    ("StreamService/GetStream", {"id": "$stream"}, WORKS),
    ("StreamService/ListStreams", {}, WORKS),
    ("StreamService/WatchStreams", {}, WORKS),
    ("StreamService/RenewStreams", {}, WORKS),
    (
        "StreamService/UpdateStream",
        {"stream": {"id": "$stream", "labels": {"a": "b"}}, "updateMask": "labels"},
        WORKS,
    ),
    # as it is
    (
        "StreamService/UpdateStream",
        {"stream": {"id": "$stream", "amountMsat": 1000}, "updateMask": "amountMsat"},
        WORKS,
    ),
    (
        "StreamService/UpdateStream",
        {"stream": {"id": "$stream", "amountMsat": 2000}, "updateMask": "amountMsat"},
        REFUSED,
    ),
    (
        "StreamService/UpdateStream",
        {"stream": {"id": "$stream", "endTime": "2100-01-01T00:00:00Z"}, "updateMask": "endTime"},
        REFUSED,
    ),
    (
        "StreamService/UpdateStream",
        {"stream": {"id": "$stream", "ttl": "7200s"}, "updateMask": "ttl"},
        REFUSED,
    ),
    ("StreamService/PauseStream", {"id": "$stream"}, WORKS),
    ("StreamService/ResumeStream", {"id": "$stream"}, REFUSED),
    ("StreamService/CancelStream", {"id": "$stream"}, WORKS),
    (
        "PaymentService/CreatePayment",
        {"destination": "$receiver", "amountMsat": 5000, "requestId": "new"},
        REFUSED,
    ),
    ("PaymentService/CreatePayment", {"paymentRequest": "$invoice", "requestId": "new"}, REFUSED),
    ("PaymentService/GetPayment", {"id": "$payment"}, WORKS),
    ("PaymentService/ListPayments", {}, WORKS),
    ("PaymentService/WriteOffPayment", {"id": "$payment"}, WORKS),
    ("AdminService/GetStatus", {}, WORKS),
    ("AdminService/StopSending", {}, WORKS),
    ("AdminService/StartSending", {}, WORKS),
    ("AdminService/CreateKey", {"key": {"scopes": ["streams:write"]}}, WORKS),
    (
        "AdminService/CreateKey",
        {"key": {"scopes": ["streams:write"], "expireTime": "2100-01-01T00:00:00Z"}},
        REFUSED,
    ),
    (
        "AdminService/ImportKey",
        {"key": {"scopes": ["streams:write"]}, "text": "0123456789abcdef"},
        WORKS,
    ),
    (
        "AdminService/ImportKey",
        {
            "key": {"scopes": ["streams:write"], "expireTime": "2100-01-01T00:00:00Z"},
            "text": "0123456789abcdeg",
        },
        REFUSED,
    ),
    ("AdminService/ListKeys", {}, WORKS),
    ("AdminService/RevokeKey", {"id": "$key"}, WORKS),
    ("Lightning/GenerateInvoice", {"amount": 5}, WORKS),
    ("Lightning/PayInvoice", {"invoice": "$invoice"}, REFUSED),
    ("Lightning/CheckInvoice", {"invoice": "$invoice"}, WORKS),
    ("Lightning/GetChannels", {}, WORKS),
    ("Lightning/ListPayments", {}, WORKS),
    ("Lightning/ListInvoices", {}, WORKS),
    ("Lightning/Keysend", {"destination": "$receiver", "amount": 5, "requestId": "new"}, REFUSED),
)
"""(method, request, what becomes of it): what stops money or takes note of it works, what begins or
moves money is refused.
"""
IDS = [f"{name}-{number}" for number, (name, _, _) in enumerate(METHODS)]
ASKS_THE_NODE = frozenset({"GenerateInvoice", "CheckInvoice", "GetChannels", "ListInvoices"})
"""What works as far as the node does."""


def test_every_method_has_a_row() -> None:
    assert {
        f"{service.name}/{method.name}" for service, _ in SERVICES for method in service.methods
    } == {name for name, _, _ in METHODS}


@dataclass
class Known:
    """What a request may name."""

    receiver: str
    stream: str
    payment: str
    key: str
    invoice: str

    def filled(self, request: Any) -> Any:
        if isinstance(request, dict):
            return {name: self.filled(value) for name, value in request.items()}
        return (
            getattr(self, request[1:])
            if isinstance(request, str) and request.startswith("$")
            else request
        )


async def lived(world: Skewed) -> Known:
    """A daemon with a right clock, a paying stream with an open payment, a key and an invoice; then
    it dies.
    """
    receiver = world.network.named["receiver0"]
    async with daemon(world) as service:
        await asyncio.sleep(1)
        call = Call((), caller=ADMIN)
        rpcs = {rpc.name: rpc for rpc in served(service)}
        key = await asked(
            rpcs["AdminService/CreateKey"], {"key": {"scopes": ["streams:write"]}}, call
        )
        stream = await world.open("1sat/1s", ttl_ns=HOUR_NS)
        await asyncio.sleep(30.5)
        await one_open(world, stream, CallFate.NEVER, then=die)
    invoice = add_invoice(
        world.network, receiver, Wanted(5_000, expiry_seconds=31_536_000)
    ).payment_request
    [payment] = world.store.load().open_payments
    return Known(receiver.pubkey.hex(), stream.id, payment.id, key.key.id, invoice)


async def asked(rpc: Rpc, request: dict[str, Any], call: Call) -> Any:
    message = json_format.ParseDict(request, rpc.request())
    if rpc.streams:
        return await anext(aiter(rpc.serve(message, call)))
    return await rpc.serve(message, call)


@asynccontextmanager
async def started(world: Skewed, state: ClockState) -> AsyncIterator[Service]:
    """The next daemon: its node is away, or finds the clock wrong."""
    if state is ClockState.UNCHECKED:
        world.faults.take_down("payer")
    world.start_with(AHEAD_HOURS)
    async with daemon(world) as service:
        await asyncio.sleep(1)
        assert world.timekeeping.state is state
        yield service


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize(("name", "request_form", "verdict"), METHODS, ids=IDS)
def test_a_method(state: ClockState, name: str, request_form: dict[str, Any], verdict: str) -> None:
    async def main(clock: VirtualClock) -> None:
        world = Skewed(clock, QUICK)
        known = await lived(world)
        paid = world.received_msat()
        async with started(world, state) as service:
            rpc = next(rpc for rpc in served(service) if rpc.name == name)
            [payment] = world.book.payments.values()
            ends.mark(world.book, payment, Mark.HELD, world.engine._clock.now_ns(), Facts())
            before, facts = (
                world.timekeeping.state,
                len(world.store.execute("SELECT 1 FROM requests")),
            )
            call = Call((), asyncio.get_running_loop().time() + 5, ADMIN)
            try:
                await asked(rpc, known.filled(request_form), call)
                found = WORKS
            except NotFound:
                assert name == "Lightning/CheckInvoice"  # the receiver made it
                found = WORKS
            except NodeUnavailable:
                assert state is ClockState.UNCHECKED and name.rpartition("/")[2] in ASKS_THE_NODE
                found = WORKS
            except Unavailable as error:
                found = error.reason
                assert error.retry_after_seconds > 0 and world.timekeeping.awaited in str(error)
            assert found == verdict
            await asyncio.sleep(60)
            assert world.timekeeping.state is before and world.received_msat() == paid
            assert len(world.store.execute("SELECT 1 FROM requests")) == facts, (
                "what was refused has used no request_id"
            )

    run_virtual(main)


# -- timers ---------------------------------------------------------------------------------------


def named(world: Timed, name: str) -> Any:
    """The stream of that name; None when it has left memory."""
    return next(
        (stream for stream in world.streams if dict(stream.terms.labels)["is"] == name), None
    )


def state_of(name: str) -> Callable[[Timed], object]:
    return lambda world: getattr(named(world, name), "state", None)


def periods(world: Timed, level: str) -> list[int]:
    """When the present period of each budget began, as somebody sees it who asks now."""
    now_ns, budgets = world.engine._clock.now_ns(), world.book.budgets
    streams = [stream for stream in world.streams if stream.state is not StreamState.CANCELLED]
    found = [
        budgets.own(stream, now_ns) if level == "own" else budgets.of_key(stream.api_key, now_ns)
        for stream in streams
    ]
    return [budget.period_start_ns for budget in found if budget is not None]


TIMERS: dict[str, Callable[[Timed], object]] = {
    "a payment falls due": lambda world: world.received_msat(),
    "a stream's start_time comes": state_of("starts"),
    "a stream's end_time comes": state_of("ends"),
    "a ttl runs out": state_of("expires"),
    "a key's expire_time comes": lambda world: [
        row.revoke_time_ns for row in world.store.load().keys
    ],
    "a stream's budget renews": lambda world: (
        named(world, "waits-for-its-budget").account.settled_msat
    ),
    "the period of a stream's budget begins": lambda world: periods(world, "own"),
    "the period of a key's budget begins": lambda world: periods(world, "key"),
    "the spend limit's period begins": lambda world: world.book.budgets.spend_limit.period_start_ns,
    "an open payment is in doubt": lambda world: world.in_doubt,
    "a payment that is out of sight is written off": lambda world: sum(
        stream.account.written_off_msat for stream in world.streams
    ),
    "history is deleted": lambda world: world.store.execute("SELECT min(row) FROM payments")[0],
    "an ended stream leaves memory": lambda world: any(
        stream.state is StreamState.CANCELLED for stream in world.book.streams.values()
    ),
    "the journal's moment is marked": lambda world: world.store.load().settings["mark"],
    "an outage is journaled": lambda world: len(world.record),
}
"""What happens by itself when its time comes, and how it is seen. The daemon's certificate:
tests/api/test_tls.py; giving up an event of the webhook: tests/webhook/test_delivery.py. What looks
at the disk and asks for the ends of payments goes on: below.
"""


class Timed(Skewed):
    """One world in which everything that time can decide is about to be decided."""

    keep_ns = HOUR_NS
    lost_row = 0
    in_doubt = 0

    @property
    def streams(self) -> list[Any]:
        return list(self.book.streams.values())


async def about_to_happen(world: Timed) -> None:
    """A right daemon leaves all that TIMERS look at, and dies with payments open: a receiver holds
    one, others are lost.
    """
    soon_ns = world.clock.now_ns() + 2 * HOUR_NS
    world._keys = itertools.count(100)  # the service counts from 1
    async with daemon(world) as service:
        await asyncio.sleep(1)
        for end_ns in (None, soon_ns):
            report, _ = await service.keys.create(
                KeyOrder(
                    "a key", ("streams:write",), BudgetTerms(10**9, HOUR_NS), expire_time_ns=end_ns
                )
            )
            order = StreamOrder(
                destination=world.network.named["receiver0"].pubkey,
                amount_msat=1_000,
                interval_ns=SECOND_NS,
                labels=(("is", "of-a-key"),),
            )
            await service.streams.create(report.key, order, "", False)
        terms: dict[str, dict[str, Any]] = {
            "starts": {"start_time_ns": soon_ns},
            "ends": {"end_time_ns": soon_ns},
            "expires": {"ttl_ns": 2 * HOUR_NS},
            "waits-for-its-budget": {"budget": BudgetTerms(20_000, HOUR_NS)},
            "has-ended": {},
            "pays": {},
        }
        opened = {
            name: await world.open("1sat/1s", labels=(("is", name),), **given)
            for name, given in terms.items()
        }
        held = await world.open("1sat/1s", receiver=1, labels=(("is", "held"),))
        await asyncio.sleep(30)
        world.faults.hold("receiver1")
        await service.streams.pause(ADMIN, opened["ends"].id)
        await service.streams.cancel(ADMIN, opened["has-ended"].id)
        await asyncio.sleep(1)
        world.faults.lose_calls("payer", 1_000, CallFate.NEVER)
        await asyncio.sleep(3)
    world.faults.lose_calls("payer", 0, CallFate.NEVER)
    [world.lost_row] = [
        payment.row
        for payment in world.store.load().open_payments
        if payment.stream_key == opened["pays"].key
    ]
    assert held.open_payments == 1


def seen(world: Timed) -> dict[str, object]:
    world.in_doubt = max(world.in_doubt, len(world.book.slots.doubtful))
    return {name: look(world) for name, look in TIMERS.items()}


@pytest.mark.parametrize("state", STATES)
def test_no_timer_decides_until_the_clock_is_right_and_all_do_then(
    state: ClockState, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main(clock: VirtualClock) -> None:
        monkeypatch.setattr(archive, "ARCHIVE_AFTER_NS", 600 * SECOND_NS)
        world = Timed(
            clock, QUICK, receivers=2, patience=Patience(orphan_write_off_after_ns=HOUR_NS)
        )
        await about_to_happen(world)
        async with started(world, state):
            one = world.book.payments[world.lost_row]
            world.engine.defer(
                lambda now_ns, facts: ends.mark(world.book, one, Mark.LOST_SIGHT, now_ns, facts)
            )
            await asyncio.sleep(1)
            before = seen(world)
            for _ in range(6):
                await asyncio.sleep(3600)
                assert seen(world) == before
            with monkeypatch.context() as full:
                full.setattr(type(world.store), "space", lambda _: (0, 0))
                await asyncio.sleep(10)
            assert Halt.STORE_FAILED in world.switch.halts, "the disk is looked at all the same"
            world.switch.lift(Halt.STORE_FAILED)
            world.error_ns = 0
            world.faults.bring_up("payer")
            for _ in range(25):
                await asyncio.sleep(60)
                after = seen(world)
            assert {name for name in TIMERS if after[name] == before[name]} == set(), (
                "what no clock moves proves nothing"
            )

    run_virtual(main)
