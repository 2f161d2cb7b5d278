"""`streamer invoice`: create, pay, check."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from streamer.cli.connect import Connection, talks
from streamer.cli.keysend import FAILED, STILL_OPEN
from streamer.cli.output import as_dict, print_json
from streamer.cli.payment import print_payment
from streamer.cli.words import AMOUNT
from streamer.money import MSAT_PER_SAT

if TYPE_CHECKING:
    from streamer.client import Client

WAIT_SECONDS = 180.0
NOT_PAID = 4


@click.group("invoice")
def command() -> None:
    """Make, pay and check invoices (BOLT 11)."""


@command.command("create")
@click.argument("amount", type=AMOUNT)
@click.option("--memo", default="", help="What it is for; whoever pays can read it.")
@talks
def create(connection: Connection, amount: int, memo: str) -> int:
    """Make an invoice of AMOUNT (whole satoshis, such as 50sat) at the daemon's first node, and print it."""
    if amount % MSAT_PER_SAT:
        raise click.UsageError(f"{amount} msat is no whole number of satoshis")

    async def work(client: Client) -> None:
        from streamer._proto.imp.api.lightning import lightning_pb2

        request = lightning_pb2.GenerateInvoiceRequest(amount=amount // MSAT_PER_SAT, memo=memo)
        made = await client.call(client.lightning.GenerateInvoice, request)
        if connection.as_json:
            print_json(as_dict(made))
        else:
            click.echo(made.invoice)

    return connection.run(work)


@command.command("pay")
@click.argument("invoice")
@click.option("--amount", type=AMOUNT, default=0, help="For an invoice that leaves the amount to the payer.")
@click.option("--fee-limit", type=AMOUNT, help="Most that it may cost.  [default: as configured]")
@click.option("--node", default="", help="The node that pays, by its name.  [default: the first]")
@click.option("--wait", type=click.FloatRange(1, 3600), default=WAIT_SECONDS, show_default=True, help="Seconds to wait for its end.")
@talks
def pay(connection: Connection, invoice: str, amount: int, fee_limit: int | None, node: str, wait: float) -> int:
    """Pay INVOICE, once: called again, it shows the same payment. Exit 0 settled, 1 failed, 4 still open."""
    if not invoice.strip():
        raise click.UsageError("INVOICE is empty")

    async def work(client: Client) -> int:
        from streamer._proto.streamer.v1 import payment_pb2

        request = payment_pb2.CreatePaymentRequest(payment_request=invoice, amount_msat=amount, node=node, fee_limit_msat=fee_limit)
        payment = await client.call(client.payments.CreatePayment, request, wait)
        print_payment(connection, payment)
        if payment.state == payment_pb2.Payment.PENDING:
            click.echo("still open: the same command again tells its end, and never pays twice", err=True)
            return STILL_OPEN
        return 0 if payment.state == payment_pb2.Payment.SETTLED else FAILED

    return connection.run(work)


@command.command("check")
@click.argument("invoice")
@talks
def check(connection: Connection, invoice: str) -> int:
    """Say whether INVOICE, which this daemon's first node made, is paid. Exit 0 paid, 4 not paid."""

    async def work(client: Client) -> int:
        from streamer._proto.imp.api.lightning import lightning_pb2

        found = await client.call(client.lightning.CheckInvoice, lightning_pb2.CheckInvoiceRequest(invoice=invoice))
        if connection.as_json:
            print_json(as_dict(found))
        else:
            click.echo("paid" if found.paid else "not paid")
        return 0 if found.paid else NOT_PAID

    return connection.run(work)
