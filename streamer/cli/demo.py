"""`streamer demo`: money streams on a simulated network, in one process, and nothing is left
behind.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from streamer.cli.output import amount, print_json
from streamer.cli.words import DURATION
from streamer.words.model import ADMIN
from streamer.words.money import SECOND_NS, format_duration, parse_duration, parse_rate

if TYPE_CHECKING:
    from rich.table import Table

    from streamer.run.daemon import Daemon
    from streamer.simulator.serve import ServedNetwork
    from streamer.words.model import Stream

STREAMS = (("radio", "1sat/1s", "1s"), ("video", "5sat/2s", "2s"), ("article", "30sat/1m", "2s"))
"""(name, rate, payment interval) of the streams, each to a node of its own."""
FRAMES_PER_SECOND = 4
READY_SECONDS = 30.0
LOOK_SECONDS = 0.02


@dataclass(slots=True)
class Shown:
    """A stream of the demo, with the name of its receiver."""

    name: str
    receiver: str
    rate: str
    stream: Stream


@click.command("demo")
@click.option("--for", "length", type=DURATION, help="End after this time.  [default: at Ctrl-C]")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print nothing but one JSON object with the totals, at the end.",
)
def command(length: int | None, as_json: bool) -> None:
    """See money stream without a node: a daemon and a simulated Lightning network, in a temporary
    folder.
    """
    from streamer.cli.serve import fast_loop

    logging.basicConfig(level=logging.ERROR)
    with asyncio.Runner(loop_factory=fast_loop()) as runner:
        totals = runner.run(_demo(length, as_json))
    if as_json:
        print_json(totals)


async def _demo(length_ns: int | None, as_json: bool) -> dict[str, int | float]:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    with tempfile.TemporaryDirectory(prefix="streamer-demo-") as folder:
        async with _house(Path(folder)) as (daemon, network):
            await _until_paying(daemon, stopped)
            shown = [] if stopped.is_set() else await _open(daemon, network)
            if length_ns is not None:
                loop.call_later(length_ns / SECOND_NS, stopped.set)
            if as_json:
                await stopped.wait()
            else:
                await _show(daemon, network, shown, stopped)
            price_msat = await _end(daemon)
        totals = _totals(daemon, price_msat)
    if not as_json:
        _print_end(totals)
    return totals


@asynccontextmanager
async def _house(folder: Path) -> AsyncIterator[tuple[Daemon, ServedNetwork]]:
    """A simulated network and a daemon on its first node, both on free ports."""
    from streamer.config import Config
    from streamer.run.daemon import running
    from streamer.simulator.serve import Plan, start_network
    from streamer.words.settings import ApiSettings, NodeSettings

    async with start_network(
        folder / "network", Plan(nodes=len(STREAMS) + 1, channels=2, like_lnd=True)
    ) as network:
        payer = network.nodes[0]
        node = NodeSettings(
            name="demo",
            rpcserver=payer.rpcserver,
            tlscertpath=Path(payer.tlscertpath),
            macaroonpath=Path(payer.macaroonpath),
            network="regtest",
        )
        config = Config(
            folder / "data", nodes=(node,), api=ApiSettings("127.0.0.1:0", "127.0.0.1:0")
        )
        async with running(config) as daemon:
            yield daemon, network


async def _until_paying(daemon: Daemon, stopped: asyncio.Event) -> None:
    async with asyncio.timeout(READY_SECONDS):
        while not daemon.engines["demo"].paying and not stopped.is_set():
            await _pause(stopped, LOOK_SECONDS)


async def _pause(stopped: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stopped.wait()


async def _open(daemon: Daemon, network: ServedNetwork) -> list[Shown]:
    from streamer.service.orders import StreamOrder

    shown = []
    for (name, rate, interval), receiver in zip(STREAMS, network.nodes[1:], strict=True):
        amount_msat, interval_ns = parse_rate(rate)
        order = StreamOrder(
            destination=bytes.fromhex(receiver.pubkey),
            amount_msat=amount_msat,
            interval_ns=interval_ns,
            payment_interval_ns=parse_duration(interval),
            group=name,
        )
        report = await daemon.service.streams.create(ADMIN, order, "", False)
        shown.append(Shown(name, receiver.name, rate, report.stream))
    return shown


async def _end(daemon: Daemon) -> int:
    """Cancel all streams, those opened from elsewhere too; the price of the time that each has
    run.
    """
    from streamer.core.lifecycle import price_now_msat

    price_msat = 0
    for stream in list(daemon.engines["demo"].book.streams.values()):
        await daemon.service.streams.cancel(ADMIN, stream.id)
        price_msat += price_now_msat(stream, stream.state_time_ns)
    return price_msat


async def _show(
    daemon: Daemon, network: ServedNetwork, shown: list[Shown], stopped: asyncio.Event
) -> None:
    """Draw the table until the end, on a terminal; elsewhere say what runs."""
    from rich.console import Console
    from rich.live import Live

    console = Console()
    console.print("Three streams on a simulated Lightning network. Ctrl-C ends it.")
    console.print("Another one, from a second terminal:")
    key = daemon.config.data_dir / "admin.key"
    server = f"--server {daemon.grpc_address} --key-file {key}"
    console.print(
        f"  streamer stream open {network.nodes[1].pubkey} 2sat/1s {server}",
        soft_wrap=True,
        highlight=False,
    )
    if not sys.stdout.isatty():
        await stopped.wait()
        return
    with Live(
        _table(daemon, network, shown), console=console, refresh_per_second=FRAMES_PER_SECOND
    ) as live:
        while not stopped.is_set():
            await _pause(stopped, 1 / FRAMES_PER_SECOND)
            live.update(_table(daemon, network, shown))


def _table(daemon: Daemon, network: ServedNetwork, shown: list[Shown]) -> Table:
    from rich.table import Table

    from streamer.core.streamtime import origin_ns, paid_until_ns

    totals = daemon.metrics.totals()
    table = Table(
        caption=(
            f"{totals.payments_settled} payments, {amount(totals.paid_msat)}, p99 lateness"
            f" {totals.p99_lateness_seconds:.3f} s"
        )
    )
    for column in ("stream", "rate", "state", "payments", "paid", "arrived", "paid ahead"):
        table.add_column(
            column,
            justify="right" if column in ("payments", "paid", "arrived", "paid ahead") else "left",
            min_width=8,
        )
    for entry in shown:
        stream = entry.stream
        ahead_ns = max(0, origin_ns(stream) + paid_until_ns(stream) - daemon.clock.now_ns())
        ahead = format_duration(ahead_ns - ahead_ns % (SECOND_NS // 10))
        paid, arrived = (
            amount(stream.account.settled_msat),
            amount(_arrived(network, entry.receiver)),
        )
        table.add_row(
            entry.name,
            entry.rate,
            stream.state,
            str(stream.account.settled_count),
            paid,
            arrived,
            ahead,
        )
    return table


def _arrived(network: ServedNetwork, receiver: str) -> int:
    """What the receiving node's own books say."""
    return sum(htlc.amount_msat for htlc in network.node(receiver).received)


def _totals(daemon: Daemon, price_msat: int) -> dict[str, int | float]:
    totals = daemon.metrics.totals()
    return {
        "payments": totals.payments_settled,
        "paid_msat": totals.paid_msat,
        "fee_msat": totals.fee_msat,
        "price_msat": price_msat,
        "skipped_msat": totals.skipped_msat,
        "failed": totals.payments_failed,
        "p99_lateness_seconds": round(totals.p99_lateness_seconds, 6),
    }


def _print_end(totals: dict[str, int | float]) -> None:
    paid, fees, price = (
        amount(int(totals["paid_msat"])),
        amount(int(totals["fee_msat"])),
        amount(int(totals["price_msat"])),
    )
    click.echo(
        f"{totals['payments']} payments of {paid} together, fees {fees}; the time that ran costs"
        f" {price}, the rest is paid ahead."
    )
    click.echo("With your own lnd:  streamer serve --node.lnddir ~/.lnd")
    click.echo("and then:           streamer stream open PUBKEY 50sat/1m --budget 10000sat")
