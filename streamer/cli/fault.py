"""`streamer simulate fault`: something goes wrong at a running simulator."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

import click

from streamer.simulator.control.control import FAULTS

CALL_SECONDS = 30
COLUMN = 14


def _list(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
    """Print the table of faults and end."""
    if not wanted or ctx.resilient_parsing:
        return
    for name, fault in FAULTS.items():
        click.echo(f"{name:{COLUMN}}{fault.about}")
        for key, (_, default, about) in fault.parameters.items():
            click.echo(f"{'':{COLUMN}}  {key}={json.dumps(default)}  {about}")
    ctx.exit()


@click.command("fault")
@click.option(
    "--control",
    required=True,
    metavar="URL",
    envvar="STREAMER_SIMULATOR",
    help="The simulator's control address.",
)
@click.option(
    "--list",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_list,
    help="Show all faults and their parameters.",
)
@click.argument("node")
@click.argument("name", metavar="FAULT", type=click.Choice(list(FAULTS)))
@click.argument("parameters", metavar="[KEY=VALUE]...", nargs=-1)
def fault(control: str, node: str, name: str, parameters: tuple[str, ...]) -> None:
    """Let FAULT happen to NODE."""
    given: dict[str, Any] = {}
    for parameter in parameters:
        key, sign, value = parameter.partition("=")
        if not sign:
            raise click.UsageError(f"{parameter!r} is not KEY=VALUE")
        given[key] = value
    path = f"/v1/nodes/{urllib.parse.quote(node, safe='')}/faults/{name}"
    _post(control.rstrip("/") + path, given)


def _post(url: str, given: dict[str, Any]) -> None:
    if not url.startswith(("http://", "https://")):
        raise click.UsageError(f"--control is a URL like http://127.0.0.1:40000, not {url!r}")
    body, headers = json.dumps(given).encode(), {"Content-Type": "application/json"}
    request = urllib.request.Request(url, body, headers)  # noqa: S310 - http only
    try:
        with urllib.request.urlopen(request, timeout=CALL_SECONDS):  # noqa: S310 - http only
            return
    except urllib.error.HTTPError as error:
        raise click.ClickException(_reason(error)) from error
    except (OSError, ValueError) as error:
        cause = getattr(error, "reason", error)
        raise click.ClickException(
            f"no simulator answers at {url}: {getattr(cause, 'strerror', None) or cause}"
        ) from error


def _reason(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.load(error)["error"])
    except (ValueError, KeyError, TypeError):
        return f"the control API answered {error.code}"
