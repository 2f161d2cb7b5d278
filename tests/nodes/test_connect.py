"""Every way in which a node can be the wrong one, or away, and the sentence that says so."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from streamer._proto.lnrpc import lightning_pb2 as ln
from streamer._proto.lnrpc import stateservice_pb2 as state
from streamer.nodes import checks, faults, permissions
from streamer.nodes import connection as connection_module
from streamer.nodes import lnd as lnd_module
from streamer.nodes.connection import Connection
from streamer.nodes.credentials import access
from streamer.nodes.lnd import LndNode
from streamer.nodes.wire import Status
from streamer.ports import Kind
from streamer.words.errors import NodeRejected, NodeUnavailable, StreamerError
from streamer.words.model import PUBKEY_BYTES
from tests.nodes.tiny import MACAROON, PREIMAGE, PUBKEY, Pair, TinyLnd, intent, make_pair

Play = Callable[..., None]
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Code = grpc.StatusCode
PAIR = make_pair()


def node_at(port: int, folder: Path, pair: Pair = PAIR) -> LndNode:
    (folder / "tls.cert").write_bytes(pair.certificate)
    (folder / "a.macaroon").write_bytes(MACAROON)
    return LndNode(
        "main", access(f"127.0.0.1:{port}", str(folder / "tls.cert"), str(folder / "a.macaroon"))
    )


@contextlib.asynccontextmanager
async def listening(talk: Talk, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    async def closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(closing, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def tls_context(folder: Path, pair: Pair) -> ssl.SSLContext:
    (folder / "server.pem").write_bytes(pair.key + pair.certificate)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "server.pem")
    return context


async def speak_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(100)
    writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    await writer.drain()


async def hang_up(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read(1)


async def say_nothing(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    while await reader.read(1000):
        pass


def test_nothing_listens(tmp_path: Path) -> None:
    async def scene() -> None:
        async with listening(hang_up) as port:
            pass
        with pytest.raises(
            NodeUnavailable, match=f"nothing listens at 127.0.0.1:{port}: is lnd running"
        ):
            await node_at(port, tmp_path).open()

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("talk", "says"),
    [
        (speak_http, "does not speak gRPC over TLS: is the port right"),
        (hang_up, "closed the connection"),
        (say_nothing, "does not answer"),
    ],
)
def test_a_port_that_is_something_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, talk: Talk, says: str
) -> None:
    monkeypatch.setattr(checks, "CONNECT_SECONDS", 1.0)

    async def scene() -> None:
        async with listening(talk) as port:
            with pytest.raises(NodeUnavailable, match=says):
                await node_at(port, tmp_path).open()

    asyncio.run(scene())


def test_the_rest_port(tmp_path: Path) -> None:
    async def scene() -> None:
        async with listening(speak_http, tls_context(tmp_path, PAIR)) as port:
            with pytest.raises(
                NodeUnavailable,
                match=r"does not speak gRPC over TLS: is the port right.* 8080 is REST",
            ):
                await node_at(port, tmp_path).open()

    asyncio.run(scene())


def test_another_grpc_server(tmp_path: Path) -> None:
    async def scene() -> None:
        server = grpc.aio.server()
        port = server.add_secure_port(
            "127.0.0.1:0", grpc.ssl_server_credentials([(PAIR.key, PAIR.certificate)])
        )
        await server.start()
        with pytest.raises(NodeUnavailable, match="speaks gRPC, but is no lnd"):
            await node_at(port, tmp_path).open()
        await server.stop(None)

    asyncio.run(scene())


def test_a_host_that_does_not_exist(tmp_path: Path) -> None:
    (tmp_path / "tls.cert").write_bytes(PAIR.certificate)
    (tmp_path / "a.macaroon").write_bytes(MACAROON)
    node = LndNode(
        "main", access("nowhere.invalid", str(tmp_path / "tls.cert"), str(tmp_path / "a.macaroon"))
    )
    with pytest.raises(NodeUnavailable, match=r"the host of nowhere.invalid:10009 is not known"):
        asyncio.run(node.open())


@pytest.mark.parametrize(
    ("served", "known", "says"),
    [
        (make_pair(), PAIR, "shows another certificate than the one configured"),
        (make_pair(days=-1), None, "has expired"),
        (make_pair(name="elsewhere.example"), None, "is for other names"),
    ],
    ids=["another", "expired", "other names"],
)
def test_wrong_certificates(tmp_path: Path, served: Pair, known: Pair | None, says: str) -> None:
    async def scene() -> None:
        lnd = TinyLnd(pair=served)
        await lnd.start()
        try:
            with pytest.raises(NodeRejected, match=says) as caught:
                await node_at(lnd.port, tmp_path, known or served).open()
            assert caught.value.reason == "CREDENTIALS"
        finally:
            await lnd.stop()

    asyncio.run(scene())


def refused(tmp_path: Path, lnd: TinyLnd) -> StreamerError:
    async def scene() -> StreamerError:
        await lnd.start()
        node = LndNode("main", lnd.access(tmp_path))
        try:
            with pytest.raises((NodeUnavailable, NodeRejected)) as caught:
                await node.open()
            assert (await node.send(intent(), PREIMAGE, 1)).message == "not connected to lnd"
            assert lnd.sent == []
            return caught.value
        finally:
            await node.close()
            await lnd.stop()

    return asyncio.run(scene())


@pytest.mark.parametrize(
    ("wallet", "says"),
    [
        (state.NON_EXISTING, "lncli create"),
        (state.LOCKED, "lncli unlock"),
        (state.UNLOCKED, "still starting"),
        (state.RPC_ACTIVE, "not yet synced"),
        (state.WAITING_TO_START, "leader"),
        (9, "unknown state 9"),
    ],
)
def test_a_wallet_that_is_not_active(tmp_path: Path, wallet: state.WalletState, says: str) -> None:
    error = refused(tmp_path, TinyLnd(wallet=wallet))
    assert isinstance(error, NodeUnavailable)
    assert says in str(error)


@pytest.mark.parametrize(
    ("fault", "kind", "says"),
    [
        ((Code.UNKNOWN, "expected 1 macaroon, got 0"), NodeRejected, "got 0.*lncli bakemacaroon"),
        (
            (Code.UNKNOWN, "cannot determine data format of binary-encoded macaroon"),
            NodeRejected,
            "refuses the macaroon",
        ),
        (
            (Code.UNKNOWN, "verification failed: signature mismatch after caveat verification"),
            NodeRejected,
            "signature mismatch",
        ),
        ((Code.PERMISSION_DENIED, "permission denied"), NodeRejected, "refuses the macaroon"),
        (
            (Code.UNKNOWN, "the RPC server is in the process of starting up, but not yet ready"),
            NodeUnavailable,
            "is not ready",
        ),
        (
            (
                Code.UNKNOWN,
                "cannot retrieve macaroon: cannot get macaroon: macaroon store is locked",
            ),
            NodeUnavailable,
            "is not ready",
        ),
        ((Code.UNAVAILABLE, "stopping"), NodeUnavailable, "cannot be reached: stopping"),
        (
            (Code.DEADLINE_EXCEEDED, "late"),
            NodeUnavailable,
            "did not answer .*GetInfo in time: does its bitcoind or btcd answer",
        ),
        ((Code.INTERNAL, "oh"), NodeUnavailable, "answered .*GetInfo with INTERNAL: oh"),
    ],
)
def test_getinfo_is_refused(
    tmp_path: Path, fault: tuple[grpc.StatusCode, str], kind: type[Exception], says: str
) -> None:
    error = refused(tmp_path, TinyLnd(faults={"GetInfo": fault}))
    assert type(error) is kind
    with pytest.raises(kind, match=says):
        raise error


@pytest.mark.parametrize("method", permissions.NEEDED)
def test_what_lnd_answers_only_after_its_chain_says_so_when_it_hangs(method: str) -> None:
    hung = Status(Code.DEADLINE_EXCEEDED, "late")
    says = str(faults.explain(hung, method, "here"))
    assert ("does its bitcoind" in says) == (
        method in (permissions.GET_INFO, permissions.PENDING_CHANNELS)
    )


@pytest.mark.parametrize(
    "method", [name for name in permissions.NEEDED if name != permissions.GET_INFO]
)
def test_a_macaroon_that_is_too_weak_is_found_at_connect(tmp_path: Path, method: str) -> None:
    error = refused(
        tmp_path, TinyLnd(faults={method.rpartition("/")[2]: (Code.UNKNOWN, "permission denied")})
    )
    assert isinstance(error, NodeRejected)
    assert f"does not allow {method}. One that is enough: lncli bakemacaroon" in str(error)


def test_all_missing_permissions_are_named_at_once(tmp_path: Path) -> None:
    weak = {
        "SendPaymentV2": (Code.UNKNOWN, "permission denied"),
        "ListPayments": (Code.UNKNOWN, "permission denied"),
    }
    error = refused(tmp_path, TinyLnd(faults=dict(weak)))
    assert f"does not allow {permissions.SEND}, {permissions.LIST_PAYMENTS}." in str(error)


def test_a_sound_node_is_opened_with_the_macaroon_on_each_call(play: Play) -> None:
    async def scene(lnd: TinyLnd, node: LndNode) -> None:
        identity = await node.identity()
        assert (identity.pubkey, identity.alias, identity.network) == (PUBKEY, "tiny", "regtest")
        assert (identity.best_header_time_ns, identity.synced_to_chain) == (7_000_000_000, False)
        assert set(lnd.macaroons) == {MACAROON.hex()}
        assert lnd.sent == []

    play(scene)


def test_a_lost_connection_is_noticed_and_never_used_again(play: Play, tmp_path: Path) -> None:
    async def scene(lnd: TinyLnd, node: LndNode) -> None:
        lnd.payment = [ln.Payment(status=ln.Payment.SUCCEEDED)]
        waiting = asyncio.create_task(node.lost())
        await lnd.stop()
        assert "was lost" in await waiting
        await lnd.start()
        answer = await node.send(intent(), PREIMAGE, 5)
        assert (answer.kind, answer.accepted, answer.closed) == (Kind.LOST, False, True)
        assert (await node.track(b"h" * 32, 5)).kind is Kind.LOST
        with pytest.raises(NodeUnavailable):
            await node.channels()
        assert lnd.sent == []
        await node.open()
        assert (await node.send(intent(), PREIMAGE, 5)).kind is Kind.SETTLED

    play(scene)


@pytest.mark.parametrize("question", [LndNode.open, LndNode.channels])
def test_a_connection_that_is_lost_between_two_questions(
    play: Play, monkeypatch: pytest.MonkeyPatch, question: Callable[[LndNode], Awaitable[object]]
) -> None:
    async def ask_once(connection: Connection, *words: Any) -> Any:
        reply = await checks.ask(connection, *words)
        await connection.close("the connection was lost")
        return reply

    async def scene(_: TinyLnd, node: LndNode) -> None:
        monkeypatch.setattr(lnd_module, "ask", ask_once)
        with pytest.raises(NodeUnavailable, match="was closed"):
            await question(node)

    play(scene)


def test_waiting_for_the_loss_may_be_cancelled(play: Play) -> None:
    async def scene(_: TinyLnd, node: LndNode) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(node.lost(), 0.01)
        assert (await node.track(b"h" * 32, 5)).kind is Kind.NOT_FOUND
        again = asyncio.create_task(node.lost())
        await asyncio.sleep(0)
        await node.close()
        assert await again == "closed"

    play(scene)


def test_credentials_are_read_anew_at_each_open(play: Play, tmp_path: Path) -> None:
    async def scene(lnd: TinyLnd, node: LndNode) -> None:
        (tmp_path / "a.macaroon").write_bytes(b"\x02other")
        await node.open()
        assert lnd.macaroons[-1] == b"\x02other".hex()
        (tmp_path / "tls.cert").unlink()
        with pytest.raises(NodeRejected, match=r"no TLS certificate .* at .*tls.cert"):
            await node.open()

    play(scene)


def test_a_comment_in_the_certificate_need_not_be_ascii(play: Play, tmp_path: Path) -> None:
    async def scene(lnd: TinyLnd, node: LndNode) -> None:
        (tmp_path / "tls.cert").write_bytes(
            "# nœud de Zoé\n".encode() + lnd.pair.certificate + "# fin, naïve\n".encode("latin-1")
        )
        await node.open()
        assert (await node.track(b"h" * 32, 5)).kind is Kind.NOT_FOUND

    play(scene)


def test_a_certificate_that_cannot_be_used_at_all_is_named(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(lnd: TinyLnd, node: LndNode) -> None:
        def fail(_: bytes) -> None:
            raise ValueError("what nobody thought of")

        monkeypatch.setattr(connection_module, "_trust", fail)
        with pytest.raises(
            NodeRejected,
            match=r"cannot be used: copy lnd's tls.cert again \(what nobody thought of\)",
        ) as caught:
            await node.open()
        assert caught.value.reason == "CREDENTIALS"

    play(scene)


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        ({}, None),
        ({9: ln.Feature()}, False),
        ({9: ln.Feature(), 55: ln.Feature(name="keysend")}, True),
    ],
)
def test_what_the_graph_says_of_keysend(
    play: Play, features: dict[int, ln.Feature], expected: bool | None
) -> None:
    async def scene(lnd: TinyLnd, node: LndNode) -> None:
        lnd.features = features
        assert await node.accepts_keysend(b"\x02" * PUBKEY_BYTES) is expected

    play(scene)


def test_a_node_outside_the_graph(play: Play) -> None:
    async def scene(lnd: TinyLnd, node: LndNode) -> None:
        lnd.faults["GetNodeInfo"] = (Code.NOT_FOUND, "unable to find node")
        assert await node.accepts_keysend(b"\x02" * PUBKEY_BYTES) is None

    play(scene)
