"""Real nodes for tests: one btcd and some lnds with channels between them, on free ports.

The order is the one that works: btcd, one fresh block (lnd wants a young tip), the payer's lnd for
an address of its wallet, btcd again with that address, 500 blocks in two halves (after 400 segwit
is not active yet and funding transactions are refused), all lnds, peers, channels. The lnds stop
before btcd, or they hang.
"""

from __future__ import annotations

import atexit
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from streamer._proto.lnrpc import lightning_pb2 as ln
from tests.lnd.binaries import Binaries
from tests.lnd.btcd import Btcd
from tests.lnd.node import Lnd
from tests.lnd.process import until

CHANNEL_SAT = 10_000_000
WHOLE_SAT = CHANNEL_SAT - 944
"""What is left of an unused channel to the one who opened it: a commitment transaction and two
anchors are paid.
"""
FUNDED_BLOCKS = 250


class Network:
    """A chain and its lnds. Use as a context manager, or call close."""

    def __init__(self, binaries: Binaries, folder: Path) -> None:
        self.folder = folder
        self.btcd = Btcd(binaries, folder / "btcd")
        self.nodes: list[Lnd] = []
        self._binaries = binaries
        atexit.register(self.close)
        self.btcd.start()
        self.btcd.mine()

    def __enter__(self) -> Network:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def add(
        self, name: str, *, keysend: bool = True, wallet: bool = False, options: Sequence[str] = ()
    ) -> Lnd:
        """A new lnd, not started. wallet: one with a password, that begins as NON_EXISTING."""
        flags = [*options]
        flags += ["--accept-keysend"] if keysend else []
        flags += [] if wallet else ["--noseedbackup"]
        node = Lnd(self._binaries, self.btcd, self.folder / name, name, *flags)
        self.nodes.append(node)
        return node

    def start(self, *nodes: Lnd) -> None:
        for node in nodes:
            node.start(wait=False)
        for node in nodes:
            node.wait_ready()

    def fund(self, node: Lnd) -> None:
        """Start one node alone, make it the miner, and begin the chain anew for it.

        Call it before any other node has started: btcd forgets a regtest chain when it restarts,
        and only a restart changes the address that it mines for.
        """
        node.start()
        address = node.cli("newaddress", "p2wkh")["address"]
        node.stop()
        self.btcd.stop()
        self.btcd.start(address)
        for _ in range(2):
            self.btcd.mine(FUNDED_BLOCKS)

    def wait_coins(self, node: Lnd) -> None:
        until(
            f"{node.name} has coins",
            lambda: int(node.cli("walletbalance")["confirmed_balance"]) > 0,
        )

    def connect(self, one: Lnd, other: Lnd, port: int = 0) -> None:
        """Make them peers; port: of something that leads to the other."""
        one.cli("connect", f"{other.pubkey.hex()}@127.0.0.1:{port or other.peer_port}")

    def dial(self, one: Lnd, other: Lnd, port: int = 0) -> None:
        """As connect, for peers who may be connected: lnd by itself waits twice as long after each
        try that failed.
        """
        with suppress(AssertionError):
            self.connect(one, other, port)

    def give_coins(self, one: Lnd, other: Lnd, amount_sat: int) -> None:
        """Coins from one wallet to the other, confirmed."""
        one.cli("sendcoins", other.cli("newaddress", "p2wkh")["address"], str(amount_sat))
        self.btcd.mine()
        self.wait_synced()
        self.wait_coins(other)

    def open_channels(
        self, payer: Lnd, receiver: Lnd, count: int = 1, capacity_sat: int = CHANNEL_SAT
    ) -> None:
        """Open channels from payer to receiver, and wait until both call them active and the payer
        can route over them.
        """
        had = self.active(payer, receiver)
        for _ in range(count):
            payer.cli(
                "openchannel", "--node_key", receiver.pubkey.hex(), "--local_amt", str(capacity_sat)
            )
            self.btcd.mine()
            self.wait_synced(payer)
        self.btcd.mine(6)
        self.wait_active(payer, receiver, had + count)
        usable = f"{payer.name} can route over {had + count} channels to {receiver.name}"
        until(
            usable,
            lambda: (
                sum(payer.pubkey.hex() in _ends(edge) for edge in _routable(payer, receiver))
                >= had + count
            ),
        )

    def close_channel(self, node: Lnd, channel_point: str, force: bool = False) -> None:
        """Begin to close a channel; mine to confirm it."""
        transaction, _, output = channel_point.partition(":")
        words = ["closechannel", "--funding_txid", transaction, "--output_index", output]
        node.cli(*words, *(["--force"] if force else []))

    def active(self, one: Lnd, other: Lnd) -> int:
        return sum(
            channel.active
            for channel in one.channels()
            if channel.remote_pubkey == other.pubkey.hex()
        )

    def wait_active(self, one: Lnd, other: Lnd, count: int) -> None:
        until(
            f"{count} channels are active",
            lambda: self.active(one, other) >= count and self.active(other, one) >= count,
        )

    def wait_known(self, one: Lnd, other: Lnd, channels: int = 1) -> None:
        """Until one has other's announcement in its graph, with its features and so many channels
        that it can route over.

        An active channel whose policy is not in the graph yet is not counted: lnd says
        INSUFFICIENT_BALANCE (0.21.2, getOutgoingBalance). And lnd asks nobody again for the policy
        of a channel that it has an announcement of: a copy of its folder that is made before the
        policy has come finds no route there for ever.
        """

        def known() -> bool:
            return (
                bool(_announced(one, other)["node"]["features"])
                and len(_routable(one, other)) >= channels
            )

        until(f"{one.name} knows {other.name} and its channels", known)

    def wait_synced(self, *nodes: Lnd) -> None:
        """Until the nodes (all that run, if none is named) have seen the newest block."""
        height = self.btcd.height()
        for node in nodes or [node for node in self.nodes if node.child.running]:
            until(f"{node.name} is at block {height}", partial(_synced, node, height))

    def close(self) -> None:
        with ThreadPoolExecutor(max(1, len(self.nodes))) as pool:
            list(pool.map(lambda node: node.stop(), self.nodes))
        self.btcd.stop()
        atexit.unregister(self.close)


def _announced(one: Lnd, other: Lnd) -> Any:
    """What one's graph holds of other."""
    return one.cli("getnodeinfo", f"--pub_key={other.pubkey.hex()}", "--include_channels")


def _routable(one: Lnd, other: Lnd) -> list[Any]:
    """Other's channels that one's graph has both policies of."""
    return [
        edge
        for edge in _announced(one, other)["channels"]
        if edge["node1_policy"] and edge["node2_policy"]
    ]


def _ends(edge: Any) -> tuple[str, str]:
    return edge["node1_pub"], edge["node2_pub"]


def _synced(node: Lnd, height: int) -> bool:
    """At that block, and its wallet too, without which lnd opens no channels."""
    info = node.rpc("GetInfo", ln.GetInfoRequest())
    return bool(info.block_height >= height and info.synced_to_chain)
