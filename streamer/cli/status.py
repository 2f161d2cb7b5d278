"""`streamer status`: twelve lines about everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from streamer.cli import NO
from streamer.cli.connect import Connection, talks
from streamer.cli.output import amount, as_dict, moment, payments, print_fields, print_json

if TYPE_CHECKING:
    from streamer._proto.streamer.v1 import admin_pb2
    from streamer.client import Client

MIB = 1024 * 1024


@click.command("status")
@talks
def command(connection: Connection) -> int:
    """One look at everything; exit 4 if something is wrong."""

    async def work(client: Client) -> int:
        from streamer._proto.streamer.v1 import admin_pb2

        status = await client.call(client.admin.GetStatus, admin_pb2.GetStatusRequest())
        if connection.as_json:
            print_json(as_dict(status))
        else:
            _print(status)
        return 0 if status.healthy else NO

    return connection.run(work)


def _print(status: admin_pb2.Status) -> None:
    streams = (
        ", ".join(f"{count} {state}" for state, count in sorted(status.streams_by_state.items()))
        or "none"
    )
    stalled = ", ".join(
        f"{count} {reason}" for reason, count in sorted(status.stalled_by_reason.items())
    )
    spent = (
        f"{amount(status.spent_msat)} of {amount(status.spend_limit_msat)} since"
        f" {moment(status.spend_period_start)}"
    )
    paid = (
        f"{amount(status.paid_msat)} in {payments(status.payments_settled)}, fees"
        f" {amount(status.fee_msat)}"
    )
    doubt = (
        f", {status.payments_in_doubt} in doubt ({amount(status.in_doubt_msat)})"
        if status.payments_in_doubt
        else ""
    )
    print_fields(
        [
            ("sending", "on" if status.sending else "stopped: " + ", ".join(status.stopped_by)),
            *((f"node {node.name}", _node(node)) for node in status.nodes),
            ("streams", streams),
            ("stalled", stalled),
            ("paid", f"{paid}, {status.payments_failed} failed, since {moment(status.start_time)}"),
            ("open", f"{payments(status.payments_open)}{doubt}"),
            ("skipped", amount(status.skipped_msat) if status.skipped_msat else ""),
            ("lateness", f"{status.p99_lateness_seconds:.3f} s (p99)"),
            ("spent", spent),
            (
                "journal",
                f"{status.store_bytes // MIB} MiB, {status.store_free_bytes // MIB:,} MiB free",
            ),
            ("version", status.version),
        ]
    )
    for problem in status.problems:
        click.echo(click.style(f"problem: {problem}", fg="red"))


def _node(node: admin_pb2.NodeStatus) -> str:
    if not node.up:
        return f"down: {node.problem}"
    rates = f"{node.wanted_payments_per_second:.3g} payments/s wanted"
    if node.capacity_payments_per_second:
        rates += f", {node.capacity_payments_per_second:.3g} possible"
    name = f"{node.alias} " if node.alias else ""
    state = "up" if not node.problem else f"up, but: {node.problem}"
    return (
        f"{state}: {name}{node.pubkey} on {node.network}, {node.in_flight} of {node.window} in"
        f" flight, {rates}"
    )
