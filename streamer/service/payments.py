"""Use cases of payments: one keysend, show, list, write off."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace

from streamer.core import ends
from streamer.core.keysend import encode_records
from streamer.core.ledger import fee_limit_msat
from streamer.core.payment import Event
from streamer.core.streamtime import origin_ns
from streamer.pay.engine import Engine
from streamer.service.archived import streams_of
from streamer.service.filters import PaymentFilter, page_size, page_start, parse_payment_filter
from streamer.service.nodes import Nodes, own_pubkey
from streamer.service.orders import PaymentOrder
from streamer.service.permission import owns, require_affordable, require_may_pay
from streamer.service.reports import PaymentReport
from streamer.service.requests import Requests
from streamer.service.terms import check_amount, check_destination, check_fee_limit, check_records
from streamer.words.errors import FailedPrecondition, InvalidArgument, NotFound, Unavailable
from streamer.words.model import (
    Answer,
    ApiKey,
    Facts,
    Kind,
    Mark,
    Payment,
    PaymentQuery,
    PaymentState,
    Request,
    Single,
    Stream,
)
from streamer.words.money import format_duration
from streamer.words.reasons import Halt
from streamer.words.settings import StreamSettings

ID_BYTES = 16
MAX_SHOWN_CHARS = 80
"""Of an id that is none, so much is repeated to whoever sent it."""
MAX_SEQ_DIGITS = 18
"""So many fit into 63 bits; no stream makes that many payments."""
LEAST_PATIENCE_SECONDS = 0.05
"""Even a call without time left waits so long: a refusal is known by then."""


class Payments:
    """The use cases of PaymentService."""

    def __init__(
        self,
        nodes: Nodes,
        settings: StreamSettings,
        preimage: Callable[[str], bytes],
        request_ids: Requests,
    ) -> None:
        """preimage gives the preimage of a single payment by its id."""
        self._nodes = nodes
        self._settings = settings
        self._preimage = preimage
        self._request_ids = request_ids

    async def create(
        self, caller: ApiKey, order: PaymentOrder, request_id: str, patience_seconds: float
    ) -> PaymentReport:
        """Send one keysend, once per request_id of a caller; wait for its end no longer than
        patience.

        Raises InvalidArgument, AlreadyExists, Unavailable, FailedPrecondition, ResourceExhausted,
        PermissionDenied.
        """
        if not request_id:
            raise InvalidArgument("request_id is missing: without it a retry would pay again")
        until = asyncio.get_running_loop().time() + max(patience_seconds, LEAST_PATIENCE_SECONDS)
        payment = await self._request_ids.once(
            caller,
            request_id,
            order,
            lambda asked: self._begin(caller, order, asked, until),
            lambda made: self.made(caller, made),
        )
        payment = await self.ended(payment, until)
        report = report_payment(self._nodes, payment)
        if payment.state is PaymentState.SETTLED:
            return replace(report, preimage=self._preimage(payment.owner))
        return report

    async def _begin(
        self, caller: ApiKey, order: PaymentOrder, asked: Request | None, until: float
    ) -> Payment:
        engine, settings = self._nodes.engine_for(order.node), self._settings
        self._nodes.timekeeping.require_known()
        check_destination(order.destination, own_pubkey(engine))
        check_amount("amount_msat", order.amount_msat, settings.min_payment_msat)
        check_records(order.records)
        fee_limit = order.fee_limit_msat
        if fee_limit is None:
            fee_limit = fee_limit_msat(
                order.amount_msat, settings.fee_floor_msat, settings.fee_limit_ppm
            )
        check_fee_limit(fee_limit)
        require_may_pay(caller, order.destination, self._nodes.clock.now_ns())
        require_affordable(
            order.amount_msat, fee_limit, caller, self._nodes.shared.budgets.spend_limit.limit_msat
        )
        owner = "pay_" + secrets.token_hex(ID_BYTES)
        single = Single(
            owner,
            order.destination,
            order.amount_msat,
            fee_limit,
            encode_records(order.records),
            api_key=caller.number,
        )
        facts = Facts(requests=[] if asked is None else [replace(asked, resource_id=owner)])
        return await engine.begin(single, facts, until - asyncio.get_running_loop().time())

    async def made(self, caller: ApiKey, payment_id: str) -> Payment:
        """The payment that a request_id made before, as it is now."""
        return await self.now(await self._find(caller, payment_id))

    async def get(self, caller: ApiKey, payment_id: str) -> PaymentReport:
        """One payment. Raises InvalidArgument, NotFound, for another key's payment too."""
        payment = await self._find(caller, payment_id)
        return report_payment(
            self._nodes,
            payment,
            (await streams_of(self._nodes, [payment])).get(payment.stream_key),
        )

    async def page(
        self, caller: ApiKey, filter_text: str, size: int, token: str
    ) -> tuple[list[PaymentReport], str]:
        """A page of the caller's payments, newest first, and the token of the next page (empty:
        this is the last).
        """
        wanted, limit, below = parse_payment_filter(filter_text), page_size(size), page_start(token)
        found = (
            self._doubtful(caller, wanted, below)
            if wanted.in_doubt
            else await self._stored(caller, wanted, below, limit + 1)
        )
        more, archived = len(found) > limit, await streams_of(self._nodes, found[:limit])
        reports = [
            report_payment(self._nodes, payment, archived.get(payment.stream_key))
            for payment in found[:limit]
        ]
        return reports, str(found[limit - 1].row) if more else ""

    async def write_off(self, caller: ApiKey, payment_id: str) -> PaymentReport:
        """Count an open payment as paid: only one whose end the node cannot tell."""
        payment = await self.now(await self._find(caller, payment_id))
        if payment.state is PaymentState.WRITTEN_OFF:
            return report_payment(self._nodes, payment)
        if not payment.open:
            raise FailedPrecondition(
                f"{payment_id} has ended ({payment.state}): there is nothing to write off"
            )
        engine = self._nodes.engine_for(payment.node)
        if engine.book.payments.get(payment.row) is not payment:
            raise Unavailable(f"{payment_id} is just ending: look at it again")
        lost = (
            payment.row in engine.book.slots.doubtful
            or payment.mark is not Mark.NONE
            or Halt.HASH_COLLISION in engine.switch.halts
        )
        if not lost:
            wait = format_duration(self._settings.in_doubt_after_ns)
            raise FailedPrecondition(
                f"{payment_id} may still end by itself: it can be written off {wait} after it began"
            )

        def action(now_ns: int, facts: Facts) -> None:
            ends.resolve(
                engine.book,
                payment,
                Event.WRITE_OFF,
                Answer(Kind.LOST, message="written off by a person"),
                now_ns,
                facts,
            )
            if not any(ends.astray(engine.book, left) for left in engine.book.payments.values()):
                engine.switch.lift(Halt.HASH_COLLISION, facts)
            engine.wake()

        await self._nodes.desk.make(action)
        return report_payment(self._nodes, payment)

    async def ended(self, payment: Payment, until: float) -> Payment:
        """The payment when its end is durable, or still open at until, a moment of the running
        loop's clock.
        """
        engine, patience_seconds = (
            self._nodes.engines.get(payment.node),
            until - asyncio.get_running_loop().time(),
        )
        if (
            engine is None
            or await engine.wait_for(payment, max(0.0, patience_seconds))
            or payment.open
        ):
            return payment
        return await self.after_the_turn(engine, payment)

    async def now(self, payment: Payment) -> Payment:
        """The payment as memory has it while it is open, else as the journal has it when its end is
        durable.
        """
        engine = self._nodes.engines.get(payment.node)
        if not payment.open or engine is None or payment.row in engine.book.payments:
            return payment if engine is None else engine.book.payments.get(payment.row, payment)
        return await self.after_the_turn(engine, payment)

    async def after_the_turn(self, engine: Engine, payment: Payment) -> Payment:
        """The payment as the journal has it once all that was deferred is durable: commits keep
        their order.
        """
        await engine.turn()
        await self._nodes.desk.settled()
        return await self._nodes.history.payment(payment.owner, payment.seq) or payment

    def _doubtful(self, caller: ApiKey, wanted: PaymentFilter, below: int) -> list[Payment]:
        open_ones = [
            payment
            for engine in self._nodes.engines.values()
            for payment in engine.book.slots.doubtful.values()
        ]
        rows = [
            payment
            for payment in open_ones
            if owns(caller, payment.api_key)
            and wanted.matches(payment, True)
            and (not below or payment.row < below)
        ]
        return sorted(rows, key=lambda payment: -payment.row)

    async def _stored(
        self, caller: ApiKey, wanted: PaymentFilter, below: int, limit: int
    ) -> list[Payment]:
        query = PaymentQuery(
            wanted.owner,
            wanted.node,
            wanted.states,
            below,
            limit,
            api_key=0 if caller.admin else caller.number,
        )
        return [live(self._nodes, payment) for payment in await self._nodes.history.payments(query)]

    async def _find(self, caller: ApiKey, payment_id: str) -> Payment:
        owner, dot, number = payment_id.partition(".")
        numbered = number.isdecimal() and len(number) <= MAX_SEQ_DIGITS
        if (
            not owner.startswith(("st_", "pay_"))
            or (dot and not numbered)
            or bool(dot) != owner.startswith("st_")
        ):
            raise InvalidArgument(
                f"{payment_id[:MAX_SHOWN_CHARS]!r} is no payment's id: they look like st_….7, or"
                " pay_… for a single one"
            )
        seq = int(number or 0)
        await self._nodes.desk.settled_of(owner, seq)
        now_open = (
            payment
            for payment in _open_payments(self._nodes)
            if payment.owner == owner and payment.seq == seq
        )
        found = next(now_open, None) or await self._nodes.history.payment(owner, seq)
        if found is None or not owns(caller, found.api_key):
            raise NotFound(
                f"no payment {payment_id}: `streamer payment list` shows those there are"
            )
        return found


def report_payment(nodes: Nodes, payment: Payment, stream: Stream | None = None) -> PaymentReport:
    """A payment with what memory knows of it beyond its row. stream: its own, if memory may not
    have it.
    """
    engine = nodes.engines.get(payment.node)
    if engine is None:
        return PaymentReport(payment)
    return PaymentReport(
        payment,
        payment.row in engine.book.slots.doubtful,
        bought_until_wall_ns(engine, payment, stream),
    )


def bought_until_wall_ns(engine: Engine, payment: Payment, stream: Stream | None = None) -> int:
    """Up to which moment payment buys; 0 for all but the newest: later skips and pauses moved
    those.
    """
    stream = engine.book.by_key.get(payment.stream_key, stream)
    if stream is None or payment.seq != stream.account.seq:
        return 0
    return origin_ns(stream) + payment.bought_until_ns


def live(nodes: Nodes, payment: Payment) -> Payment:
    """The payment as memory has it, if it is open; the store's copy may be a commit behind."""
    engine = nodes.engines.get(payment.node)
    return payment if engine is None else engine.book.payments.get(payment.row, payment)


def _open_payments(nodes: Nodes) -> Iterator[Payment]:
    for engine in nodes.engines.values():
        yield from engine.book.payments.values()
