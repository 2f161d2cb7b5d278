"""The connection for keysends against h2, an HTTP/2 of other people's, which refuses what is not
allowed.
"""

from __future__ import annotations

import asyncio

import grpc
import h2.config
import h2.connection
import h2.events
import h2.settings
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.nodes import frames, wire
from streamer.nodes.wire import Status
from streamer.simulator.clock import run_virtual
from streamer.words import http2
from tests.nodes.peer import METADATA, METHOD, Last, Peer, grpc_message, scene


def test_a_call_is_what_grpc_says_it_is_and_its_headers_are_sent_in_full_once() -> None:
    async def play() -> None:
        peer = Peer()
        await peer.turn()
        first = peer.wire.start(b"one", Last(), 10)
        await peer.turn()
        size = len(peer.pipe.written)
        assert size == 0
        second = peer.wire.start(b"two", Last(), 10)
        await asyncio.sleep(0)
        assert len(peer.pipe.written) < 9 + 16 + 9 + 5 + 3
        await peer.turn()
        assert peer.requests() == {1: grpc_message(b"one"), 3: grpc_message(b"two")}
        wanted = {
            ":method": "POST", ":scheme": "https", ":path": METHOD, ":authority": "lnd:10009",
            "te": "trailers", "content-type": "application/grpc", "macaroon": METADATA[0][1],
        }  # fmt: skip
        for headers in peer.headers().values():
            assert wanted.items() <= headers.items()
        for stream in (3, 1):
            peer.begin(stream)
            peer.answer(stream, b"in flight", b"!%d" % stream)
            peer.trailers(stream, "0")
        await peer.turn()
        assert (await first, await second) == (b"!1", b"!3")

    scene(play)


@given(
    piece=st.integers(1, 60),
    sizes=st.lists(st.one_of(st.integers(0, 40), st.just(20_000)), max_size=4),
    padding=st.one_of(st.none(), st.integers(0, 30)),
)
def test_whatever_the_pieces_the_messages_are_whole(
    piece: int, sizes: list[int], padding: int | None
) -> None:
    async def play() -> None:
        peer, reader = Peer(), Last()
        await peer.turn(piece)
        ended = peer.wire.start(b"pay", reader, 10)
        await peer.turn(piece)
        peer.begin(1)
        messages = [bytes([number]) * size for number, size in enumerate(sizes, 1)]
        peer.answer(1, *messages, b"!end", padding=padding)
        peer.trailers(1, "0")
        await peer.turn(piece)
        assert await ended == b"!end"
        assert reader.seen == [*messages, b"!end"]

    scene(play)


@pytest.mark.parametrize(
    ("status", "text", "code"),
    [
        ("0", "", grpc.StatusCode.OK),
        ("2", "invalid vertex length of 0, want 33", grpc.StatusCode.UNKNOWN),
        ("6", "invoice is already paid", grpc.StatusCode.ALREADY_EXISTS),
        ("14", "d%C3%A9j%C3%A0 vu", grpc.StatusCode.UNAVAILABLE),
        ("99", "of another world", grpc.StatusCode.UNKNOWN),
    ],
)
@pytest.mark.parametrize("only", [True, False])
def test_an_end_without_an_answer_is_its_status(
    status: str, text: str, code: grpc.StatusCode, only: bool
) -> None:
    async def play() -> None:
        peer = Peer()
        await peer.turn()
        ended = peer.wire.start(b"pay", Last(), 10)
        await peer.turn()
        if only:
            head = [
                (":status", "200"),
                ("content-type", "application/grpc"),
                ("grpc-status", status),
                ("grpc-message", text),
            ]
            peer.server.send_headers(1, head, end_stream=True)
        else:
            peer.begin(1)
            peer.answer(1, b"in flight")
            peer.trailers(1, status, text)
        await peer.turn()
        said: Status = await ended
        assert (said.code(), said.details()) == (
            code,
            text.replace("%C3%A9", "é").replace("%C3%A0", "à"),
        )

    scene(play)


def test_what_a_proxy_says_is_doubt() -> None:
    async def play() -> None:
        peer = Peer()
        await peer.turn()
        calls = [peer.wire.start(b"pay", Last(), 10) for _ in range(3)]
        await peer.turn()
        peer.server.send_headers(1, [(":status", "502")], end_stream=True)
        peer.server.send_headers(3, [(":status", "404"), ("content-type", "text/html")])
        peer.server.reset_stream(5, 2)
        await peer.turn()
        said = [await call for call in calls]
        assert {each.code() for each in said} == {grpc.StatusCode.UNAVAILABLE}
        assert [each.details() for each in said] == [
            "Received http2 header with status: 502",
            "Received http2 header with status: 404",
            "RST_STREAM with error code 2",
        ]
        assert peer.resets() == [3]

    scene(play)


def test_no_more_calls_at_once_than_the_peer_allows() -> None:
    async def play() -> None:
        peer = Peer(MAX_CONCURRENT_STREAMS=2)
        await peer.turn()
        calls = [peer.wire.start(b"%d" % number, Last(), 10) for number in range(3)]
        await peer.turn()
        assert set(peer.requests()) == {1, 3}
        peer.begin(1)
        peer.answer(1, b"!done")
        await peer.turn()
        assert calls[0].done() and set(peer.requests()) == {1, 3}  # answered, but not yet ended
        peer.trailers(1, "0")
        await peer.turn()
        assert peer.requests()[5] == grpc_message(b"2")

    scene(play)


def test_requests_wait_for_the_peers_window_in_order() -> None:
    async def play() -> None:
        peer = Peer()
        await peer.turn()
        request = b"x" * 16_000
        calls = [peer.wire.start(request, Last(), 10) for _ in range(6)]
        await peer.turn()
        # 65,535 bytes are what a connection may send at first
        assert list(peer.requests()) == [1, 3, 5, 7]
        peer.server.increment_flow_control_window(40_000)
        await peer.turn()
        assert list(peer.requests()) == [1, 3, 5, 7, 9, 11]
        assert all(body == grpc_message(request) for body in peer.requests().values())
        assert not any(call.done() for call in calls)

    scene(play)


def test_what_is_read_is_given_back_to_the_peers_window() -> None:
    async def play() -> None:
        peer, reader = Peer(), Last()
        await peer.turn()
        ended = peer.wire.start(b"pay", reader, 10)
        await peer.turn()
        peer.begin(1)
        update = b"u" * (1 << 20)
        for _ in range(40):  # 40 MiB over a window of 16
            peer.answer(1, update)
            await peer.turn()
        peer.answer(1, b"!done")
        await peer.turn()
        assert await ended == b"!done" and len(reader.seen) == 41

    scene(play)


def test_a_lost_connection_ends_its_calls_and_sends_nothing_more() -> None:
    async def play() -> None:
        peer = Peer(MAX_CONCURRENT_STREAMS=1)
        await peer.turn()
        calls = [peer.wire.start(b"pay", Last(), 10) for _ in range(2)]
        peer.wire.close("stopped")
        late = peer.wire.start(b"pay", Last(), 10)
        await asyncio.sleep(0)
        assert not peer.pipe.written and peer.pipe.aborted
        for call in (*calls, late):
            said: Status = await call
            assert (said.code(), said.details()) == (grpc.StatusCode.UNAVAILABLE, "stopped")
        peer.wire.connection_lost(None)
        assert peer.reasons == ["stopped"]

    scene(play)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (http2.frame(http2.GOAWAY, 0, 0, bytes(8)), "lnd is closing the connection (GOAWAY)"),
        (
            http2.frame(http2.PUSH_PROMISE, 4, 1, bytes(8)),
            "not HTTP/2 as it should be: a PUSH_PROMISE came, and push is off",
        ),
        (
            http2.frame(http2.SETTINGS, 0, 0, b"torn"),
            "not HTTP/2 as it should be: a SETTINGS frame of the wrong length",
        ),
        (
            http2.frame(http2.DATA, 0, 1, bytes(16_385)),
            "a frame of 16385 bytes came, and 16384 are allowed",
        ),
        (
            http2.frame(http2.CONTINUATION, 4, 1, b""),
            "not HTTP/2 as it should be: a CONTINUATION came out of place, or too many of them",
        ),
        (
            http2.frame(http2.HEADERS, 5, 1, b"\xbe"),
            "not HTTP/2 as it should be: headers that cannot be read",
        ),
        (
            http2.frame(http2.DATA, http2.PADDED, 1, b"\x09pad"),
            "not HTTP/2 as it should be: a frame that is shorter than its padding",
        ),
        (
            http2.settings([(http2.INITIAL_WINDOW_SIZE, 100)]),
            "not HTTP/2 as it should be: its window is smaller than a request",
        ),
    ],
)
def test_what_breaks_the_protocol_breaks_the_connection(said: bytes, why: str) -> None:
    async def play() -> None:
        peer = Peer()
        await peer.turn()
        ended = peer.wire.start(b"pay", Last(), 10)
        await peer.turn()
        peer.say(said)
        assert peer.wire.lost.startswith(why) and peer.reasons == [peer.wire.lost]
        assert (await ended).code() is grpc.StatusCode.UNAVAILABLE

    scene(play)


@given(st.binary(max_size=400))
def test_noise_never_raises(noise: bytes) -> None:
    async def play() -> None:
        peer = Peer()
        await peer.turn()
        ended = peer.wire.start(b"pay", Last(), 10)
        await peer.turn()
        peer.say(noise)
        peer.wire.close()
        assert (await ended) is not None

    scene(play)


def test_headers_in_parts_are_one() -> None:
    async def play() -> None:
        peer = Peer()
        await peer.turn()
        ended = peer.wire.start(b"pay", Last(), 10)
        await peer.turn()
        block = frames.literal(
            [("grpc-status", "5"), ("grpc-message", "payment isn't initiated")], False
        )
        peer.say(http2.frame(http2.HEADERS, http2.END_STREAM, 1, block[:10]))
        peer.say(http2.frame(http2.CONTINUATION, 0, 1, block[10:20]))
        peer.say(http2.frame(http2.CONTINUATION, http2.END_HEADERS, 1, block[20:]))
        said: Status = await ended
        assert (said.code(), said.details()) == (
            grpc.StatusCode.NOT_FOUND,
            "payment isn't initiated",
        )

    scene(play)


def test_a_compressed_or_huge_message_is_doubt_and_its_call_is_reset() -> None:
    async def play() -> None:
        peer = Peer()
        await peer.turn()
        calls = [peer.wire.start(b"pay", Last(), 10) for _ in range(2)]
        await peer.turn()
        for stream, head in ((1, b"\1\0\0\0\3"), (3, b"\0\xff\xff\xff\xff")):
            peer.begin(stream)
            peer.server.send_data(stream, head + b"abc")
        await peer.turn()
        assert [(await call).code() for call in calls] == [grpc.StatusCode.INTERNAL] * 2
        assert peer.resets() == [1, 3]

    scene(play)


def test_a_peer_without_a_table_gets_all_headers_each_time() -> None:
    async def play() -> None:
        peer = Peer(HEADER_TABLE_SIZE=0)
        await peer.turn()
        for number in range(2):
            peer.wire.start(b"%d" % number, Last(), 10)
            await peer.turn()
        assert [headers["macaroon"] for headers in peer.headers().values()] == [METADATA[0][1]] * 2

    scene(play)


def test_a_request_too_large_for_a_keysend_is_not_sent() -> None:
    async def play() -> None:
        peer = Peer()
        await peer.turn()
        said: Status = await peer.wire.start(bytes(wire.MAX_REQUEST_BYTES + 1), Last(), 10)
        assert (said.code(), said.details()) == (grpc.StatusCode.INVALID_ARGUMENT, wire.NOT_SENT)
        await peer.turn()
        assert not peer.requests()

    scene(play)


def test_a_ping_is_answered() -> None:
    async def play() -> None:
        peer = Peer()
        await peer.turn()
        peer.server.ping(b"12345678")
        await peer.turn()
        assert any(
            isinstance(event, h2.events.PingAckReceived) and event.ping_data == b"12345678"
            for event in peer.events
        )

    scene(play)


def test_a_call_past_its_deadline_is_reset_and_in_doubt() -> None:
    async def play() -> None:
        peer = Peer(MAX_CONCURRENT_STREAMS=2)
        await peer.turn()
        loop = asyncio.get_running_loop()
        long, short, queued = (peer.wire.start(b"pay", Last(), patience) for patience in (9, 3, 5))
        await peer.turn()
        began = loop.time()
        assert (await short).code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert loop.time() - began == 3
        await peer.turn()
        assert peer.resets() == [3] and set(peer.requests()) == {1, 3, 5}
        assert (await queued).code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert loop.time() - began == 5 and not long.done()
        peer.begin(1)
        peer.answer(1, b"!in time")
        await peer.turn()
        assert await long == b"!in time"
        await asyncio.sleep(20)
        await peer.turn()
        assert peer.resets() == [3, 5, 1]  # answered, but never ended by the peer

    run_virtual(lambda _: play())


def test_a_silent_connection_is_asked_and_then_lost() -> None:
    async def play() -> None:
        peer = Peer()
        await peer.turn()
        began = asyncio.get_running_loop().time()
        await asyncio.sleep(300)
        assert not peer.wire.lost  # no call waits on it
        began = asyncio.get_running_loop().time()
        ended = peer.wire.start(b"pay", Last(), 600)
        await peer.turn()
        for _ in range(4):
            await asyncio.sleep(30)
            await peer.turn()  # h2 answers the ping
            assert not ended.done()
        asked = sum(isinstance(event, h2.events.PingReceived) for event in peer.events)
        assert asked == 4
        assert (await ended).details() == "keepalive: lnd has not answered a ping"
        assert 150 <= asyncio.get_running_loop().time() - began <= 170

    run_virtual(lambda _: play())
