"""Plays calls at the nodes of a network and writes down what they answer."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from streamer._proto.invoicesrpc import invoices_pb2 as inv
from streamer._proto.lnrpc import lightning_pb2 as ln
from streamer._proto.lnrpc import stateservice_pb2 as state
from streamer._proto.routerrpc import router_pb2 as router
from streamer._proto.verrpc import verrpc_pb2 as ver
from streamer.simulator.network.books import KEYSEND_RECORD

CALL_SECONDS = 30
SETTLE_SECONDS = 60
PAUSE_SECONDS = 0.05
RECORD = 70_001
SERVICES = [
    service
    for file in (ln, router, inv, state, ver)
    for service in file.DESCRIPTOR.services_by_name.values()
]
METHODS = {method.name: method for service in SERVICES for method in service.methods}


@dataclass(frozen=True)
class Place:
    """How to reach a node; channels: what the script calls each channel → (id, funding output)."""

    rpcserver: str
    certificate: bytes
    macaroon: str
    pubkey: bytes


@dataclass
class Answer:
    """What one call gave: its messages, or how it was refused."""

    node: str
    method: str
    request: Message
    note: str = ""
    messages: list[Message] = field(default_factory=list)
    code: str = "OK"
    text: str = ""


def preimage(name: str) -> bytes:
    """The same in every play."""
    return hashlib.sha256(f"script/{name}".encode()).digest()


def hash_of(name: str) -> bytes:
    return hashlib.sha256(preimage(name)).digest()


class Player:
    """The answers in the order of their calls' ends; a call with an open end is given up by its
    task.
    """

    def __init__(self, places: dict[str, Place]) -> None:
        self.places = places
        self.answers: list[Answer] = []
        self.heights: list[int] = []
        self._channels = {
            name: grpc.aio.secure_channel(
                place.rpcserver,
                grpc.ssl_channel_credentials(place.certificate),
                [("grpc.use_local_subchannel_pool", 1)],
            )
            for name, place in places.items()
        }

    def pubkey(self, name: str) -> bytes:
        return self.places[name].pubkey

    async def ask(
        self,
        node: str,
        method: str,
        request: Message,
        *,
        macaroon: str | None = None,
        note: str = "",
    ) -> Any:
        """One call to its end, written down; its last message, or None."""
        answer = await self._follow(node, method, request, macaroon, note)
        self.answers.append(answer)
        return answer.messages[-1] if answer.messages else None

    async def quietly(self, node: str, method: str, request: Message) -> Any:
        """One call that must succeed and is not written down."""
        answer = await self._follow(node, method, request, None, "")
        assert answer.code == "OK", (method, answer.text)
        return answer.messages[-1]

    def begin(
        self, node: str, method: str, request: Message, note: str = ""
    ) -> asyncio.Task[Answer]:
        """A call that goes on; `end` writes it down."""
        return asyncio.create_task(self._follow(node, method, request, None, note))

    async def end(self, task: asyncio.Task[Answer]) -> Any:
        answer = await task
        self.answers.append(answer)
        return answer.messages[-1] if answer.messages else None

    async def listen(
        self, node: str, method: str, request: Message, note: str, count: int
    ) -> asyncio.Task[Answer]:
        """A subscription, given up after count messages; it is open when this returns."""
        opened = asyncio.Event()
        task = asyncio.create_task(self._listen(node, method, request, note, count, opened))
        await opened.wait()
        # nothing says when a node has begun to listen: its own answer to a later call is the
        # nearest
        await self.quietly(node, "GetInfo", ln.GetInfoRequest())
        return task

    def keysend(
        self, name: str, to: str, amount_msat: int = 5_000, **changes: Any
    ) -> router.SendPaymentRequest:
        """A keysend whose preimage follows from name; changes replace fields."""
        fields: dict[str, Any] = {
            "dest": self.pubkey(to),
            "payment_hash": hash_of(name),
            "amt_msat": amount_msat,
            "fee_limit_msat": 5_000,
            "timeout_seconds": 10,
            "max_parts": 1,
            "dest_custom_records": {KEYSEND_RECORD: preimage(name), RECORD: b"hello"},
        }
        return router.SendPaymentRequest(
            **{key: value for key, value in (fields | changes).items() if value is not None}
        )

    def pay(self, invoice: str, **changes: Any) -> router.SendPaymentRequest:
        fields = {"fee_limit_msat": 5_000, "timeout_seconds": 10, "max_parts": 1}
        return router.SendPaymentRequest(payment_request=invoice, **(fields | changes))

    async def settled(self) -> None:
        """Until no channel holds an HTLC, as both its ends see it."""
        async with asyncio.timeout(SETTLE_SECONDS):
            for node in self.places:
                while await self._has_htlcs(node):
                    await asyncio.sleep(PAUSE_SECONDS)

    async def _has_htlcs(self, node: str) -> bool:
        reply = await self.quietly(node, "ListChannels", ln.ListChannelsRequest())
        return any(channel.pending_htlcs for channel in reply.channels)

    async def accepted(self, node: str, name: str) -> None:
        """Until a held invoice has its money."""
        async with asyncio.timeout(SETTLE_SECONDS):
            request = ln.PaymentHash(r_hash=hash_of(name))
            while (await self.quietly(node, "LookupInvoice", request)).state != ln.Invoice.ACCEPTED:
                await asyncio.sleep(PAUSE_SECONDS)

    async def close(self) -> None:
        for channel in self._channels.values():
            await channel.close()

    def _call(self, node: str, method: str, request: Message, macaroon: str | None) -> Any:
        found = METHODS[method]
        make = (
            self._channels[node].unary_stream
            if found.server_streaming
            else self._channels[node].unary_unary
        )
        stub: Callable[..., Any] = make(
            f"/{found.containing_service.full_name}/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=GetMessageClass(found.output_type).FromString,
        )
        sent = self.places[node].macaroon if macaroon is None else macaroon
        return stub(request, metadata=(("macaroon", sent),) if sent else (), timeout=CALL_SECONDS)

    async def _follow(
        self, node: str, method: str, request: Message, macaroon: str | None, note: str
    ) -> Answer:
        answer = Answer(node, method, request, note)
        call = self._call(node, method, request, macaroon)
        try:
            if METHODS[method].server_streaming:
                answer.messages = [message async for message in call]
            else:
                answer.messages = [await call]
        except grpc.aio.AioRpcError as error:
            answer.code, answer.text = error.code().name, error.details() or ""
        return answer

    async def _listen(
        self, node: str, method: str, request: Message, note: str, count: int, opened: asyncio.Event
    ) -> Answer:
        answer = Answer(node, method, request, note)
        call = self._call(node, method, request, None)
        opened.set()
        while len(answer.messages) < count:
            answer.messages.append(await call.read())
        call.cancel()
        return answer


def place(
    rpcserver: str, tlscertpath: str | Path, macaroonpath: str | Path, pubkey: bytes
) -> Place:
    return Place(
        rpcserver, Path(tlscertpath).read_bytes(), Path(macaroonpath).read_bytes().hex(), pubkey
    )
