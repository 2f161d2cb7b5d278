"""`streamer stream`: open, list, show, set, pause, resume, cancel, watch, renew."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import click

from streamer.cli.connect import Connection, talks
from streamer.cli.once import new_request_id, telling
from streamer.cli.output import (
    NOTHING,
    amount,
    as_dict,
    moment,
    payments,
    print_fields,
    print_json,
    print_table,
    span,
)
from streamer.cli.stream_options import REMOVABLE, WIRE, build, limits, mask_of
from streamer.cli.words import RATE, TIME

if TYPE_CHECKING:
    from streamer._proto.streamer.v1 import stream_pb2
    from streamer.client import Client


@click.group("stream")
def command() -> None:
    """Open, show, change and end streams."""


@command.command("open")
@click.argument("destination")
@click.argument("rate", type=RATE)
@limits
@click.option("--start", type=TIME, help="Begin at this moment.")
@click.option("--node", default="", help="The node that pays, by its name.  [default: the first]")
@click.option(
    "--token", default="", metavar="HEX", help="The payee's token, carried in every payment."
)
@click.option(
    "--request-id",
    default="",
    help="The same id opens the same stream, not another.  [default: a new one]",
)
@click.option("--dry-run", is_flag=True, help="Show the forecast; open nothing.")
@talks
def open_(connection: Connection, destination: str, rate: tuple[int, int], **options: Any) -> int:
    """Open a stream that pays DESTINATION (a public key) at RATE, such as 50sat/1m.

    It pays in advance, from now on, until it ends, its budget is spent, or it is cancelled.
    """

    if options["request_id"] and options["for_"] is not None:
        raise click.UsageError(
            "--for counts from now, so that a retry would ask for something else: use --end with"
            " --request-id"
        )

    request_id = options["request_id"] or ("" if options["dry_run"] else new_request_id())

    async def work(client: Client) -> None:
        from streamer._proto.streamer.v1 import stream_pb2

        stream = build(rate=rate, **options)
        stream.destination, stream.node, stream.token = (
            destination.strip(),
            options["node"],
            options["token"],
        )
        request = stream_pb2.CreateStreamRequest(
            stream=stream, request_id=request_id, validate_only=options["dry_run"]
        )
        end = (
            ""
            if options["for_"] is None
            else f" and, instead of --for, --end {stream.end_time.ToJsonString()}"
        )
        again = (
            f"It may have been opened: the same command with --request-id {request_id}{end} tells,"
            " and opens no other"
        )
        with nullcontext() if options["dry_run"] else telling(again):
            made = await client.call(client.streams.CreateStream, request)
        if connection.as_json:
            print_json(as_dict(made))
        elif options["dry_run"]:
            _print_forecast(made)
        else:
            click.echo(made.id)
            for warning in made.forecast.warnings:
                click.echo(f"warning: {warning}", err=True)

    return connection.run(work)


@command.command("list")
@click.option(
    "--filter",
    "filter_text",
    default="",
    help="All must hold: id= state= reason= node= destination= group= labels.KEY=",
)
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    help="At most so many, the newest.",
)
@talks
def list_(connection: Connection, filter_text: str, limit: int) -> int:
    """List streams, newest first."""

    async def work(client: Client) -> None:
        streams = [stream async for stream in client.list_streams(filter_text, limit)]
        if connection.as_json:
            print_json({"streams": [as_dict(stream) for stream in streams]})
            return
        rows = [
            (stream.id, _state(stream), _rate(stream), amount(stream.paid_msat), stream.explanation)
            for stream in streams
        ]
        print_table(("ID", "STATE", "RATE", "PAID", "NOW"), rows)

    return connection.run(work)


@command.command("show")
@click.argument("stream_id", metavar="ID")
@talks
def show(connection: Connection, stream_id: str) -> int:
    """Show a stream, and say what it waits for, since when, and how to try now."""

    async def work(client: Client) -> None:
        _print(connection, await client.get_stream(stream_id))

    return connection.run(work)


@command.command("set")
@click.argument("stream_id", metavar="ID")
@click.option(
    "--rate",
    type=RATE,
    help="A new rate; it begins where the covered time ends, or now if that is later.",
)
@limits
@click.option("--start", type=TIME, hidden=True)
@click.option(
    "--no",
    "without",
    type=click.Choice(list(REMOVABLE)),
    multiple=True,
    help="Take it back; may be repeated.",
)
@talks
def set_(connection: Connection, stream_id: str, **options: Any) -> int:
    """Change what is named, and nothing else."""

    async def work(client: Client) -> None:
        from google.protobuf.field_mask_pb2 import FieldMask

        from streamer._proto.streamer.v1 import stream_pb2

        paths = mask_of(options)
        if not paths:
            raise click.UsageError("nothing to change: name at least one option")
        stream = build(**options)
        stream.id = stream_id
        request = stream_pb2.UpdateStreamRequest(stream=stream, update_mask=FieldMask(paths=paths))
        _print(connection, await client.call(client.streams.UpdateStream, request))

    return connection.run(work)


@command.command("pause")
@click.argument("stream_id", metavar="ID")
@talks
def pause(connection: Connection, stream_id: str) -> int:
    """Stop buying; what is bought runs out."""
    return _act(connection, "Pause", stream_id)


@command.command("resume")
@click.argument("stream_id", metavar="ID")
@talks
def resume(connection: Connection, stream_id: str) -> int:
    """Go on; a stream that waits after a failure tries now."""
    return _act(connection, "Resume", stream_id)


@command.command("cancel")
@click.argument("stream_id", metavar="ID")
@talks
def cancel(connection: Connection, stream_id: str) -> int:
    """Stop for good; nothing comes back."""
    return _act(connection, "Cancel", stream_id)


def _act(connection: Connection, verb: str, stream_id: str) -> int:
    async def work(client: Client) -> None:
        from streamer._proto.streamer.v1 import stream_pb2

        request = getattr(stream_pb2, f"{verb}StreamRequest")(id=stream_id)
        stream = await client.call(getattr(client.streams, f"{verb}Stream"), request)
        if connection.as_json:
            print_json(as_dict(stream))
        else:
            click.echo(f"{stream.id}  {_state(stream)}  {stream.explanation}")

    return connection.run(work)


@command.command("renew")
@click.option(
    "--filter", "filter_text", default="", help="Which streams; all that have a ttl if left out."
)
@talks
def renew(connection: Connection, filter_text: str) -> int:
    """Put the expiry of streams with a ttl ahead."""

    async def work(client: Client) -> None:
        from streamer._proto.streamer.v1 import stream_pb2

        reply = await client.call(
            client.streams.RenewStreams, stream_pb2.RenewStreamsRequest(filter=filter_text)
        )
        if connection.as_json:
            print_json(as_dict(reply))
        else:
            click.echo(f"{reply.renewed} renewed")

    return connection.run(work)


@command.command("watch")
@click.argument("stream_id", metavar="[ID]", required=False)
@click.option("--filter", "filter_text", default="", help="As in list.")
@click.option(
    "--cursor",
    type=WIRE,
    help="Begin after the event with this cursor (--json shows them).  [default: now]",
)
@talks
def watch(
    connection: Connection, stream_id: str | None, filter_text: str, cursor: int | None
) -> int:
    """Print what happens to streams, until Ctrl-C; goes on by itself after the daemon was
    restarted.
    """

    wanted = filter_text if stream_id is None else f"id={stream_id} {filter_text}"

    async def work(client: Client) -> None:
        from streamer.client import CURSOR_GONE, CallFailed

        if stream_id is not None:
            await client.get_stream(stream_id)
        after = cursor or 0
        while True:
            try:
                async for event in client.watch(wanted, after):
                    print_json(as_dict(event)) if connection.as_json else _print_event(event)
            except CallFailed as error:
                if error.reason != CURSOR_GONE or after:
                    raise
                after = 0
                click.echo(
                    "some events were missed: `streamer stream list` shows where things stand;"
                    " going on from now",
                    err=True,
                )

    return connection.run(work)


def _print_event(event: stream_pb2.StreamEvent) -> None:
    if event.HasField("payment"):
        paid = event.payment
        state = type(paid).State.Name(paid.state)
        why = f"  {paid.reason} {paid.message}".rstrip() if paid.reason else ""
        click.echo(
            f"{moment(event.time)}  {paid.id}  {state}  {amount(paid.amount_msat)}  fee"
            f" {amount(paid.fee_msat)}{why}"
        )
    else:
        click.echo(f"{moment(event.time)}  {event.stream.id}  {_state(event.stream)}")


def _state(stream: stream_pb2.Stream) -> str:
    name = type(stream).State.Name(stream.state)
    return f"{name} {stream.reason}" if stream.reason else str(name)


def _rate(stream: stream_pb2.Stream) -> str:
    return f"{amount(stream.amount_msat)} per {span(stream.interval)}"


def _print(connection: Connection, stream: stream_pb2.Stream) -> None:
    if connection.as_json:
        print_json(as_dict(stream))
        return
    period = "in total" if stream.budget.period == "total" else f"per {stream.budget.period}"
    budget = f"{amount(stream.budget.amount_msat)} {period}" if stream.HasField("budget") else ""
    fields = [
        ("stream", stream.id),
        ("state", f"{_state(stream)}, since {moment(stream.state_time)}"),
        ("now", stream.explanation),
        (
            "pays",
            f"{_rate(stream)}, every {span(stream.payment_interval)}, from node {stream.node}",
        ),
        ("to", stream.destination),
        (
            "paid",
            (
                f"{amount(stream.paid_msat)} in {payments(stream.payments_settled)}, fees"
                f" {amount(stream.fee_msat)}"
            ),
        ),
        ("paid until", moment(stream.paid_until)),
        ("next", moment(stream.next_attempt_time)),
        ("reserved", amount(stream.reserved_msat) if stream.reserved_msat else ""),
        ("owed", amount(stream.owed_msat) if stream.owed_msat else ""),
        (
            "skipped",
            (
                f"{amount(stream.skipped_msat)}, {span(stream.skipped_time)}"
                if stream.skipped_msat
                else ""
            ),
        ),
        ("dropped", amount(stream.dropped_msat) if stream.dropped_msat else ""),
        (
            "failed",
            (
                f"{stream.payments_failed}, the newest: {stream.last_failure or NOTHING}"
                if stream.payments_failed
                else ""
            ),
        ),
        ("budget", budget),
        ("ends", moment(stream.end_time)),
        ("runway ends", moment(stream.runway_end_time)),
        ("expires", moment(stream.expire_time)),
        ("group", stream.group),
        ("labels", " ".join(f"{key}={value}" for key, value in sorted(stream.labels.items()))),
    ]
    print_fields(fields)
    for warning in stream.forecast.warnings:
        click.echo(f"warning: {warning}")


def _print_forecast(stream: stream_pb2.Stream) -> None:
    forecast = stream.forecast
    print_fields(
        [
            ("pays", f"{_rate(stream)}, every {span(stream.payment_interval)}"),
            (
                "per hour",
                (
                    f"{amount(forecast.msat_per_hour)}, and at most"
                    f" {amount(forecast.fee_msat_per_hour)} in fees"
                ),
            ),
            (
                "payments",
                f"{forecast.payments_per_day:,} per day, each a row in the node's database",
            ),
            ("runway ends", moment(forecast.runway_end_time)),
        ]
    )
    for warning in forecast.warnings:
        click.echo(f"warning: {warning}")
    click.echo("Nothing was opened (--dry-run).")
