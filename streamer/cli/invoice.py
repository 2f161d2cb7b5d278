"""`streamer invoice`: create, pay, check."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from streamer.cli import NO, REFUSED
from streamer.cli.connect import Connection, talks
from streamer.cli.once import telling
from streamer.cli.output import print_json
from streamer.cli.payment import print_payment
from streamer.cli.words import AMOUNT, WAIT
from streamer.words.money import MSAT_PER_SAT

if TYPE_CHECKING:
    from streamer.client import Client

WAIT_SECONDS = 180.0


@click.group("invoice")
def command() -> None:
    """Make, pay and check invoices (BOLT 11)."""


@command.command("create")
@click.argument("amount", type=AMOUNT)
@click.option("--memo", default="", help="What it is for; whoever pays can read it.")
@talks
def create(connection: Connection, amount: int, memo: str) -> int:
    """Make an invoice of AMOUNT (whole satoshis, such as 50sat) at the daemon's first node, and
    print it.
    """
    if amount % MSAT_PER_SAT:
        raise click.UsageError(f"{amount} msat is no whole number of satoshis")

    async def work(client: Client) -> None:
        made = await client.create_invoice(amount // MSAT_PER_SAT, memo)
        if connection.as_json:
            print_json({"invoice": made})
        else:
            click.echo(made)

    return connection.run(work)


@command.command("pay")
@click.argument("invoice")
@click.option(
    "--amount", type=AMOUNT, default=0, help="For an invoice that leaves the amount to the payer."
)
@click.option("--fee-limit", type=AMOUNT, help="Most that it may cost.  [default: as configured]")
@click.option("--node", default="", help="The node that pays, by its name.  [default: the first]")
@click.option(
    "--wait",
    type=WAIT,
    default=WAIT_SECONDS,
    show_default=True,
    help="Seconds to wait for its end.",
)
@talks
def pay(
    connection: Connection, invoice: str, amount: int, fee_limit: int | None, node: str, wait: float
) -> int:
    """Pay INVOICE, once: called again, it shows the same payment. Exit 0 settled, 1 failed, 4 still
    open.
    """
    if not invoice.strip():
        raise click.UsageError("INVOICE is empty")

    async def work(client: Client) -> int:
        from streamer._proto.streamer.v1 import payment_pb2

        with telling("It may have been paid: the same command again tells, and never pays twice"):
            payment = await client.pay_invoice(
                invoice,
                amount_msat=amount,
                fee_limit_msat=fee_limit,
                node=node,
                timeout_seconds=wait,
            )
        print_payment(connection, payment)
        if payment.state == payment_pb2.Payment.PENDING:
            click.echo(
                "still open: the same command again tells its end, and never pays twice", err=True
            )
            return NO
        return 0 if payment.state == payment_pb2.Payment.SETTLED else REFUSED

    return connection.run(work)


@command.command("check")
@click.argument("invoice")
@talks
def check(connection: Connection, invoice: str) -> int:
    """Say whether INVOICE, which this daemon's first node made, is paid. Exit 0 paid, 4 not
    paid.
    """

    async def work(client: Client) -> int:
        paid = await client.check_invoice(invoice)
        if connection.as_json:
            print_json({"paid": paid})
        else:
            click.echo("paid" if paid else "not paid")
        return 0 if paid else NO

    return connection.run(work)
