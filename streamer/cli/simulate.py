"""`streamer simulate`: simulated lnd nodes on this machine, until stopped."""

from __future__ import annotations

import asyncio
import json
import signal
import tempfile
from pathlib import Path

import click

from streamer.simulator.macaroon import REQUIRED
from streamer.simulator.serve import MAX_CHANNELS, MAX_NODES, Plan, ServedNetwork, start_network
from streamer.simulator.server import Unavailable

LEAST = tuple(("uri", method) for method in REQUIRED if not method.endswith("DeletePayment"))
"""The permissions that streamer needs; streamer.macaroon has no others."""


@click.command("simulate")
@click.option("--dir", "folder", type=click.Path(file_okay=False, path_type=Path), help="Where tls.cert and macaroons go, in DIR/NAME.")
@click.option("--nodes", type=click.IntRange(2, MAX_NODES), default=2, show_default=True, help="How many nodes.")
@click.option("--channels", type=click.IntRange(1, MAX_CHANNELS), default=10, show_default=True, help="Channels to each node.")
@click.option("--capacity", type=click.IntRange(20_000, 1_000_000_000), default=10_000_000, show_default=True, help="Sat in each channel.")
@click.option("--state", type=click.Path(dir_okay=False, path_type=Path), help="Keep balances, payments and invoices in FILE.")
@click.option("--seed", type=int, default=0, show_default=True, help="Keys and chance follow from it.")
@click.option("--like-lnd", is_flag=True, help="As quick as a measured lnd, instead of instant.")
@click.option("--network", "chain", type=click.Choice(["regtest", "signet", "testnet", "mainnet"]), default="regtest", show_default=True)
@click.option("--port", type=click.IntRange(0, 65_535), default=0, help="Port of the first node; the others follow. 0: free ones.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON when ready.")
def command(
    *,
    folder: Path | None,
    nodes: int,
    channels: int,
    capacity: int,
    state: Path | None,
    seed: int,
    like_lnd: bool,
    chain: str,
    port: int,
    as_json: bool,
) -> None:
    """Run simulated lnd nodes that speak lnd's gRPC; the first is funded towards the others."""
    plan = Plan(nodes, channels, capacity, seed, chain, like_lnd, port=port, state=state)
    with tempfile.TemporaryDirectory(prefix="streamer-simulate-") as temporary:
        try:
            asyncio.run(_serve(folder or Path(temporary), plan, as_json=as_json))
        except (Unavailable, OSError, ValueError) as error:
            raise click.ClickException(str(error)) from error


async def _serve(folder: Path, plan: Plan, *, as_json: bool) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with start_network(folder, plan) as served:
        for credentials in served.credentials.values():
            credentials.bake("streamer", LEAST)
        _show(served, as_json=as_json)
        await stopped.wait()


def _show(served: ServedNetwork, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"nodes": [node.as_dict() for node in served.nodes]}))
        return
    for node in served.nodes:
        click.echo(f"{node.name}  {node.pubkey}\n  --rpcserver {node.rpcserver}")
        click.echo(f"  --tlscertpath {node.tlscertpath}\n  --macaroonpath {node.macaroonpath}")
    click.echo(f"{served.nodes[0].name} is funded towards the others. Ctrl-C ends it.")
