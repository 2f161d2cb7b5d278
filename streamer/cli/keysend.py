"""`streamer keysend`: one payment that belongs to no stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from streamer.cli import NO, REFUSED
from streamer.cli.connect import Connection, talks
from streamer.cli.once import new_request_id, telling
from streamer.cli.payment import print_payment
from streamer.cli.words import AMOUNT, RECORD, WAIT

if TYPE_CHECKING:
    from streamer.client import Client

WAIT_SECONDS = 60.0


@click.command("keysend")
@click.argument("destination")
@click.argument("amount", type=AMOUNT)
@click.option("--fee-limit", type=AMOUNT, help="Most that it may cost.  [default: as for streams]")
@click.option("--node", default="", help="The node that pays, by its name.  [default: the first]")
@click.option(
    "--record",
    "records",
    type=RECORD,
    multiple=True,
    metavar="TYPE=HEX",
    help="A custom record; may be repeated.",
)
@click.option("--request-id", help="The same id never pays twice.  [default: a new one]")
@click.option(
    "--wait",
    type=WAIT,
    default=WAIT_SECONDS,
    show_default=True,
    help="Seconds to wait for its end.",
)
@talks
def command(
    *,
    connection: Connection,
    destination: str,
    amount: int,
    fee_limit: int | None,
    node: str,
    records: tuple[tuple[int, str], ...],
    request_id: str | None,
    wait: float,
) -> int:
    """Send AMOUNT (such as 50sat) to DESTINATION (a public key). Exit 0 settled, 1 failed, 4 still
    open.
    """
    request_id = request_id or new_request_id()

    async def work(client: Client) -> int:
        from streamer._proto.streamer.v1 import payment_pb2

        request = payment_pb2.CreatePaymentRequest(
            destination=destination.strip(),
            amount_msat=amount,
            request_id=request_id,
            node=node,
            fee_limit_msat=fee_limit,
        )
        request.tlv_records.extend(
            payment_pb2.TlvRecord(type=kind, value_hex=value) for kind, value in records
        )
        with telling(
            f"It may have been sent: the same command with --request-id {request_id} tells, and"
            " never pays twice"
        ):
            payment = await client.call(client.payments.CreatePayment, request, wait)
        print_payment(connection, payment)
        if payment.state == payment_pb2.Payment.PENDING:
            click.echo(
                f"still open: `streamer payment show {payment.id}` tells its end (request id"
                f" {request_id})",
                err=True,
            )
            return NO
        return 0 if payment.state == payment_pb2.Payment.SETTLED else REFUSED

    return connection.run(work)
