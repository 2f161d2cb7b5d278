"""A node that cannot be used: the status, /readyz and the stream say what is wrong and what to
do.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from streamer.config import Config
from streamer.run.daemon import running
from streamer.service.orders import StreamOrder
from streamer.simulator.network.lightning_node import Wallet
from streamer.simulator.serve import Plan, ServedNetwork, start_network
from streamer.words.errors import Unavailable
from streamer.words.model import ADMIN
from streamer.words.money import SECOND_NS
from streamer.words.settings import ApiSettings, NodeSettings
from tests.api.overhttp import get

PATIENCE_SECONDS = 20
Spoil = Callable[[NodeSettings, ServedNetwork, Path], NodeSettings]


def _wallet(wallet: Wallet) -> Spoil:
    def spoil(node: NodeSettings, network: ServedNetwork, _: Path) -> NodeSettings:
        network.simulation.faults.set_wallet("alice", wallet)
        return node

    return spoil


def _file(field: str, content: bytes) -> Spoil:
    def spoil(node: NodeSettings, _: ServedNetwork, folder: Path) -> NodeSettings:
        path = folder / "spoiled"
        path.write_bytes(content)
        return replace(node, **{field: path})  # type: ignore[arg-type]

    return spoil


BAD: dict[str, tuple[Spoil, str]] = {
    "nothing listens": (
        lambda node, *_: replace(node, rpcserver="127.0.0.1:1"),
        "nothing listens at 127.0.0.1:1",
    ),
    "no certificate": (
        lambda node, *_: replace(node, tlscertpath=Path("/absent/tls.cert")),
        "no TLS certificate (tls.cert of lnd)",
    ),
    "another certificate": (
        lambda node, network, _: replace(node, tlscertpath=Path(network.nodes[1].tlscertpath)),
        "shows another certificate than the one configured",
    ),
    "no macaroon": (
        lambda node, *_: replace(node, macaroonpath=Path("/absent/x.macaroon")),
        "no macaroon at /absent/x.macaroon",
    ),
    "garbage for a macaroon": (_file("macaroonpath", b"\x00\x01garbage"), "macaroon"),
    "another node's macaroon": (
        lambda node, network, _: replace(node, macaroonpath=Path(network.nodes[1].macaroonpath)),
        "refuses the macaroon",
    ),
    "another network": (
        lambda node, *_: replace(node, network="mainnet"),
        "the node is on regtest, but the configuration says mainnet",
    ),
    "wallet locked": (_wallet(Wallet.LOCKED), "locked"),
    "still starting": (_wallet(Wallet.RPC_ACTIVE), "starting"),
}


def settings(network: ServedNetwork) -> NodeSettings:
    node = network.nodes[0]
    return NodeSettings(
        name="main",
        rpcserver=node.rpcserver,
        tlscertpath=Path(node.tlscertpath),
        macaroonpath=Path(node.macaroonpath),
        network="regtest",
    )


@pytest.mark.parametrize("trouble", BAD)
def test_the_status_says_what_is_wrong(trouble: str, tmp_path: Path) -> None:
    spoil, says = BAD[trouble]

    async def run() -> None:
        async with start_network(tmp_path / "network", Plan()) as network:
            good = settings(network)
            config = Config(
                tmp_path / "data", nodes=(good,), api=ApiSettings("127.0.0.1:0", "127.0.0.1:0")
            )
            async with running(config) as daemon, asyncio.timeout(PATIENCE_SECONDS):
                while not daemon.engines["main"].paying:
                    await asyncio.sleep(0.02)
                await daemon.service.sending.stop(False, 0)
                order = StreamOrder(
                    destination=bytes.fromhex(network.nodes[1].pubkey),
                    amount_msat=1_000,
                    interval_ns=SECOND_NS,
                )
                made = await daemon.service.streams.create(ADMIN, order, "", False)
            config = replace(config, nodes=(spoil(good, network, tmp_path),))
            async with running(config) as daemon, asyncio.timeout(PATIENCE_SECONDS):
                await daemon.service.sending.start(b"")
                sending = daemon.service.sending
                while not any(says in problem for problem in sending.report().problems):
                    await asyncio.sleep(0.02)
                assert not sending.report().nodes[0].up
                with pytest.raises(Unavailable, match=re.escape(says)):
                    await daemon.service.streams.create(ADMIN, order, "", False)
                shown = await daemon.service.streams.get(ADMIN, made.stream.id)
                assert shown.explanation.startswith("waits for its node main: ")
                assert says in shown.explanation
                assert shown.stream.state == "ACTIVE"
                code, text = await asyncio.to_thread(get, f"http://{daemon.http_address}/readyz")
                assert (code, says in text) == (503, True)
                assert not network.node("bob").received

    asyncio.run(run())


def test_another_node_is_refused_until_a_person_accepts_it(tmp_path: Path) -> None:
    async def run() -> None:
        api = ApiSettings("127.0.0.1:0", "127.0.0.1:0")
        async with (
            start_network(tmp_path / "network", Plan()) as network,
            asyncio.timeout(2 * PATIENCE_SECONDS),
        ):
            first = settings(network)
            other = network.nodes[1]
            second = replace(
                first,
                rpcserver=other.rpcserver,
                tlscertpath=Path(other.tlscertpath),
                macaroonpath=Path(other.macaroonpath),
            )
            async with running(Config(tmp_path / "data", nodes=(first,), api=api)) as daemon:
                while not daemon.engines["main"].paying:
                    await asyncio.sleep(0.02)
            async with running(Config(tmp_path / "data", nodes=(second,), api=api)) as daemon:
                sending = daemon.service.sending
                while not any(
                    "but this data folder has paid with" in problem
                    for problem in sending.report().problems
                ):
                    await asyncio.sleep(0.02)
                assert sending.report().nodes[0].stopped_by == ("RECOVERING", "NODE_CHANGED")
                with pytest.raises(Exception, match="is not the key of the changed node"):
                    await sending.start(bytes.fromhex(network.nodes[0].pubkey)[:-1] + b"\x00")
                await sending.start(bytes.fromhex(other.pubkey))
                while not daemon.engines["main"].up:
                    await asyncio.sleep(0.02)
                assert sending.report().nodes[0].pubkey.hex() == other.pubkey
                assert not sending.report().nodes[0].stopped_by

    asyncio.run(run())
