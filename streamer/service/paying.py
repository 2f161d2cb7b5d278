"""Pays an invoice once, however often and by however many it is asked.

What an invoice is paid for is its payment hash. Each attempt is a payment of its own ("pay_…", with
the intent before the call as for every payment), and at most one of them is not FAILED: a new one
begins only after the journal, and then the node itself, has said that none is alive or has settled.
Should lnd be asked twice all the same, it refuses the second: the hash is the same.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import replace

from streamer.core.ledger import fee_limit_msat
from streamer.pay.engine import Engine
from streamer.ports import DecodedInvoice
from streamer.service.invoices import read_invoice
from streamer.service.nodes import Nodes, own_pubkey
from streamer.service.once import Once
from streamer.service.orders import InvoiceOrder
from streamer.service.outcomes import pending, require_settled
from streamer.service.payments import ID_BYTES, LEAST_PATIENCE_SECONDS, Payments, report_payment
from streamer.service.permission import owns, require_affordable, require_may_pay
from streamer.service.reports import PaymentReport
from streamer.service.requests import Requests
from streamer.service.terms import check_amount, check_fee_limit
from streamer.words.errors import FailedPrecondition, InvalidArgument, PermissionDenied, Unavailable
from streamer.words.model import (
    UNPAID,
    Answer,
    ApiKey,
    Facts,
    Kind,
    Payment,
    PaymentQuery,
    PaymentState,
    Request,
    Single,
)
from streamer.words.money import format_amount
from streamer.words.settings import InvoiceSettings

PAY_SECONDS = 180.0
"""How long PayInvoice waits for the end, unless its caller has less time."""
TRACK_SECONDS = 10.0

Found = tuple[Payment, bytes]
"""The payment of an invoice, and the preimage where only the node knows it (the payment was written
off).
"""


class Paying:
    """The use cases of whoever pays an invoice."""

    def __init__(
        self, nodes: Nodes, payments: Payments, settings: InvoiceSettings, request_ids: Requests
    ) -> None:
        self._nodes = nodes
        self._settings = settings
        self._request_ids = request_ids
        self._payments = payments
        self._hashes = Once()

    async def preimage(self, caller: ApiKey, invoice: str, patience_seconds: float) -> bytes:
        """Pay invoice through the first node, and give the proof of it: PayInvoice.

        Raises DeadlineExceeded (PAYMENT_PENDING) if its end is not known in time,
        FailedPrecondition if it was not paid, and what create raises.
        """
        return require_settled(
            await self.create(caller, InvoiceOrder(invoice), "", patience_seconds)
        ).preimage

    async def create(
        self, caller: ApiKey, order: InvoiceOrder, request_id: str, patience_seconds: float
    ) -> PaymentReport:
        """Pay one invoice, once; wait for its end no longer than patience. A request_id shows its
        first payment again.

        Raises InvalidArgument, AlreadyExists, FailedPrecondition, ResourceExhausted,
        PermissionDenied (the key may not pay this payee, or another key's payment of it is there),
        NodeUnavailable, NodeRejected, DeadlineExceeded.
        """
        until = asyncio.get_running_loop().time() + max(patience_seconds, LEAST_PATIENCE_SECONDS)
        order = replace(order, payment_request=read_invoice(order.payment_request))
        try:
            async with asyncio.timeout_at(until):
                payment, told = await self._request_ids.once(
                    caller,
                    request_id,
                    order,
                    lambda asked: self._once(caller, order, asked),
                    lambda made: self._made(caller, made),
                )
        except TimeoutError:
            raise pending("the invoice") from None
        payment = await self._payments.ended(payment, until)
        return replace(report_payment(self._nodes, payment), preimage=payment.preimage or told)

    async def _made(self, caller: ApiKey, payment_id: str) -> Found:
        return await self._payments.made(caller, payment_id), b""

    async def _once(self, caller: ApiKey, order: InvoiceOrder, asked: Request | None) -> Found:
        """The payment of the invoice that there is, or a new attempt."""
        newest = await self._newest(PaymentQuery(payment_request=order.payment_request, limit=1))
        if newest is None or newest.state in UNPAID:
            engine = self._nodes.engine_for(order.node)
            self._nodes.timekeeping.require_known()
            found = await engine.node.decode_invoice(order.payment_request)
            return await self._hashes.only(
                found.payment_hash.hex(), lambda: self._by_hash(caller, engine, order, found, asked)
            )
        return await self._again(caller, newest, asked)

    async def _by_hash(
        self,
        caller: ApiKey,
        engine: Engine,
        order: InvoiceOrder,
        found: DecodedInvoice,
        asked: Request | None,
    ) -> Found:
        newest = await self._newest(PaymentQuery(payment_hash=found.payment_hash, limit=1))
        if newest is None or newest.state in UNPAID:
            return await self._attempt(caller, engine, order, found, asked)
        _require_same(newest.payment_request, order, found.payment_hash)
        return await self._again(caller, newest, asked)

    async def _again(self, caller: ApiKey, newest: Payment, asked: Request | None) -> Found:
        _require_own(caller, newest)
        if asked is not None:
            await self._nodes.desk.durable(
                Facts(requests=[replace(asked, resource_id=newest.owner)])
            )
        engine_then = self._nodes.engines.get(newest.node)
        if newest.state is PaymentState.WRITTEN_OFF and engine_then is not None:
            return (
                newest,
                (await engine_then.node.track(newest.payment_hash, TRACK_SECONDS)).preimage,
            )
        return newest, b""

    async def _attempt(
        self,
        caller: ApiKey,
        engine: Engine,
        order: InvoiceOrder,
        found: DecodedInvoice,
        asked: Request | None,
    ) -> Found:
        """Begin to pay, unless a node knows of a payment that the journal does not."""
        require_may_pay(caller, found.destination, self._nodes.clock.now_ns())
        asked_now = [
            engine,
            *(other for other in self._nodes.engines.values() if other is not engine and other.up),
        ]
        answers = await asyncio.gather(
            *(asked_one.node.track(found.payment_hash, TRACK_SECONDS) for asked_one in asked_now)
        )
        if answers[0].kind is Kind.LOST:
            raise Unavailable(
                f"the node did not say whether the invoice is paid already ({answers[0].message}):"
                " call again"
            )
        for knowing, answer in zip(asked_now, answers, strict=True):
            if answer.kind is Kind.SETTLED:
                _require_same(answer.payment_request, order, found.payment_hash)
                return (
                    _require_own(
                        caller, await self._settled(caller, knowing, order, found, answer)
                    ),
                    b"",
                )
            if answer.kind is Kind.IN_FLIGHT:
                raise pending(
                    f"a payment with the invoice's hash {found.payment_hash.hex()}, at the node"
                    f" {knowing.name} itself,"
                )
        owner = "pay_" + secrets.token_hex(ID_BYTES)
        single = self._single(caller, owner, engine, order, found)
        facts = Facts(requests=[] if asked is None else [replace(asked, resource_id=owner)])
        return await engine.begin(single, facts), b""

    async def _settled(
        self,
        caller: ApiKey,
        engine: Engine,
        order: InvoiceOrder,
        found: DecodedInvoice,
        answer: Answer,
    ) -> Payment:
        """The node has paid it: a failed attempt of ours was executed after all, or somebody else
        has.
        """
        ours = await self._newest(
            PaymentQuery(node=engine.name, payment_hash=found.payment_hash, limit=1)
        )
        if ours is not None:
            if ours.state in UNPAID:
                engine.recovery.settled_late(ours, answer)
            return await self._payments.after_the_turn(engine, ours)
        foreign = Payment(
            row=0,
            owner="",
            stream_key=0,
            seq=0,
            node=engine.name,
            destination=found.destination,
            payment_hash=found.payment_hash,
            amount_msat=answer.amount_msat,
            fee_limit_msat=0,
            cltv_limit=0,
            timeout_seconds=0,
            records=b"",
            due_ns=0,
            planned_ns=0,
        )
        foreign.state, foreign.payment_request, foreign.preimage = (
            PaymentState.SETTLED,
            order.payment_request,
            answer.preimage,
        )
        foreign.settled_msat, foreign.fee_msat, foreign.index = (
            answer.amount_msat,
            answer.fee_msat,
            answer.index,
        )
        foreign.api_key = caller.number
        return foreign

    def _single(
        self, caller: ApiKey, owner: str, engine: Engine, order: InvoiceOrder, found: DecodedInvoice
    ) -> Single:
        """What is to be paid, after every check that needs no node."""
        if found.destination == own_pubkey(engine):
            raise InvalidArgument("the invoice is our own node's: a node cannot pay itself")
        if self._nodes.clock.now_ns() > found.expire_time_ns:
            raise FailedPrecondition(
                "the invoice has expired: ask the receiver for a new one", "INVOICE_EXPIRED"
            )
        amount_msat, settings = _amount_msat(order, found), self._settings
        fee_limit = order.fee_limit_msat
        if fee_limit is None:
            fee_limit = fee_limit_msat(amount_msat, settings.fee_floor_msat, settings.fee_limit_ppm)
        check_fee_limit(fee_limit)
        require_may_pay(caller, found.destination, self._nodes.clock.now_ns())
        require_affordable(
            amount_msat, fee_limit, caller, self._nodes.shared.budgets.spend_limit.limit_msat
        )
        return Single(
            owner,
            found.destination,
            amount_msat,
            fee_limit,
            payment_hash=found.payment_hash,
            payment_request=order.payment_request,
            api_key=caller.number,
        )

    async def _newest(self, query: PaymentQuery) -> Payment | None:
        found = await self._nodes.history.payments(query)
        return await self._payments.now(found[0]) if found else None


def _amount_msat(order: InvoiceOrder, found: DecodedInvoice) -> int:
    if found.amount_msat:
        if order.amount_msat not in (0, found.amount_msat):
            asked, said = format_amount(found.amount_msat), format_amount(order.amount_msat)
            raise InvalidArgument(
                f"amount_msat is {said}, and the invoice asks for {asked}: leave it out"
            )
    elif not order.amount_msat:
        raise InvalidArgument(
            "the invoice leaves the amount to the payer, and none was given: PayInvoice has no"
            " field for it, `streamer invoice pay INVOICE --amount 50sat` and CreatePayment"
            " (amount_msat) have"
        )
    check_amount("amount_msat", found.amount_msat or order.amount_msat)
    return found.amount_msat or order.amount_msat


def _require_own(caller: ApiKey, payment: Payment) -> Payment:
    """The payment, if the caller may see it: another key's preimage is not given away, nor is the
    invoice paid again.
    """
    if not owns(caller, payment.api_key):
        raise PermissionDenied(
            "the invoice is paid, or being paid, with another key: only that one is told",
            "KEY_OTHER",
        )
    return payment


def _require_same(payment_request: str, order: InvoiceOrder, payment_hash: bytes) -> None:
    """Raise unless what has this hash is this invoice: whoever paid another one has not paid this
    one.
    """
    if payment_request.lower() != order.payment_request:
        raise FailedPrecondition(
            f"the payment hash {payment_hash.hex()} was used for another payment, and cannot be"
            " paid again: this invoice is not paid; ask the receiver for a new one",
            "HASH_REUSED",
        )
