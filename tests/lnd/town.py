"""A payer's lnd, its receivers, a proxy before it, and the daemon that pays through the proxy: all
can be killed.

Networks of their own, so that what is left behind (orphans above all) troubles no other test.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from streamer._proto.streamer.v1 import stream_pb2
from streamer.client import Client
from tests.e2e.house import House, house
from tests.e2e.networks import Networks
from tests.e2e.proxy import Fate, Proxy, Way, start_proxy
from tests.lnd.binaries import Binaries
from tests.lnd.books import counted
from tests.lnd.network import CHANNEL_SAT, Network
from tests.lnd.node import Lnd
from tests.lnd.process import until

PARALLEL_CALLS = 20
HUB_SAT = 5 * CHANNEL_SAT
PATIENT = ("--grpc.server-ping-time=1h",)
"""lnd hangs up on a client that does not answer its pings (after 80 s by default): a ghost's client
never does.
"""


class Town:
    """Nodes and the channels between them: (from, to, how many). `home` is the daemon's; a test may
    take another one.
    """

    def __init__(
        self,
        network: Network,
        folder: Path,
        networks: Networks,
        payer: Lnd,
        receivers: Sequence[Lnd],
    ) -> None:
        self.network = network
        self.home = folder / "home"
        self.payer = payer
        self.receivers = list(receivers)
        self.roads: list[tuple[Lnd, Lnd, int]] = []
        self.keys = [receiver.pubkey.hex() for receiver in receivers]
        self._networks = networks
        certificate = payer.tlscertpath
        self.proxy: Proxy = networks.enter(
            start_proxy(payer.rpcserver, certificate, certificate.with_name("tls.key"))
        )
        self._seen = 0

    def connect(self, one: Lnd, other: Lnd, channels: int, port: int = 0) -> None:
        """Channels from one to the other, funded by one; port: of something between them."""
        self.network.connect(one, other, port)
        self.network.open_channels(one, other, channels)
        self.roads.append((one, other, channels))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.network.close()

    # -- the daemon --------------------------------------------------------------------------------

    @contextmanager
    def daemon(self, *options: str, direct: bool = False) -> Iterator[House]:
        """The daemon until the block ends, through the proxy unless direct; its doors are open when
        the block begins.
        """
        flags = {
            "rpcserver": self.payer.rpcserver if direct else self.proxy.address,
            "tlscertpath": str(self.payer.tlscertpath),
            "macaroonpath": str(self.payer.macaroonpath),
            "network": "regtest",
        }
        words = [word for name, value in flags.items() for word in (f"--node.{name}", value)]
        with house(self.home, *words, *options) as running:
            yield running

    def open_streams(
        self, daemon: House, count: int, amount_msat: int, interval_ms: int, to: Lnd | None = None
    ) -> list[str]:
        """Streams to one receiver, or over all in turn, that catch up for ever; their ids."""
        keys = [to.pubkey.hex()] if to is not None else self.keys

        async def scene() -> list[str]:
            gate = asyncio.Semaphore(PARALLEL_CALLS)
            async with self._client(daemon) as client:

                async def one(number: int) -> str:
                    order = stream_pb2.Stream(
                        destination=keys[number % len(keys)], amount_msat=amount_msat
                    )
                    order.interval.FromMilliseconds(interval_ms)
                    order.catch_up_forever = True
                    async with gate:
                        made = await client.call(
                            client.streams.CreateStream,
                            stream_pb2.CreateStreamRequest(stream=order),
                        )
                    return str(made.id)

                return list(await asyncio.gather(*(one(number) for number in range(count))))

        return self._networks.wait(scene())

    def streams(self, daemon: House) -> list[stream_pb2.Stream]:
        """All of them, as the API shows them."""

        async def scene() -> list[stream_pb2.Stream]:
            async with self._client(daemon) as client:
                page = await client.call(
                    client.streams.ListStreams, stream_pb2.ListStreamsRequest(page_size=1000)
                )
                return list(page.streams)

        return self._networks.wait(scene())

    def try_now(self, daemon: House, ids: list[str]) -> None:
        """End the back-offs of these streams."""

        async def scene() -> None:
            async with self._client(daemon) as client:
                for stream_id in ids:
                    await client.call(
                        client.streams.ResumeStream, stream_pb2.ResumeStreamRequest(id=stream_id)
                    )

        self._networks.wait(scene())

    @staticmethod
    def _client(daemon: House) -> Client:
        daemon.starts()
        return Client(daemon.grpc, (daemon.data / "admin.key").read_text().strip())

    # -- what arrives ------------------------------------------------------------------------------

    def count(self) -> int:
        """How many keysends have come in; the last known number while a receiver is down."""
        running = [receiver for receiver in self.receivers if receiver.child.running]
        if len(running) == len(self.receivers):
            self._seen = max(self._seen, counted(running))
        return self._seen

    def until_arrived(self, more: int, seconds: float = 120) -> None:
        """So many keysends more have come in."""
        enough = self.count() + more
        until(f"{enough} keysends have come in", lambda: self.count() >= enough, seconds)

    # -- what goes wrong ---------------------------------------------------------------------------

    def restart(self, lnd: Lnd) -> None:
        """Killed, and started again at once; not awaited."""
        lnd.kill()
        lnd.start(wait=False)

    def until_active(self) -> None:
        """All nodes are up with all their channels."""
        for node in self.network.nodes:
            node.wait_ready()
        for one, other, channels in self.roads:
            self.network.wait_active(one, other, channels)

    def trap(self, way: Way, after: int, fate: Fate = Fate.CUT) -> None:
        self._networks.do(lambda: self.proxy.set_trap(way, after, fate))

    def clear_trap(self) -> None:
        self._networks.do(self.proxy.clear_trap)

    def delay(self, seconds: float) -> None:
        self._networks.do(lambda: setattr(self.proxy, "delay_seconds", seconds))

    def keeps_call(self, daemon: House) -> bool:
        """Whether the call of the daemon's newest payment lies in the proxy."""
        newest = daemon.newest_hash()
        return bool(newest) and self._networks.do(lambda: self.proxy.keeps(newest))

    def drop(self) -> None:
        self._networks.do(self.proxy.drop)

    def deliver(self) -> None:
        self._networks.wait(self.proxy.deliver())


def star(
    binaries: Binaries,
    folder: Path,
    networks: Networks,
    receivers: int,
    channels: int,
    payer_options: Sequence[str] = (),
) -> Town:
    """The payer has so many channels to each receiver, all funds at its side."""
    town = alone(binaries, folder, networks, receivers, payer_options)
    for receiver in town.receivers:
        town.connect(town.payer, receiver, channels)
    return town


def alone(
    binaries: Binaries,
    folder: Path,
    networks: Networks,
    receivers: int,
    payer_options: Sequence[str] = (),
) -> Town:
    """A payer with coins, and receivers, all running; no channels yet."""
    network = Network(binaries, folder / "network")
    payer = network.add("payer", options=payer_options)
    others = [network.add(f"receiver{number}") for number in range(receivers)]
    network.fund(payer)
    network.start(payer, *others)
    network.wait_coins(payer)
    network.wait_synced()
    return Town(network, folder, networks, payer, others)


@dataclass
class Street:
    """payer → hub, and from there to the receiver and to the holder, who settles no keysend by
    itself.
    """

    town: Town
    hub: Lnd
    receiver: Lnd
    holder: Lnd


def street(binaries: Binaries, folder: Path, networks: Networks, hold_seconds: int) -> Street:
    """One channel each; the holder gives a keysend back after so many seconds unless it is settled
    by hand.

    The payer forgets failures of a channel in seconds, so that no test waits for its penalty to
    end.
    """
    network = Network(binaries, folder / "network")
    payer = network.add("payer", options=["--routerrpc.apriori.penaltyhalflife=1s", *PATIENT])
    hub, receiver = network.add("hub"), network.add("receiver")
    holder = network.add("holder", options=[f"--keysend-hold-time={hold_seconds}s"])
    network.fund(payer)
    network.start(payer, hub, receiver, holder)
    network.wait_coins(payer)
    network.give_coins(payer, hub, HUB_SAT)
    town = Town(network, folder, networks, payer, [receiver, holder])
    for one, other in ((payer, hub), (hub, receiver), (hub, holder)):
        town.connect(one, other, 1)
    for other in (receiver, holder):
        network.wait_known(payer, other)
    return Street(town, hub, receiver, holder)
