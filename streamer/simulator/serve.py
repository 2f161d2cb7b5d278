"""A whole simulated network in this process, each node with lnd's gRPC on a port of its own.

async with start_network(folder, Plan(nodes=2)) as served:
    served.nodes[0].rpcserver, served.simulation.faults, …
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from streamer.ports import Clock
from streamer.simulator.control.control import Control
from streamer.simulator.control.seeded_faults import SeededFaults
from streamer.simulator.control.state import load, require_writable, save
from streamer.simulator.control.troubles import Troubles, begin
from streamer.simulator.lnrpc.credentials import Credentials, make_credentials
from streamer.simulator.lnrpc.server import NodeServer
from streamer.simulator.network.channels import Policy
from streamer.simulator.network.drive import Simulation
from streamer.simulator.network.lightning_node import LightningNode
from streamer.simulator.network.network import Network
from streamer.simulator.network.pace import LND_CURVE, Pace
from streamer.words.clock import BootClock
from streamer.words.money import SECOND_NS

NAMES = ("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi")
"""What the first nodes are called; the others are node9, node10, …"""

HUB = "hub"
"""What the node between the first and the others is called."""

MAX_NODES = 100
MAX_CHANNELS = 100
"""Most nodes, and most channels to each of them: a small network on one machine."""


@dataclass(slots=True, frozen=True)
class Plan:
    """What to build: the first node gets `channels` channels of capacity_sat to each of the others.

    like_lnd, payments_per_second (0: any number) and latency_ns (least, most) pace the first node.
    With hub the others are reached through a node of that name, which asks policy's fees. port 0
    takes free ports, else the nodes take port, port + 1, … fast: without grpc's server (http2.py).
    """

    nodes: int = 2
    channels: int = 10
    capacity_sat: int = 10_000_000
    seed: int = 0
    chain: str = "regtest"
    like_lnd: bool = False
    payments_per_second: int = 0
    latency_ns: tuple[int, int] = (0, 0)
    hub: bool = False
    policy: Policy = field(default_factory=Policy)
    troubles: Troubles = field(default_factory=Troubles)
    host: str = "127.0.0.1"
    port: int = 0
    state: Path | None = None
    fast: bool = False


@dataclass(slots=True, frozen=True)
class ServedNode:
    """What a client needs to reach one node; pubkey in hex, paths as text."""

    name: str
    pubkey: str
    rpcserver: str
    tlscertpath: str
    macaroonpath: str

    def as_dict(self) -> dict[str, str]:
        """For JSON."""
        return asdict(self)


@dataclass(slots=True, frozen=True)
class ServedNetwork:
    """The nodes, the model behind them (faults, books), their files, and the faults by name."""

    nodes: list[ServedNode]
    simulation: Simulation
    credentials: dict[str, Credentials]
    control: Control

    @property
    def network(self) -> Network:
        """The model."""
        return self.simulation.network

    def node(self, name: str) -> LightningNode:
        """The model of one node: its received HTLCs, payments, switches."""
        return self.network.named[name]


def node_names(count: int) -> list[str]:
    """The names of the first count nodes."""
    return [
        NAMES[number] if number < len(NAMES) else f"node{number + 1}" for number in range(count)
    ]


def build(plan: Plan, now_ns: int) -> Network:
    """The network of a plan, as it is at its first moment."""
    network = Network(plan.seed, start_ns=now_ns, chain=plan.chain)
    first, *others = [network.add_node(name) for name in node_names(plan.nodes)]
    first.pace = _pace(plan)
    source = first
    if plan.hub:
        source = network.add_node(HUB)
        for _ in range(plan.channels):
            network.open_channel(first, source, plan.capacity_sat * len(others))
    for other in others:
        for _ in range(plan.channels):
            network.open_channel(source, other, plan.capacity_sat, policy=plan.policy)
    return network


def _pace(plan: Plan) -> Pace:
    gap_ns = SECOND_NS // plan.payments_per_second if plan.payments_per_second else 0
    return Pace(plan.latency_ns, gap_ns, LND_CURVE if plan.like_lnd else ())


@asynccontextmanager
async def start_network(
    folder: Path, plan: Plan | None = None, clock: Clock | None = None
) -> AsyncIterator[ServedNetwork]:
    """Serve a network until the block ends; certificates and macaroons go to folder/NAME.

    With plan.state the network goes on where the file left it, and is written there at the end.
    Raises Unavailable (a port is taken), OSError (a folder cannot be written), ValueError (the
    state file is not one, or does not fit the plan; a certificate that is none; faults too close
    together).
    """
    plan = plan or Plan()
    clock = clock or BootClock()
    network = build(plan, clock.now_ns())
    if plan.state is not None:
        require_writable(plan.state)
        if plan.state.exists():
            load(network, plan.state)
    async with AsyncExitStack() as stack:
        if plan.state is not None:
            stack.callback(save, network, plan.state)
        served = await stack.enter_async_context(
            serve(folder, network, clock, plan.host, plan.port, fast=plan.fast)
        )
        begin(served.simulation, plan.troubles)
        if plan.troubles.faults_every_ns:
            SeededFaults(
                served.control, plan.seed, plan.troubles.faults_every_ns, node_names(plan.nodes)[1:]
            ).begin()
        yield served


@asynccontextmanager
async def serve(
    folder: Path,
    network: Network,
    clock: Clock | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    fast: bool = False,
) -> AsyncIterator[ServedNetwork]:
    """Serve a network of your own making; else as start_network. Raises Unavailable, OSError and
    ValueError.
    """
    async with AsyncExitStack() as stack:
        simulation = stack.enter_context(Simulation(network, clock or BootClock()))
        served, credentials = [], {}
        for number, (name, node) in enumerate(network.named.items()):
            files = make_credentials(folder / name, str(network.seed), name)
            server = NodeServer(
                simulation, node, files, host, port + number if port else 0, fast=fast
            )
            await server.start()
            stack.push_async_callback(server.stop)
            credentials[name] = files
            served.append(
                ServedNode(
                    name,
                    node.pubkey.hex(),
                    server.rpcserver,
                    str(files.tlscertpath),
                    str(files.macaroonpath),
                )
            )
        yield ServedNetwork(served, simulation, credentials, Control(simulation))
