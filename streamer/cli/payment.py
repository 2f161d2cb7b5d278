"""`streamer payment`: list, show, write-off."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from streamer.cli.connect import Connection, talks
from streamer.cli.output import amount, as_dict, moment, print_fields, print_json, print_table

if TYPE_CHECKING:
    from streamer._proto.streamer.v1 import payment_pb2
    from streamer.client import Client


@click.group("payment")
def command() -> None:
    """List, show and write off payments."""


@command.command("list")
@click.option("--stream", "stream_id", metavar="ID", help="Of this stream.")
@click.option(
    "--state",
    type=click.Choice(["PENDING", "SETTLED", "FAILED", "WRITTEN_OFF"]),
    help="In this state.",
)
@click.option("--in-doubt", is_flag=True, help="Whose end has been unknown for too long.")
@click.option(
    "--filter", "filter_text", default="", help="All must hold: stream= state= node= in_doubt"
)
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    help="At most so many, the newest.",
)
@talks
def list_(
    connection: Connection,
    *,
    stream_id: str | None,
    state: str | None,
    in_doubt: bool,
    filter_text: str,
    limit: int,
) -> int:
    """List payments, newest first."""
    terms = [
        filter_text,
        "" if stream_id is None else f"stream={stream_id}",
        f"state={state}" if state else "",
        "in_doubt" if in_doubt else "",
    ]

    async def work(client: Client) -> None:
        found = [
            payment
            async for payment in client.list_payments(
                " ".join(term for term in terms if term), limit
            )
        ]
        if connection.as_json:
            print_json({"payments": [as_dict(payment) for payment in found]})
            return
        rows = [
            (
                paid.id,
                state_of(paid),
                amount(paid.amount_msat),
                amount(paid.fee_msat),
                moment(paid.create_time),
            )
            for paid in found
        ]
        print_table(("ID", "STATE", "AMOUNT", "FEE", "BEGUN"), rows)

    return connection.run(work)


@command.command("show")
@click.argument("payment_id", metavar="ID")
@talks
def show(connection: Connection, payment_id: str) -> int:
    """Show one payment."""

    async def work(client: Client) -> None:
        from streamer._proto.streamer.v1 import payment_pb2

        print_payment(
            connection,
            await client.call(
                client.payments.GetPayment, payment_pb2.GetPaymentRequest(id=payment_id)
            ),
        )

    return connection.run(work)


@command.command("write-off")
@click.argument("payment_id", metavar="ID")
@click.option("--yes", is_flag=True, help="Do not ask.")
@talks
def write_off(connection: Connection, payment_id: str, yes: bool) -> int:
    """Count an open payment as paid: for one whose end the node cannot tell."""
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("write-off is final: say --yes")
        click.confirm(f"Count {payment_id} as paid, for good?", abort=True)

    async def work(client: Client) -> None:
        from streamer._proto.streamer.v1 import payment_pb2

        request = payment_pb2.WriteOffPaymentRequest(id=payment_id)
        print_payment(connection, await client.call(client.payments.WriteOffPayment, request))

    return connection.run(work)


def state_of(payment: payment_pb2.Payment) -> str:
    """State with marks and reason, such as "PENDING held" or "FAILED NO_ROUTE"."""
    marks = [
        mark for mark in ("in_doubt", "held", "orphan", "lost_sight") if getattr(payment, mark)
    ]
    return " ".join([type(payment).State.Name(payment.state), *marks, payment.reason]).strip()


def print_payment(connection: Connection, payment: payment_pb2.Payment) -> None:
    """One payment, as JSON or for people."""
    if connection.as_json:
        print_json(as_dict(payment))
        return
    print_fields(
        [
            ("payment", payment.id),
            ("state", state_of(payment)),
            ("message", "" if payment.message == payment.reason else payment.message),
            (
                "amount",
                (
                    f"{amount(payment.amount_msat)}, fee {amount(payment.fee_msat)} (limit"
                    f" {amount(payment.fee_limit_msat)})"
                ),
            ),
            ("to", payment.destination),
            ("node", payment.node),
            ("hash", payment.payment_hash),
            ("invoice", payment.payment_request),
            ("preimage", payment.preimage),
            ("begun", moment(payment.create_time)),
            ("ended", moment(payment.end_time)),
            ("buys until", moment(payment.bought_until)),
        ]
    )
