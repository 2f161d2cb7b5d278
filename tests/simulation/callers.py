"""What callers with keys of their own do: streams and payments within a budget, and invoices paid
once, however often asked for.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from streamer.service.keys import KeyOrder
from streamer.service.orders import InvoiceOrder, PaymentOrder, StreamOrder
from streamer.simulator.network.invoices import Wanted, add_invoice
from streamer.words.errors import DeadlineExceeded, StreamerError
from streamer.words.model import ADMIN, ApiKey, BudgetTerms, PaymentState
from streamer.words.money import SECOND_NS
from tests.simulation.troubled import Troubled

if TYPE_CHECKING:
    from tests.simulation.chaos import Chaos

HOUR_NS = 3_600 * SECOND_NS
KEYS_AT_MOST = 4
SCOPES = ("payments:write", "streams:write")
REQUEST_RECORD = 70_001
INVOICE_SECONDS = 24 * 3_600
INVOICE_NODE = "payer"
"""Invoices are asked of one node: two nodes pay the same one twice if our journal is an old copy,
for each knows only its own.
"""


async def make_key(chaos: Chaos) -> None:
    rng, ring = chaos.rng, chaos.world.keyring
    if sum(not key.revoke_time_ns for key in ring.all()) < KEYS_AT_MOST:
        budget = BudgetTerms(
            rng.randint(100_000, 20_000_000), rng.choice((None, HOUR_NS, 24 * HOUR_NS))
        )
        await chaos.world.service.keys.create(
            KeyOrder("a key", SCOPES, rng.choice((None, budget, budget, budget)))
        )


async def revoke_key(chaos: Chaos) -> None:
    keys = chaos.world.keyring.all()
    if keys and chaos.rng.random() < 0.3:
        await chaos.world.service.keys.revoke(chaos.rng.choice(keys).id)


async def open_stream_as_key(chaos: Chaos) -> None:
    rng, seconds = chaos.rng, chaos.rng.choice(chaos.tempo.interval_seconds)
    destination = chaos.world.network.named[chaos.receiver()].pubkey
    order = StreamOrder(
        destination=destination,
        amount_msat=rng.randint(1, 5_000 * seconds),
        interval_ns=seconds * SECOND_NS,
        node=chaos.payer(),
    )
    if len(chaos.world.streams) < chaos.streams_at_most:
        await chaos.world.service.streams.create(
            some_caller(chaos), order, f"request {rng.randrange(1 << 60)}", validate_only=False
        )


async def keysend_as_key(chaos: Chaos) -> None:
    rng, caller = chaos.rng, some_caller(chaos)
    request_id = f"request {rng.randrange(1 << 60)}"
    records = ((REQUEST_RECORD, request_id.encode()),)
    order = PaymentOrder(
        chaos.world.network.named[chaos.receiver()].pubkey,
        rng.randint(1_000, 1_000_000),
        chaos.payer(),
        records=records,
    )
    for _ in range(rng.choice((1, 1, 2))):
        await chaos.world.service.payments.create(
            caller, order, request_id, rng.choice((0.1, 10.0))
        )


async def pay_invoice(chaos: Chaos) -> None:
    """A new invoice, or one that somebody has asked to be paid before; what is told is its proof,
    and the same each time.
    """
    rng, invoices = chaos.rng, chaos.invoices
    if not invoices or rng.random() < 0.5:
        receiver = chaos.world.network.named[chaos.receiver()]
        made = add_invoice(
            chaos.world.network,
            receiver,
            Wanted(rng.randint(1_000, 1_000_000), expiry_seconds=INVOICE_SECONDS),
        )
        invoices[made.payment_request] = made.payment_hash
        chaos.world.excuses.invoices.add(made.payment_hash)
        invoice = made.payment_request
    else:
        invoice = rng.choice(list(invoices))
    await ask(chaos, some_caller(chaos), invoice, rng.choice((0.1, 20.0)))


async def ask(chaos: Chaos, caller: ApiKey, invoice: str, patience_seconds: float) -> bool:
    """PayInvoice; True if the caller was told that it is paid."""
    report = await chaos.world.service.paying.create(
        caller, InvoiceOrder(invoice, node=INVOICE_NODE), "", patience_seconds
    )
    if report.payment.state is not PaymentState.SETTLED:
        return False
    assert hashlib.sha256(report.preimage).digest() == chaos.invoices[invoice], (
        "a caller was told a wrong preimage"
    )
    chaos.told.add(invoice)
    return True


async def check_told(chaos: Chaos) -> None:
    """After all: who was told that an invoice is paid is told so again, with its proof."""
    if chaos.world.excuses.lost_singles:
        return
    for invoice in chaos.told:
        try:
            assert await ask(chaos, ADMIN, invoice, 1.0), f"{invoice} was paid, and is no longer"
        except (StreamerError, DeadlineExceeded) as error:
            raise AssertionError(f"{invoice} was paid, and now: {error}") from error


def some_caller(chaos: Chaos) -> ApiKey:
    """The admin, or somebody with a key; revoked ones try, too."""
    keys = chaos.world.keyring.all()
    return chaos.rng.choice(keys) if keys and chaos.rng.random() < 0.8 else ADMIN


def check_key_budgets(world: Troubled) -> None:
    """No key spends more than it may: only what settles late, or what an old journal did not know,
    may be beyond it.
    """
    if any(world.observer.late) or world.excuses.lost_singles:
        return
    for number, budget in world.shared.budgets._keys.items():
        # what was there when our time was put right
        start_ns, moved_msat = world.excuses.moved.get(f"key {number}", (0, 0))
        most_msat = max(budget.limit_msat, moved_msat if start_ns == budget.period_start_ns else 0)
        assert budget.spent_msat + budget.reserved_msat <= most_msat, (
            f"key {number} is over its budget"
        )
