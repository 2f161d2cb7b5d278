"""Macaroons: the chain of libmacaroons, and lnd's refusals over the wire."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamer._proto.lnrpc import lightning_pb2 as ln
from streamer._proto.lnrpc import stateservice_pb2 as state
from streamer.simulator.lnrpc.macaroon import Grant, Guard, _sign, allows, bake, read, restrict
from streamer.simulator.lnrpc.permissions import ADMIN, REQUIRED
from streamer.simulator.network.books import Refused
from tests.simulator.wire import Net, ends, play

INFO = "/lnrpc.Lightning/GetInfo"


def test_the_signature_chain_is_that_of_libmacaroons() -> None:
    # the example of libmacaroons' README
    key, identifier = (
        b"this is our super secret key; only we should know it",
        b"we used our secret key",
    )
    assert (
        _sign(key, identifier, ()).hex()
        == "e3d9e02908526c4c0039ae15114115d97fdd68bf2ba379b342aaf0f617d0552f"
    )
    assert (
        _sign(key, identifier, (b"test = caveat",)).hex()
        == "197bac7a044af33332865b9266e26d493bdd668a660e44d88ce1a998c23dbd67"
    )


def test_what_was_baked_is_read_back() -> None:
    permissions = (("uri", INFO), ("offchain", "read"), ("offchain", "write"))
    assert read(b"k" * 32, bake(b"k" * 32, permissions)) == Grant(frozenset(permissions))
    assert all(allows(frozenset(ADMIN), method) for method in REQUIRED)
    assert not allows(frozenset(permissions), "/lnrpc.Lightning/AddInvoice")


@pytest.mark.parametrize(
    "damage",
    [b"", b"\x01abc", b"\x02", b"\x02\x02\xff", bake(b"k", ADMIN)[:-5], bake(b"k", ADMIN) + b"x"],
)
def test_garbage_has_no_format(damage: bytes) -> None:
    with pytest.raises(Refused, match="cannot determine data format of binary-encoded macaroon"):
        read(b"k", damage)


def test_a_changed_permission_breaks_the_signature() -> None:
    baked = bake(b"k", (("info", "read"),))
    with pytest.raises(
        Refused, match="verification failed: signature mismatch after caveat verification"
    ):
        read(b"k", baked.replace(b"info", b"infx"))


def test_a_caveat_restricts_in_time_and_an_unknown_one_refuses() -> None:
    key = b"k" * 32
    baked = bake(key, ADMIN)
    timed = restrict(baked, "time-before 2027-01-15T08:00:00.123456789Z")
    assert read(key, timed) == Grant(frozenset(ADMIN), 1_800_000_000 * 10**9)
    guard = Guard(key)
    guard.check([timed.hex()], INFO, 1_800_000_000 * 10**9)
    for _ in range(2):
        with pytest.raises(Refused, match="macaroon has expired"):
            guard.check([timed.hex()], INFO, 1_800_000_001 * 10**9)
    with pytest.raises(Refused, match="caveat not recognized"):
        read(key, restrict(timed, "lnd-custom x"))
    with pytest.raises(Refused, match="signature mismatch"):
        read(key, timed.replace(b"2027", b"2037"))


def test_refusals_over_the_wire() -> None:
    async def scene(net: Net) -> None:
        async def info(macaroon: str | None) -> object:
            wire = net.wire("alice", macaroon)
            try:
                return await wire.ask("GetInfo", ln.GetInfoRequest())
            finally:
                await wire.channel.close()

        assert await info(None) == ("UNKNOWN", "expected 1 macaroon, got 0")
        assert await info("abcd") == (
            "UNKNOWN",
            "cannot determine data format of binary-encoded macaroon",
        )
        foreign = Path(net.served.nodes[1].macaroonpath).read_bytes().hex()
        assert await info(foreign) == (
            "UNKNOWN",
            "verification failed: signature mismatch after caveat verification",
        )
        weak = net.served.credentials["alice"].bake("weak", (("uri", INFO),)).read_bytes().hex()
        wire = net.wire("alice", weak)
        assert (await wire.ask("GetInfo", ln.GetInfoRequest())).alias == "alice"
        assert await wire.ask("ListChannels", ln.ListChannelsRequest()) == (
            "UNKNOWN",
            "permission denied",
        )
        assert await wire.keysend(net.receiver.pubkey, 1) == ("UNKNOWN", "permission denied")
        assert (await wire.state.GetState(state.GetStateRequest())).state == state.SERVER_ACTIVE
        await wire.channel.close()
        assert ends(await net.payer.keysend(net.receiver.pubkey, 1)) == "SUCCEEDED"

    play(scene)


def test_secret_files_are_for_their_owner_only() -> None:
    async def scene(net: Net) -> None:
        for name in ("tls.key", "admin.macaroon"):
            assert (net.folder / "alice" / name).stat().st_mode & 0o077 == 0

    play(scene)


def test_a_caveat_of_address_holds_elsewhere() -> None:
    key = b"k" * 32
    locked = restrict(bake(key, ADMIN), "ipaddr 10.0.0.7").hex()
    guard = Guard(key)
    guard.check([locked], INFO, 0, "10.0.0.7")
    for peer in ("127.0.0.1", ""):
        with pytest.raises(Refused, match="macaroon locked to different IP address"):
            guard.check([locked], INFO, 0, peer)
