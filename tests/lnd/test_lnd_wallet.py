"""A real lnd before its wallet is open: each state has a sentence that says what to do."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from streamer._proto.lnrpc import stateservice_pb2 as state
from streamer.nodes.credentials import access
from streamer.nodes.lnd import LndNode
from streamer.words.errors import NodeRejected, NodeUnavailable
from tests.lnd.network import Network
from tests.lnd.node import Lnd
from tests.lnd.process import until

pytestmark = pytest.mark.lnd
PASSWORD = b"correct horse"


def unlocker(lnd: Lnd, method: str, request: bytes) -> bytes:
    """A call of lnrpc.WalletUnlocker, which is no part of our protocol subset: bytes in, bytes
    out.
    """
    call = lnd.connect().unary_unary(
        f"/lnrpc.WalletUnlocker/{method}", lambda sent: sent, lambda got: got
    )
    reply: bytes = call(request, timeout=30)
    return reply


def fields(*values: tuple[int, bytes]) -> bytes:
    """Length-delimited protobuf fields (number, value)."""
    return b"".join(bytes((number << 3 | 2, len(value))) + value for number, value in values)


def seed_words(reply: bytes) -> list[bytes]:
    """Field 1 of GenSeedResponse, which comes first and 24 times."""
    words: list[bytes] = []
    while reply[:1] == b"\x0a":
        words.append(reply[2 : 2 + reply[1]])
        reply = reply[2 + reply[1] :]
    return words


def open_once(lnd: Lnd) -> None:
    """Connect as the daemon would, and hang up."""

    async def opening() -> None:
        node = LndNode(lnd.name, access(lnd.rpcserver, str(lnd.tlscertpath), str(lnd.macaroonpath)))
        await node.open()
        await node.close()

    asyncio.run(opening())


def test_no_wallet_then_locked_then_open(lnd_network: Network) -> None:
    lnd = lnd_network.add("vault", wallet=True)
    try:
        lnd.start(wait=False)
        until("it has no wallet", lambda: lnd.state() == state.NON_EXISTING or None)
        with pytest.raises(
            NodeRejected,
            match=r"no macaroon at .*admin.macaroon: is the path right, and has lnd been started",
        ):
            open_once(lnd)
        words = seed_words(unlocker(lnd, "GenSeed", b""))
        assert len(words) == 24
        unlocker(lnd, "InitWallet", fields((1, PASSWORD), *((2, word) for word in words)))
        lnd.wait_ready()
        lnd.stop()
        lnd.start(wait=False)
        until("it is locked", lambda: lnd.state() == state.LOCKED)
        with pytest.raises(
            NodeUnavailable,
            match=f"lnd at {lnd.rpcserver} has its wallet locked: unlock it with `lncli unlock`",
        ):
            open_once(lnd)
        with pytest.raises(grpc.RpcError):
            unlocker(lnd, "UnlockWallet", fields((1, b"wrong")))
        unlocker(lnd, "UnlockWallet", fields((1, PASSWORD)))
        lnd.wait_ready()
        open_once(lnd)
    finally:
        lnd.stop()
        lnd_network.nodes.remove(lnd)
