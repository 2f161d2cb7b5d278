"""The script's network twice: of real lnd nodes, and simulated."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

from streamer.simulator.network.network import Network as Model
from streamer.simulator.serve import serve
from streamer.words.money import SECOND_NS
from tests.contract.script.play import CAPACITY_SAT, CHANNELS
from tests.contract.script.player import Place, place
from tests.lnd.binaries import build
from tests.lnd.network import Network
from tests.lnd.node import Lnd
from tests.lnd.process import until

NAMES = ("alice", "bob", "carol", "dave")
DEAF = "dave"
BOBS_SAT = 100_000_000
AGE_NS = 20 * SECOND_NS
PUBLIC_CHANNELS = sum(not private for *_, private in CHANNELS)


@contextmanager
def real(folder: Path) -> Iterator[dict[str, Place]]:
    """Four lnd nodes; every one of them knows the whole graph."""
    with Network(build(), folder / "network") as network:
        nodes = {name: network.add(name, keysend=name != DEAF) for name in NAMES}
        network.fund(nodes["alice"])
        network.start(*nodes.values())
        network.wait_coins(nodes["alice"])
        network.wait_synced()
        for one, other in (("alice", "bob"), ("bob", "carol"), ("bob", "dave")):
            network.connect(nodes[one], nodes[other])
        address = nodes["bob"].cli("newaddress", "p2wkh")["address"]
        nodes["alice"].cli("sendcoins", "--addr", address, "--amt", str(BOBS_SAT))
        network.btcd.mine()
        network.wait_synced()
        network.wait_coins(nodes["bob"])
        for one, other, push_sat, private in CHANNELS:
            _open(network, nodes[one], nodes[other], push_sat, private=private)
        network.wait_synced()
        for node in nodes.values():
            if node.name != DEAF:
                until(f"{node.name} knows the graph", partial(_knows_all, node))
        yield {
            name: place(node.rpcserver, node.tlscertpath, node.macaroonpath, node.pubkey)
            for name, node in nodes.items()
        }


def _open(network: Network, one: Lnd, other: Lnd, push_sat: int, *, private: bool) -> None:
    had = network.active(one, other)
    options = [
        *(["--private"] if private else []),
        *(["--push_amt", str(push_sat)] if push_sat else []),
    ]
    one.cli(
        "openchannel", "--node_key", other.pubkey.hex(), "--local_amt", str(CAPACITY_SAT), *options
    )
    network.btcd.mine()
    network.wait_synced(one)
    network.btcd.mine(6)
    network.wait_active(one, other, had + 1)


def _knows_all(node: Lnd) -> bool:
    graph = node.cli("describegraph")
    edges = [edge for edge in graph["edges"] if edge["node1_policy"] and edge["node2_policy"]]
    announced = [known for known in graph["nodes"] if known["last_update"]]
    return len(edges) >= PUBLIC_CHANNELS and len(announced) >= len(NAMES) - 1


@asynccontextmanager
async def simulated(folder: Path, *, fast: bool = False) -> AsyncIterator[dict[str, Place]]:
    """The same network in this process; its channels have been there for some seconds, as the real
    ones have.
    """
    network = Model(1, start_ns=time.time_ns() - AGE_NS)
    nodes = {name: network.add_node(name) for name in NAMES}
    nodes[DEAF].keysend = False
    for one, other, push_sat, private in CHANNELS:
        network.open_channel(nodes[one], nodes[other], CAPACITY_SAT, push_sat, private=private)
    async with serve(folder, network, fast=fast) as served:
        yield {
            node.name: place(
                node.rpcserver, node.tlscertpath, node.macaroonpath, bytes.fromhex(node.pubkey)
            )
            for node in served.nodes
        }
