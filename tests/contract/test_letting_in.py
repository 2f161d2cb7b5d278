"""Whom the node lets in, and what it says while it is not ready."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from streamer._proto.lnrpc import lightning_pb2 as ln
from streamer.nodes import permissions
from streamer.nodes.credentials import access
from streamer.nodes.lnd import LndNode
from streamer.ports import Kind
from streamer.words.errors import NodeRejected, NodeUnavailable
from tests.contract.worlds import Stage, World
from tests.nodes.tiny import make_pair

PATIENCE = 30.0


def test_identity(world: World) -> None:
    async def scene(stage: Stage) -> None:
        identity = await stage.node.identity()
        assert identity.pubkey == stage.payer.pubkey
        assert identity.network == "regtest"
        assert identity.version
        assert identity.active_channels > 0
        assert identity.best_header_time_ns > 1_600_000_000 * 10**9

    world.play(scene)


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        ((), "expected 1 macaroon, got 0"),
        (
            (("macaroon", b"garbage!".hex()),),
            "cannot determine data format of binary-encoded macaroon",
        ),
    ],
)
def test_calls_without_a_macaroon_are_unknown(
    world: World, metadata: tuple[tuple[str, str], ...], says: str
) -> None:
    async def scene(stage: Stage) -> None:
        assert await stage.refusal(stage.payer, "GetInfo", ln.GetInfoRequest(), metadata) == (
            "UNKNOWN",
            says,
        )

    world.play(scene)


def test_macaroons_that_do_not_fit(world: World, tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        good = Path(stage.payer.macaroonpath).read_bytes()
        for content, says in (
            (b"garbage!", "cannot determine data format"),
            (
                good[:-3] + bytes([good[-3] ^ 1]) + good[-2:],
                "verification failed: signature mismatch",
            ),
            (
                Path(stage.receiver.macaroonpath).read_bytes(),
                "verification failed: signature mismatch",
            ),
        ):
            (tmp_path / "bad.macaroon").write_bytes(content)
            with pytest.raises(NodeRejected, match=says) as caught:
                await stage.payer.node(str(tmp_path / "bad.macaroon")).open()
            assert "lncli bakemacaroon" in str(caught.value)

    world.play(scene)


def test_the_permissions_that_are_enough(world: World) -> None:
    async def scene(stage: Stage) -> None:
        node = stage.payer.node(stage.switches.bake("payer", *permissions.NEEDED))
        await node.open()
        payment, preimage = stage.keysend()
        assert (await node.send(payment, preimage, PATIENCE)).kind is Kind.SETTLED
        assert (await node.track(payment.payment_hash, PATIENCE)).kind is Kind.SETTLED
        assert len((await node.channels()).channels) > 0
        assert len(await node.payments_after(0, 1)) == 1
        assert await node.accepts_keysend(stage.receiver.pubkey) is True
        await node.close()

    world.play(scene)


@pytest.mark.parametrize("missing", permissions.NEEDED)
def test_one_permission_less_is_found_at_connect(world: World, missing: str) -> None:
    async def scene(stage: Stage) -> None:
        path = stage.switches.bake(
            "payer", *(method for method in permissions.NEEDED if method != missing)
        )
        with pytest.raises(
            NodeRejected,
            match=rf"(does not allow|refuses the macaroon for) {re.escape(missing)}(?![A-Za-z])",
        ):
            await stage.payer.node(path).open()

    world.play(scene)


def test_another_certificate(world: World, tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        (tmp_path / "tls.cert").write_bytes(make_pair().certificate)
        node = LndNode(
            "payer",
            access(stage.payer.rpcserver, str(tmp_path / "tls.cert"), stage.payer.macaroonpath),
        )
        with pytest.raises(NodeRejected, match="shows another certificate"):
            await node.open()

    world.play(scene)


def test_killed_with_a_payment_in_flight_and_started_again(world: World) -> None:
    """The call is lost, the node is away, then starts; it still knows the payment, and never pays
    it twice.
    """

    async def scene(stage: Stage) -> None:
        payment, preimage = stage.keysend()
        stage.switches.freeze("receiver")
        sending = asyncio.create_task(stage.node.send(payment, preimage, PATIENCE))

        async def flying() -> bool:
            return (await stage.node.track(payment.payment_hash, PATIENCE)).kind is Kind.IN_FLIGHT

        await stage.until(flying)
        lost = asyncio.create_task(stage.node.lost())
        stage.switches.kill("payer")
        answer = await sending
        assert (answer.kind, answer.accepted, answer.closed) == (Kind.LOST, True, True)
        assert "was lost" in await lost

        async def gone() -> bool:
            """Within a moment after the kill it may still take a connection, and close it."""
            with pytest.raises(NodeUnavailable) as refused:
                await stage.node.open()
            return "nothing listens" in str(refused.value)

        await stage.until(gone)
        stage.switches.thaw("receiver")
        stage.switches.start("payer")

        async def open_again() -> bool:
            try:
                await stage.node.open()
            except NodeUnavailable:
                return False
            return True

        await stage.until(open_again)
        found = await stage.node.track(payment.payment_hash, PATIENCE)
        assert found.kind in {Kind.IN_FLIGHT, Kind.SETTLED, Kind.FAILED}
        again = await stage.node.send(payment, preimage, PATIENCE)
        assert again.kind in {Kind.DUPLICATE, Kind.SETTLED}
        assert len(await stage.received(payment.payment_hash)) <= 1

    world.play(scene)


def test_a_connection_that_was_lost_is_not_used_again(world: World) -> None:
    async def scene(stage: Stage) -> None:
        lost = asyncio.create_task(stage.node.lost())
        stage.switches.kill("payer")
        await lost
        stage.switches.start("payer")
        other = stage.payer.node()

        async def up() -> bool:
            try:
                await other.open()
            except NodeUnavailable:
                return False
            return True

        await stage.until(up)
        payment, preimage = stage.keysend()
        answer = await stage.node.send(payment, preimage, PATIENCE)
        assert (answer.kind, answer.accepted, answer.closed) == (Kind.LOST, False, True)
        assert (await other.track(payment.payment_hash, PATIENCE)).kind is Kind.NOT_FOUND
        await other.close()

    world.play(scene)
