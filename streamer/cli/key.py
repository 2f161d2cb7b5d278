"""`streamer key`: create, import, list, revoke."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from streamer.cli.connect import Connection, talks
from streamer.cli.output import amount, as_dict, moment, print_fields, print_json, print_table
from streamer.cli.words import BUDGET, DURATION, TIME
from streamer.words.apikey import Scope
from streamer.words.errors import ConfigError

if TYPE_CHECKING:
    from streamer._proto.streamer.v1 import admin_pb2
    from streamer.client import Client

_BOUNDS = (
    click.option(
        "--scope",
        "scopes",
        multiple=True,
        required=True,
        type=click.Choice([scope.value for scope in Scope]),
        help="May be repeated.",
    ),
    click.option("--name", default="", help="For people, such as the service that uses it."),
    click.option(
        "--budget",
        type=BUDGET,
        help="Most that it may spend, fees included: 10000sat, or 10000sat/1d for each day.",
    ),
    click.option(
        "--destination",
        "destinations",
        multiple=True,
        metavar="PUBKEY",
        help="It may pay this node; repeated: these. [default: any]",
    ),
    click.option(
        "--max-streams", type=click.IntRange(1, 2**31 - 1), help="Most streams that have not ended."
    ),
    click.option(
        "--for", "for_", type=DURATION, help="It ends after this time, and its streams with it."
    ),
    click.option("--end", type=TIME, help="It ends at this moment, such as 2030-01-31T12:00:00Z."),
)


def _bounds(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_BOUNDS):
        command = option(command)
    return command


@click.group("key")
def command() -> None:
    """Make, take over, list and revoke keys of the API."""


@command.command("create")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the key into this new file (mode 0600), and do not show it.",
)
@_bounds
@talks
def create(connection: Connection, *, out: Path | None, **bounds: Any) -> int:
    """Make a key. It is shown this once: the daemon keeps a digest only."""
    key = _key(**bounds)
    file = None if out is None else _new_file(out)

    async def work(client: Client) -> None:
        from streamer._proto.streamer.v1 import admin_pb2

        made = await client.call(client.admin.CreateKey, admin_pb2.CreateKeyRequest(key=key))
        if file is not None:
            os.write(file, made.text.encode() + b"\n")
        _print_made(
            connection,
            made.key,
            made.text if out is None else "",
            f"the key is in {out}" if out else "",
        )

    try:
        return connection.run(work)
    except BaseException:
        if out is not None and not out.stat().st_size:
            out.unlink()
        raise


@command.command("import")
@click.argument("file", type=click.Path(allow_dash=True))
@_bounds
@talks
def import_(connection: Connection, *, file: str, **bounds: Any) -> int:
    """Take over a key that clients use already, of an Impervious daemon for example; FILE holds it
    (- is stdin).
    """
    key, text = _key(**bounds), _read(file)

    async def work(client: Client) -> None:
        from streamer._proto.streamer.v1 import admin_pb2

        _print_made(
            connection,
            await client.call(
                client.admin.ImportKey, admin_pb2.ImportKeyRequest(key=key, text=text)
            ),
            "",
            "",
        )

    return connection.run(work)


@command.command("list")
@click.option("--all", "everything", is_flag=True, help="Revoked keys too.")
@talks
def list_(connection: Connection, everything: bool) -> int:
    """List keys, newest first: what they may do, have spent, and run."""

    async def work(client: Client) -> None:
        from streamer._proto.streamer.v1 import admin_pb2

        reply = await client.call(client.admin.ListKeys, admin_pb2.ListKeysRequest())
        keys = [key for key in reply.keys if everything or not key.HasField("revoke_time")]
        if connection.as_json:
            print_json({"keys": [as_dict(key) for key in keys]})
            return
        rows = [
            (
                key.id,
                key.name,
                _state(key),
                " ".join(key.scopes),
                _budget(key),
                _spent(key),
                str(key.streams),
            )
            for key in keys
        ]
        print_table(("ID", "NAME", "STATE", "SCOPES", "BUDGET", "SPENT", "STREAMS"), rows)

    return connection.run(work)


@command.command("revoke")
@click.argument("key_id", metavar="ID")
@talks
def revoke(connection: Connection, key_id: str) -> int:
    """End a key at once and for good; its streams pause with KEY_REVOKED."""

    async def work(client: Client) -> None:
        from streamer._proto.streamer.v1 import admin_pb2

        key = await client.call(client.admin.RevokeKey, admin_pb2.RevokeKeyRequest(id=key_id))
        if connection.as_json:
            print_json(as_dict(key))
        else:
            click.echo(
                f"{key.id} is revoked; {key.streams} of its streams have not ended, and pay nothing"
                " more"
            )

    return connection.run(work)


def _key(
    *,
    scopes: tuple[str, ...],
    name: str,
    budget: tuple[int, str] | None,
    destinations: tuple[str, ...],
    max_streams: int | None,
    for_: int | None,
    end: int | None,
) -> admin_pb2.Key:
    from google.protobuf.timestamp_pb2 import Timestamp

    from streamer._proto.streamer.v1 import admin_pb2, stream_pb2

    if for_ is not None and end is not None:
        raise click.UsageError("--for and --end exclude each other")
    key = admin_pb2.Key(
        name=name, scopes=scopes, destinations=destinations, max_streams=max_streams
    )
    if budget is not None:
        key.budget.CopyFrom(stream_pb2.Budget(amount_msat=budget[0], period=budget[1]))
    end_ns = end if for_ is None else time.time_ns() + for_
    if end_ns is not None:
        key.expire_time.CopyFrom(Timestamp(seconds=end_ns // 10**9, nanos=end_ns % 10**9))
    return key


def _new_file(path: Path) -> int:
    """Made before the key is: a key whose file cannot be written would be lost."""
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be made: {error.strerror}") from None


def _read(file: str) -> str:
    try:
        return (sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{file}: the key cannot be read: {getattr(error, 'strerror', '') or 'it is no text'}"
        ) from None


def _print_made(connection: Connection, key: admin_pb2.Key, text: str, where: str) -> None:
    if connection.as_json:
        print_json({"key": as_dict(key)} | ({"text": text} if text else {}))
        return
    bound = " ".join(key.destinations)
    fields = [
        ("id", key.id),
        ("name", key.name),
        ("scopes", " ".join(key.scopes)),
        ("budget", _budget(key)),
        ("may pay", bound or "anybody"),
    ]
    streams = str(key.max_streams) if key.HasField("max_streams") else ""
    print_fields(
        [*fields, ("max streams", streams), ("ends", moment(key.expire_time)), ("key", text)]
    )
    click.echo(
        where
        or (
            "the key is shown this once: keep it now"
            if text
            else "clients go on with the key they have"
        )
    )


def _state(key: admin_pb2.Key) -> str:
    return "REVOKED" if key.HasField("revoke_time") else "GOOD"


def _budget(key: admin_pb2.Key) -> str:
    if not key.HasField("budget"):
        return ""
    return amount(key.budget.amount_msat) + (
        "" if key.budget.period == "total" else f"/{key.budget.period}"
    )


def _spent(key: admin_pb2.Key) -> str:
    return amount(key.spent_msat + key.reserved_msat) if key.HasField("budget") else ""
