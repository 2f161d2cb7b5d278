"""A daemon's inside without its roof: a real engine on a simulated node, the service, and the gRPC
door.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from streamer._proto.streamer.v1 import admin_pb2
from streamer.api.auth import Keys
from streamer.api.calls import Calls
from streamer.api.grpc import GrpcDoor
from streamer.api.http.gateway import Gateway
from streamer.api.http.server import HttpDoor, make_app
from streamer.api.services import served
from streamer.client import Client
from streamer.core.keysend import derive_preimage
from streamer.pay.build import Build
from streamer.pay.engine import Engine
from streamer.service import Keyring, Nodes, Service
from streamer.simulator.network.drive import Simulation
from streamer.simulator.network.network import Network
from streamer.simulator.node import SimulatedNode
from streamer.stores.memory import MemoryStore
from streamer.watch.feed import Feed
from streamer.watch.metrics import Metrics
from streamer.watch.observer import Telling
from streamer.words.clock import BootClock
from streamer.words.money import SECOND_NS
from streamer.words.settings import StreamSettings

SECRET = bytes(range(32))
KEY = "k" * 64


class LeapingClock(BootClock):
    """Real time, and what a test has leapt over."""

    def __init__(self) -> None:
        super().__init__()
        self._leapt_ns = 0

    def now_ns(self) -> int:
        return super().now_ns() + self._leapt_ns

    def leap(self, duration_ns: int) -> None:
        self._leapt_ns += duration_ns


@dataclass
class House:
    """Everything that a test looks at."""

    client: Client
    service: Service
    engine: Engine
    network: Network
    simulation: Simulation
    store: MemoryStore
    metrics: Metrics
    server: str
    replays: list[int]
    http: httpx.AsyncClient
    """Of the HTTP port, with the admin key."""
    keys: Keys
    http_door: HttpDoor
    clock: LeapingClock

    async def key(self, *scopes: str, **fields: Any) -> tuple[admin_pb2.Key, str]:
        """A new API key, and its text."""
        request = admin_pb2.CreateKeyRequest(key=admin_pb2.Key(scopes=scopes, **fields))
        made = await self.client.call(self.client.admin.CreateKey, request)
        return made.key, made.text

    def as_key(self, text: str) -> Client:
        """A client with another key: use it as `async with`."""
        return Client(self.server, text)

    def pubkey(self, name: str) -> str:
        return self.network.named[name].pubkey.hex()


@asynccontextmanager
async def house(
    settings: StreamSettings | None = None,
    limit_msat: int = 10**12,
    cors_origins: tuple[str, ...] = (),
    payers: tuple[str, ...] = ("payer",),
) -> AsyncIterator[House]:
    clock = LeapingClock()
    network = Network(seed=7, start_ns=clock.now_ns())
    receivers = [network.add_node(name) for name in ("receiver", "other")]
    for payer in payers:
        node = network.add_node(payer)
        for receiver in receivers:
            network.open_channel(node, receiver, 100_000_000)
    replays: list[int] = []
    ring = Keyring(SECRET, KEY)
    with Simulation(network, clock) as simulation:
        store, metrics, feed = MemoryStore(), Metrics("0", "simulator"), Feed()
        build = Build.of(
            store,
            store.load(),
            clock,
            SECRET,
            Telling(metrics, feed, clock),
            limit_msat=limit_msat,
            period_ns=3600 * SECOND_NS,
            on_store_failed=lambda shared, text: None,
            jitter=lambda: 50,
        )
        engines = {name: build.engine(SimulatedNode(simulation, name)) for name in payers}
        for engine in engines.values():
            engine.replay(store.load(), clock.now_ns())
        service = Service(
            Nodes.of(build, engines),
            ring,
            feed,
            stream_keys=itertools.count(1),
            preimage=lambda owner: derive_preimage(SECRET, owner, 0),
            totals=metrics.totals,
            replay=lambda: replays.append(1),
            settings=settings,
        )
        keys = Keys(ring, clock, 1_000_000)
        calls, rpcs = Calls(keys, metrics.called), served(service)
        door = GrpcDoor(calls, rpcs, "127.0.0.1:0", service.sending.unready)
        server = await door.start()
        app = make_app(metrics.render, service.sending.unready, Gateway(calls, rpcs), cors_origins)
        http_door = HttpDoor(app, "127.0.0.1:0")
        address = await http_door.start()
        running = [asyncio.create_task(engine.run()) for engine in engines.values()]
        try:
            async with (
                Client(server, KEY) as client,
                httpx.AsyncClient(base_url=f"http://{address}", headers={"X-API-KEY": KEY}) as http,
            ):
                async with asyncio.timeout(10):
                    while not all(engine.paying for engine in engines.values()):
                        await asyncio.sleep(0.01)
                yield House(
                    client,
                    service,
                    engines[payers[0]],
                    network,
                    simulation,
                    store,
                    metrics,
                    server,
                    replays,
                    http,
                    keys,
                    http_door,
                    clock,
                )
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            await http_door.stop()
            await door.stop(0)


def in_house(test: Callable[[House], Awaitable[None]], **options: Any) -> None:
    """Run test inside a house."""

    async def run() -> None:
        async with house(**options) as inside:
            await test(inside)

    asyncio.run(run())
