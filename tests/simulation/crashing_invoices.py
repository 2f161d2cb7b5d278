"""The way of one invoice, or one keysend, through a process that dies at a given point, and a
caller who asks until he is told.

The points, the ways and the mortal node are those of crashing.py; here a caller outside of the
process calls PayInvoice, or Keysend with one request_id, twice at once, and again after each crash
and each refusal.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from collections.abc import Sequence

from streamer.core.keysend import derive_preimage
from streamer.ports import DecodedInvoice
from streamer.service import Keyring, Nodes, Service
from streamer.service.filters import MAX_PAGE
from streamer.service.orders import PaymentOrder
from streamer.service.reports import Totals
from streamer.simulator.clock import VIRTUAL_START_NS, VirtualClock
from streamer.simulator.network.books import Failure
from streamer.simulator.network.invoices import Wanted, add_invoice
from streamer.watch.feed import Feed
from streamer.words.errors import DeadlineExceeded, StreamerError
from streamer.words.model import ADMIN, Payment, PaymentQuery, PaymentState
from tests.simulation.crashing import CrashingWorld, MortalNode, SteppedLoop, Way
from tests.simulation.world import SECRET

AMOUNT_MSAT = 7_000
EXPIRY_SECONDS = 3_600
ASK_SECONDS = 15.0
PAUSE_SECONDS = 0.4
CALLERS = 2
UNTOLD = ""
"""What a caller is told of an invoice that was written off: there is no preimage."""


class AskedNode(MortalNode):
    """The connection of one process that also reads invoices."""

    async def decode_invoice(self, payment_request: str) -> DecodedInvoice:
        await self._begin()
        return await super().decode_invoice(payment_request)


class InvoiceWorld(CrashingWorld):
    """A crashing world whose one payment is that of an invoice; told: what the callers were
    told.
    """

    def __init__(self, clock: VirtualClock, way: Way) -> None:
        self.told: set[str] = set()
        super().__init__(clock, way)
        receiver = self.network.named["receiver0"]
        made = add_invoice(
            self.network, receiver, Wanted(AMOUNT_MSAT, expiry_seconds=EXPIRY_SECONDS)
        )
        self.invoice, self.payment_hash = made.payment_request, made.payment_hash

    def _build(self) -> None:
        super()._build()
        self.service = Service(
            Nodes.of(self.parts, self.engines),
            Keyring(SECRET, "k" * 64),
            Feed(),
            stream_keys=itertools.count(1),
            preimage=lambda owner: derive_preimage(SECRET, owner, 0),
            totals=Totals,
            replay=lambda: None,
        )

    def make_node(self, name: str) -> AskedNode:
        self.node = AskedNode(self)
        return self.node

    def sends(self, payment: Payment) -> None:
        if payment.row:
            assert (
                payment.payment_request == self.invoice
                and payment.payment_hash == self.payment_hash
            )
        super().sends(payment)

    def _over(self) -> bool:
        return bool(
            self.engine.up
            and self.told
            and not self.book.payments
            and not self.store.load().open_payments
        )

    async def begin(self) -> None:
        loop = asyncio.get_running_loop()
        if self.way.fails_for:
            self.faults.fail_randomly("payer", 1.0, Failure.TIMEOUT)
            loop.call_later(self.way.fails_for, self.faults.fail_randomly, "payer", 0.0)
        if self.way.restart_at:
            loop.call_later(
                self.way.restart_at, self.faults.restart, "payer", float(self.way.orphans)
            )

    async def live(self, crash_at: int) -> bool:
        callers = [asyncio.ensure_future(self.ask()) for _ in range(CALLERS)]
        try:
            return await super().live(crash_at)
        finally:
            for caller in callers:
                caller.cancel()
            await asyncio.gather(*callers, return_exceptions=True)

    async def ask(self) -> None:
        """Call PayInvoice of this process until its end is told."""
        paying = self.service.paying
        while True:
            try:
                self.told.add((await paying.preimage(ADMIN, self.invoice, ASK_SECONDS)).hex())
                return
            except DeadlineExceeded as error:
                assert error.reason == "PAYMENT_PENDING"
            except StreamerError as error:
                if error.reason == PaymentState.WRITTEN_OFF:
                    self.told.add(UNTOLD)
                    return
            await asyncio.sleep(PAUSE_SECONDS)

    async def finish(self) -> None:
        """Run on with a caller until he is told and everything has ended; then look at the
        books.
        """
        async with asyncio.timeout(self.way.seconds * 2):
            await asyncio.gather(*(self.ask() for _ in range(CALLERS)))
            while not self._over():
                await asyncio.sleep(1)
        assert not self.failures, self.failures
        self._check_attempts(await self.store.payments(PaymentQuery(limit=MAX_PAGE)))

    def _check_attempts(self, attempts: Sequence[Payment]) -> None:
        invoice = self.network.named["receiver0"].invoices[self.payment_hash]
        assert all(attempt.payment_request == self.invoice for attempt in attempts)
        settled = [attempt for attempt in attempts if attempt.state is PaymentState.SETTLED]
        written_off = [attempt for attempt in attempts if attempt.state is PaymentState.WRITTEN_OFF]
        assert len(invoice.htlcs) <= 1, "the invoice was paid twice"
        assert not [attempt for attempt in attempts if attempt.open], "something is open"
        assert len(settled) + len(written_off) == 1 and (self.way.orphans or not written_off)
        assert len(invoice.htlcs) == len(settled), "the receiver's books are not the ledger"
        assert all(len(sent) == 1 for sent in self.parameters.values()), (
            "a resend had other parameters"
        )
        limit = self.book.budgets.spend_limit
        assert limit.reserved_msat == 0
        assert limit.spent_msat == sum(
            attempt.settled_msat + attempt.fee_msat for attempt in settled + written_off
        ), "charged twice"
        if settled:
            assert self.told == {settled[0].preimage.hex()}, self.told
            assert hashlib.sha256(settled[0].preimage).digest() == self.payment_hash
        else:
            assert self.told == {UNTOLD}


class KeysendWorld(InvoiceWorld):
    """A crashing world whose one payment is a keysend that belongs to no stream."""

    def sends(self, payment: Payment) -> None:
        CrashingWorld.sends(self, payment)

    async def ask(self) -> None:
        """Call CreatePayment of this process, with the same request_id, until its end is told:
        SETTLED or not.
        """
        order = PaymentOrder(self.network.named["receiver0"].pubkey, AMOUNT_MSAT)
        while True:
            try:
                report = await self.service.payments.create(ADMIN, order, "r1", ASK_SECONDS)
                if not report.payment.open:
                    self.told.add(report.preimage.hex())
                    return
            except StreamerError:
                await asyncio.sleep(PAUSE_SECONDS)

    def _check_attempts(self, attempts: Sequence[Payment]) -> None:
        [payment] = attempts
        assert not payment.open, "something is open"
        received = [
            htlc
            for htlc in self.network.named["receiver0"].received
            if htlc.payment_hash == payment.payment_hash
        ]
        settled = payment.state is PaymentState.SETTLED
        assert len(received) == settled, "the receiver's books are not the ledger"
        assert len(self.network.named["receiver0"].received) == settled, "there was another payment"
        assert settled or self.way.fails_for or self.way.orphans, payment.state
        assert all(len(sent) == 1 for sent in self.parameters.values()), (
            "a resend had other parameters"
        )
        assert self.told == {
            derive_preimage(SECRET, payment.owner, 0).hex() if settled else UNTOLD
        }, self.told
        limit = self.book.budgets.spend_limit
        assert (limit.reserved_msat, limit.spent_msat) == (
            0,
            payment.settled_msat + payment.fee_msat,
        ), "charged twice"


async def watched_until_the_end(way: Way, seconds: float) -> list[Payment]:
    """Go the way without a crash, run on for so long, and look at the books again; the attempts,
    newest first.
    """
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SteppedLoop)
    world = InvoiceWorld(VirtualClock(loop, VIRTUAL_START_NS, 1), way)
    await world.begin()
    async with world.running():
        await world.finish()
        await asyncio.sleep(seconds)
        attempts = await world.store.payments(PaymentQuery(limit=MAX_PAGE))
        world._check_attempts(attempts)
    return attempts
