"""Real lnd: what GetInfo's best_header_timestamp says while lnd lags, and what the check of our
clock makes of it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import grpc
import pytest

from streamer._proto.lnrpc import lightning_pb2 as ln
from streamer._proto.lnrpc import lightning_pb2_grpc
from streamer._proto.lnrpc import stateservice_pb2 as state
from streamer.nodes import checks
from streamer.nodes.credentials import access
from streamer.nodes.lnd import LndNode
from streamer.pay.link import _clock_problem
from streamer.ports import NodeIdentity
from streamer.words.errors import NodeUnavailable
from streamer.words.money import SECOND_NS
from tests.lnd.binaries import build
from tests.lnd.btcd import Btcd
from tests.lnd.node import Lnd
from tests.lnd.process import until

pytestmark = pytest.mark.lnd

HOUR_SECONDS = 3_600
OLD_BLOCKS = 12
"""So many below the newest ones, that the median of eleven, after which the next block must be,
stays old.
"""
MISSED_BLOCKS = 400
"""An lnd that was frozen takes half a second for them."""
GET_INFO_SECONDS = 3.0
ANSWER_SECONDS = 60


@dataclass
class Chain:
    """One lnd on a chain whose blocks are as old as a test wants them."""

    btcd: Btcd
    lnd: Lnd

    def grow(self) -> int:
        """Blocks that lnd has to catch up with, all old but for the newest; its time."""
        first, newest = int(self.btcd.call("getblockchaininfo")["mediantime"]) + 1, ago(hours=0)
        self.btcd.mine_at(*range(first, first + MISSED_BLOCKS), newest)
        return newest

    def info(self) -> ln.GetInfoResponse:
        answer: ln.GetInfoResponse = self.lnd.rpc("GetInfo", ln.GetInfoRequest())
        return answer

    def asked(self) -> Any:
        """GetInfo, asked now and answered when lnd can."""
        stub = lightning_pb2_grpc.LightningStub(self.lnd.connect())
        return stub.GetInfo.future(
            ln.GetInfoRequest(), metadata=self.lnd.metadata, timeout=ANSWER_SECONDS
        )

    def connect(self) -> NodeIdentity:
        """As the daemon would."""

        async def opening() -> NodeIdentity:
            node = LndNode(
                self.lnd.name,
                access(self.lnd.rpcserver, str(self.lnd.tlscertpath), str(self.lnd.macaroonpath)),
            )
            try:
                return await node.open()
            finally:
                await node.close()

        return asyncio.run(opening())

    def until_synced(self, newest: int) -> None:
        until("lnd is synced", lambda: self.info().synced_to_chain)
        info = self.info()
        assert (info.best_header_timestamp, info.block_height) == (newest, self.btcd.height())
        assert clock_problem(self.connect(), "mainnet") == ""


def ago(hours: int) -> int:
    """Unix time."""
    return int(time.time()) - hours * HOUR_SECONDS


def clock_problem(identity: NodeIdentity, network: str) -> str:
    """What the daemon would say if it were the same node on another network."""
    return _clock_problem(replace(identity, network=network), int(time.time()) * SECOND_NS)


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """lnd runs and is synced."""
    folder, binaries = tmp_path_factory.mktemp("lagging"), build()
    btcd = Btcd(binaries, folder / "btcd")
    btcd.start()
    lnd = Lnd(binaries, btcd, folder / "lnd", "lagging", "--noseedbackup")
    try:
        oldest = ago(hours=40)
        btcd.mine_at(*range(oldest, oldest + OLD_BLOCKS), ago(hours=0))
        lnd.start()
        yield Chain(btcd, lnd)
    finally:
        btcd.thaw()
        lnd.stop()
        btcd.stop()


def test_a_chain_that_is_hours_old_below_a_running_lnd(chain: Chain) -> None:
    newest = ago(hours=5)
    chain.btcd.mine_at(newest)
    until("the wallet has the block", lambda: chain.info().best_header_timestamp == newest)
    assert (chain.info().synced_to_chain, chain.info().block_height) == (False, chain.btcd.height())
    identity = chain.connect()
    assert "lnd is not synced to the chain: let it sync" in clock_problem(identity, "mainnet")
    assert clock_problem(identity, "regtest") == ""
    chain.btcd.mine_at(fresh := ago(hours=0))
    chain.until_synced(fresh)


def test_a_chain_that_is_hours_old_keeps_lnd_from_becoming_active(chain: Chain) -> None:
    chain.lnd.stop()
    chain.btcd.mine_at(newest := ago(hours=5))
    chain.lnd.start(wait=False)
    until("lnd waits for the chain", lambda: chain.lnd.state() == state.RPC_ACTIVE)
    info = chain.info()
    assert (info.best_header_timestamp, info.synced_to_chain) == (newest, False)
    with pytest.raises(
        NodeUnavailable,
        match=f"lnd at {chain.lnd.rpcserver} is starting and not yet synced to the chain",
    ):
        chain.connect()
    chain.btcd.mine_at(fresh := ago(hours=0))
    chain.lnd.wait_ready()
    chain.until_synced(fresh)


def test_an_lnd_that_was_down_says_the_time_of_the_newest_block_once_it_is_active(
    chain: Chain,
) -> None:
    """Before that it may tell of an older one, up to which its wallet has come."""
    chain.lnd.stop()
    newest = chain.grow()
    chain.lnd.start(wait=False)
    said = set()

    def active() -> bool:
        with suppress(grpc.RpcError):
            said.add(chain.info().best_header_timestamp)
        return chain.lnd.state() == state.SERVER_ACTIVE

    until("lnd is active", active)
    assert said, "it answered before it was active"
    assert max(said) <= newest
    assert chain.info().best_header_timestamp == newest
    chain.until_synced(newest)


def test_an_lnd_that_was_frozen_says_the_time_of_the_block_up_to_which_it_has_come(
    chain: Chain,
) -> None:
    chain.btcd.mine_at(last := ago(hours=5))
    until("the wallet has the block", lambda: chain.info().best_header_timestamp == last)
    chain.lnd.freeze()
    newest = chain.grow()
    answer = chain.asked()
    chain.lnd.thaw()
    info = answer.result()
    assert (info.block_height, info.synced_to_chain) == (chain.btcd.height(), False)
    assert ago(hours=0) - info.best_header_timestamp > 3 * HOUR_SECONDS
    chain.until_synced(newest)


def test_while_its_chain_does_not_answer_lnd_tells_nothing(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "CALL_SECONDS", GET_INFO_SECONDS)
    chain.btcd.freeze()
    assert chain.lnd.state() == state.SERVER_ACTIVE
    with pytest.raises(
        NodeUnavailable, match=r"did not answer .*GetInfo in time: does its bitcoind or btcd answer"
    ):
        chain.connect()
    chain.btcd.thaw()
    until("lnd goes on", lambda: chain.info().synced_to_chain)
