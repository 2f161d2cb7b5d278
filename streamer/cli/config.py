"""`streamer config`: show and check the configuration."""

from __future__ import annotations

import os

import click

from streamer.cli.output import print_json, print_table
from streamer.cli.startable import require_startable
from streamer.config import OPTIONS, Config, load_config
from streamer.words.money import format_duration


@click.group("config")
def command() -> None:
    """Show and check the configuration."""


_file = click.option("--config", "file", metavar="FILE", help="The configuration file.")


@command.command("show")
@_file
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(file: str | None, as_json: bool) -> None:
    """Every option: what it is now, where that was written, and what it means."""
    config = load_config(os.environ, {}, file)
    keys = [option.key for option in OPTIONS] + [
        key for key in config.written if key.startswith("nodes.")
    ]
    rows = [_row(config, key) for key in keys]
    if as_json:
        print_json(
            {
                key: {"value": value, "written": origin, "doc": doc}
                for key, value, origin, doc in rows
            }
        )
        return
    print_table(("OPTION", "VALUE", "FROM", "MEANING"), rows)


def _row(config: Config, key: str) -> tuple[str, str, str, str]:
    known = {option.key: option for option in OPTIONS}
    option = known.get(key) or known["node." + key.split(".", 2)[2]]
    written = config.written.get(key)
    if written is None:
        return (
            key,
            str(config.data_dir) if key == "data_dir" else option.default,
            "default",
            option.doc,
        )
    value = str(written.value)
    if option.kind == "duration":
        value = "forever" if written.value is None else format_duration(int(value))
    return key, value, written.origin, option.doc


@command.command("check")
@_file
def check(file: str | None) -> None:
    """Exit 2 and why, if the daemon would not start: because of a value, a file that is named, or
    the data folder.

    Whether an address is free, and the journal whole, only a start tells.
    """
    config = load_config(os.environ, {}, file)
    for wait in require_startable(config):
        click.echo(f"warning: {wait}", err=True)
    nodes = ", ".join(f"{node.name} ({node.rpcserver})" for node in config.nodes) or "the simulator"
    click.echo(f"good: {config.file or 'no file'}; data folder {config.data_dir}; nodes: {nodes}")
