"""`streamer simulate`: simulated lnd nodes on this machine, until stopped."""

from __future__ import annotations

import asyncio
import json
import signal
import tempfile
from pathlib import Path
from typing import Any

import click

from streamer.cli.fault import fault
from streamer.cli.words import SHARE
from streamer.nodes.permissions import NEEDED
from streamer.simulator.control.server import ControlServer
from streamer.simulator.control.troubles import Troubles
from streamer.simulator.lnrpc.server import Unavailable
from streamer.simulator.network.channels import Policy
from streamer.simulator.serve import MAX_CHANNELS, MAX_NODES, Plan, ServedNetwork, start_network
from streamer.words.money import parse_duration

RECEIVING = (
    "ChannelBalance",
    "AddInvoice",
    "LookupInvoice",
    "ListInvoices",
    "DecodePayReq",
    "SubscribeInvoices",
)
"""Calls of lnrpc.Lightning that only incoming payments and invoices need."""

LAST_PORT = 65_535
LEAST = tuple(
    ("uri", method) for method in (*NEEDED, *(f"/lnrpc.Lightning/{name}" for name in RECEIVING))
)
"""The permissions that streamer needs; DIR/NAME/streamer.macaroon has no others."""


def _duration(ctx: click.Context, param: click.Parameter, value: str) -> int:
    """Nanoseconds; a usage error names what is wrong."""
    try:
        return parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from error


@click.group("simulate", invoke_without_command=True)
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where tls.cert and macaroons go, in DIR/NAME.",
)
@click.option(
    "--nodes",
    type=click.IntRange(2, MAX_NODES),
    default=2,
    show_default=True,
    help="How many nodes.",
)
@click.option(
    "--channels",
    type=click.IntRange(1, MAX_CHANNELS),
    default=10,
    show_default=True,
    help="Channels to each node.",
)
@click.option(
    "--capacity",
    type=click.IntRange(20_000, 1_000_000_000),
    default=10_000_000,
    show_default=True,
    help="Sat in each channel.",
)
@click.option("--hub", is_flag=True, help="The others are reached through a hub that asks fees.")
@click.option(
    "--base-fee",
    type=click.IntRange(0, 2**31 - 1),
    default=1_000,
    show_default=True,
    help="The hub's base fee in msat.",
)
@click.option(
    "--fee-ppm",
    type=click.IntRange(0, 1_000_000),
    default=1,
    show_default=True,
    help="The hub's fee per million.",
)
@click.option(
    "--state",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Keep balances, payments and invoices in FILE.",
)
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Keys and chance follow from it."
)
@click.option("--like-lnd", is_flag=True, help="As quick as a measured lnd, instead of instant.")
@click.option(
    "--payments-per-second",
    type=click.IntRange(0),
    default=0,
    help="What the first node manages; 0: any number.",
)
@click.option(
    "--latency",
    callback=_duration,
    metavar="DURATION",
    default="0s",
    help="How long each payment takes at least.",
)
@click.option(
    "--failure-rate", type=SHARE, default=0.0, help="Share of payments that fail on the way."
)
@click.option(
    "--restart-every",
    callback=_duration,
    metavar="DURATION",
    default="0s",
    help="Kill the first node so often; back in 4.3 s.",
)
@click.option(
    "--orphan-rate",
    type=SHARE,
    default=0.33,
    show_default=True,
    help="Share of open payments that a restart orphans.",
)
@click.option(
    "--away-every",
    callback=_duration,
    metavar="DURATION",
    default="0s",
    help="Take each receiver offline so often.",
)
@click.option(
    "--away-for",
    callback=_duration,
    metavar="DURATION",
    default="30s",
    show_default=True,
    help="How long it stays away.",
)
@click.option(
    "--hold-every",
    callback=_duration,
    metavar="DURATION",
    default="0s",
    help="Let each receiver hold HTLCs so often.",
)
@click.option(
    "--hold-for",
    callback=_duration,
    metavar="DURATION",
    default="1m",
    show_default=True,
    help="How long it holds them.",
)
@click.option(
    "--faults-every",
    callback=_duration,
    metavar="DURATION",
    default="0s",
    help="A fault of any kind so often, undone later.",
)
@click.option(
    "--fast", is_flag=True, help="A leaner server: thousands of payments per second on one core."
)
@click.option(
    "--network",
    type=click.Choice(["regtest", "signet", "testnet", "mainnet"]),
    default="regtest",
    show_default=True,
)
@click.option(
    "--port",
    type=click.IntRange(0, LAST_PORT),
    default=0,
    help="Port of the first node; the others follow. 0: free ones.",
)
@click.option(
    "--control-port",
    type=click.IntRange(0, LAST_PORT),
    default=0,
    help="Port of the control API. 0: a free one.",
)
@click.option("--json", "as_json", is_flag=True, help="One line of JSON when ready.")
def command(folder: Path | None, as_json: bool, **options: Any) -> None:
    """Run simulated lnd nodes that speak lnd's gRPC; the first is funded towards the others."""
    if click.get_current_context().invoked_subcommand is not None:
        return
    plan = _plan(options)
    last = plan.port + plan.nodes - 1 + plan.hub
    if plan.port and last > LAST_PORT:
        raise click.UsageError(
            f"--port {plan.port}: the ports of the others would go up to {last}, and {LAST_PORT} is"
            " the last there is"
        )
    with tempfile.TemporaryDirectory(prefix="streamer-simulate-") as temporary:
        try:
            asyncio.run(
                _serve(folder or Path(temporary), plan, options["control_port"], as_json=as_json)
            )
        except (Unavailable, ValueError) as error:
            raise click.ClickException(str(error)) from error


def _plan(options: dict[str, Any]) -> Plan:
    troubles = Troubles(
        failure_rate=options["failure_rate"],
        restart_every_ns=options["restart_every"],
        orphan_rate=options["orphan_rate"],
        away_every_ns=options["away_every"],
        away_for_ns=options["away_for"],
        hold_every_ns=options["hold_every"],
        hold_for_ns=options["hold_for"],
        faults_every_ns=options["faults_every"],
    )
    return Plan(
        nodes=options["nodes"],
        channels=options["channels"],
        capacity_sat=options["capacity"],
        seed=options["seed"],
        chain=options["network"],
        like_lnd=options["like_lnd"],
        payments_per_second=options["payments_per_second"],
        latency_ns=(options["latency"], options["latency"]),
        hub=options["hub"],
        policy=Policy(options["base_fee"], options["fee_ppm"]),
        troubles=troubles,
        port=options["port"],
        state=options["state"],
        fast=options["fast"],
    )


async def _serve(folder: Path, plan: Plan, control_port: int, *, as_json: bool) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with start_network(folder, plan) as served:
        for credentials in served.credentials.values():
            credentials.bake("streamer", LEAST)
        control = ControlServer(served.control, plan.host, control_port)
        address = await control.start()
        _show(served, address, as_json=as_json)
        await stopped.wait()
        await control.stop()


def _show(served: ServedNetwork, control: str, *, as_json: bool) -> None:
    if as_json:
        click.echo(
            json.dumps({"nodes": [node.as_dict() for node in served.nodes], "control": control})
        )
        return
    for node in served.nodes:
        click.echo(f"{node.name}  {node.pubkey}\n  --rpcserver {node.rpcserver}")
        click.echo(f"  --tlscertpath {node.tlscertpath}\n  --macaroonpath {node.macaroonpath}")
    click.echo(f"faults: streamer simulate fault --control {control} NODE FAULT")
    click.echo(f"{served.nodes[0].name} is funded towards the others. Ctrl-C ends it.")


command.add_command(fault)
