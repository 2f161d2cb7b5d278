"""`streamer sending`: stop and start all payments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from streamer.cli import NO
from streamer.cli.connect import Connection, talks
from streamer.cli.output import as_dict, payments, print_json
from streamer.cli.words import WAIT
from streamer.words.reasons import Halt

if TYPE_CHECKING:
    from streamer._proto.streamer.v1 import admin_pb2
    from streamer.client import Client

DRAIN_SECONDS = 120.0


@click.group("sending")
def command() -> None:
    """Stop and start all payments."""


@command.command("stop")
@click.option(
    "--drain",
    is_flag=True,
    help="Wait until nothing is pending: before lnd is stopped, for example.",
)
@click.option(
    "--wait",
    type=WAIT,
    default=DRAIN_SECONDS,
    show_default=True,
    help="Seconds to wait with --drain.",
)
@talks
def stop(connection: Connection, drain: bool, wait: float) -> int:
    """Stop everything new, resends too. What is in flight is not recalled. Exit 4 if something was
    still pending with --drain.
    """

    async def work(client: Client) -> int:
        from streamer._proto.streamer.v1 import admin_pb2

        status = await client.call(
            client.admin.StopSending, admin_pb2.StopSendingRequest(drain=drain), wait
        )
        left = status.payments_pending
        _show(connection, status, f"sending is stopped; {payments(left)} pending{_kept(status)}")
        return NO if drain and left else 0

    return connection.run(work)


@command.command("start")
@click.option(
    "--accept-node", default="", metavar="PUBKEY", help="Accept that a node has become another one."
)
@talks
def start(connection: Connection, accept_node: str) -> int:
    """Lift OPERATOR and SPEND_LIMIT, or CLOCK if it stands alone; after STORE_FAILED, replay. Exit
    4 if something still stops it.
    """

    async def work(client: Client) -> int:
        from streamer._proto.streamer.v1 import admin_pb2

        status = await client.call(
            client.admin.StartSending, admin_pb2.StartSendingRequest(accept_node=accept_node)
        )
        _show(connection, status, _now(status.stopped_by))
        return NO if status.stopped_by else 0

    return connection.run(work)


def _kept(status: admin_pb2.Status) -> str:
    kept = status.payments_open - status.payments_pending
    return f", {kept} held, orphaned or out of sight" if kept else ""


def _now(stopped_by: Sequence[str]) -> str:
    if not stopped_by:
        return "sending is on"
    told = "the journal is being replayed, and `streamer status` tells what came of it"
    return (
        f"sending is still stopped: {', '.join(stopped_by)};"
        f" {told if Halt.STORE_FAILED in stopped_by else '`streamer status` says why'}"
    )


def _show(connection: Connection, status: admin_pb2.Status, text: str) -> None:
    if connection.as_json:
        print_json(as_dict(status))
    else:
        click.echo(text)
