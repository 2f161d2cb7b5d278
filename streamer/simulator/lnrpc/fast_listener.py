"""The fast mode's listener: the same calls as server.py answers, without grpc's machinery around
each.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Coroutine
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from streamer._proto.lnrpc import stateservice_pb2 as state
from streamer._proto.routerrpc import router_pb2 as router
from streamer.simulator.lnrpc.credentials import Credentials
from streamer.simulator.lnrpc.http2 import Call, Connection
from streamer.simulator.lnrpc.macaroon import Guard
from streamer.simulator.lnrpc.methods import streaming_methods, unary_methods
from streamer.simulator.lnrpc.orders import order_of
from streamer.simulator.lnrpc.payment_messages import payment_message
from streamer.simulator.lnrpc.state_service import StateService
from streamer.simulator.network.books import PaymentRecord, Refused, Status
from streamer.simulator.network.drive import Simulation
from streamer.simulator.network.lightning_node import LightningNode
from streamer.words.money import SECOND_NS

SEND = "/routerrpc.Router/SendPaymentV2"
OPEN_SERVICE = "/lnrpc.State/"
"""What needs neither a macaroon nor an open wallet."""

BACKLOG = 100
CODES: dict[str, int] = {code.name: code.value[0] for code in grpc.StatusCode}


class PushedPayment:
    """The model's call behind one SendPaymentV2: each update goes out as it happens."""

    __slots__ = ("_call", "_quiet", "record")

    def __init__(self, call: Call, *, quiet: bool) -> None:
        self.record: PaymentRecord | None = None
        self._call, self._quiet = call, quiet

    def update(self, payment: PaymentRecord) -> None:
        """Send the payment as it is now."""
        self.record = payment
        ended = payment.status is not Status.IN_FLIGHT
        if ended or not self._quiet:
            self._call.message(payment_message(payment).SerializeToString())
        if ended:
            self._call.end()

    def refuse(self, refusal: Refused) -> None:
        """End with a status."""
        self._call.end(CODES[refusal.code], refusal.text)

    def cut(self) -> None:
        """End as a broken connection does at the client."""
        self._call.end(CODES["UNAVAILABLE"], "transport is closing")

    def leave(self) -> None:
        """The client is gone: the payment goes on without it."""
        if self.record is not None and self in self.record.calls:
            self.record.calls.remove(self)


class FastListener:
    """Listens for one node: start, then stop."""

    def __init__(
        self, simulation: Simulation, node: LightningNode, credentials: Credentials
    ) -> None:
        self._simulation, self._node = simulation, node
        self._guard = Guard(credentials.root_key)
        self._connections: set[Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._credentials = credentials
        states = StateService(node)
        self._unary = {
            **unary_methods(simulation, node, credentials.root_key),
            f"{OPEN_SERVICE}GetState": (states.get_state, state.GetStateRequest),
        }
        self._streams = {
            **streaming_methods(simulation, node),
            f"{OPEN_SERVICE}SubscribeState": (states.subscribe_state, state.SubscribeStateRequest),
        }

    async def start(self, host: str, port: int) -> int:
        """Listen, and give the port; raises OSError when it is taken."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(
            self._credentials.tlscertpath, self._credentials.tlscertpath.with_name("tls.key")
        )
        context.set_alpn_protocols(["h2"])
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(self._begin, self._connections),
            host,
            port,
            ssl=context,
            backlog=BACKLOG,
            reuse_port=False,
        )
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def stop(self, grace: float | None = None) -> None:
        """Cut all clients and free the port."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            if connection.transport is not None:
                connection.transport.abort()
        for task in list(self._tasks):
            task.cancel()

    def _begin(self, call: Call, body: bytes) -> None:
        try:
            if call.path == SEND:
                self._send(call, router.SendPaymentRequest.FromString(body))
            elif call.path in self._unary:
                answer, kind = self._unary[call.path]
                self._answer(call, answer, kind.FromString(body))
            elif call.path in self._streams:
                stream, kind = self._streams[call.path]
                self._spawn(call, self._follow(call, stream, kind.FromString(body)))
            else:
                _, service, name = (call.path + "//").split("/")[:3]
                call.end(CODES["UNIMPLEMENTED"], f"unknown method {name} for service {service}")
        except DecodeError:
            call.end(CODES["INTERNAL"], "the request cannot be read")
        except Refused as refusal:
            call.end(CODES[refusal.code], refusal.text)

    def _send(self, call: Call, request: router.SendPaymentRequest) -> None:
        self._admit(call)
        network = self._simulation.network
        order = order_of(request, network.chain, network.now_ns // SECOND_NS)
        pushed = PushedPayment(call, quiet=request.no_inflight_updates)
        call.on_cancel = pushed.leave
        network.submit(self._node, order, pushed)
        # an instant node has its answer by now
        self._simulation.sync()

    def _answer(self, call: Call, answer: Any, request: Any) -> None:
        if self._node.frozen:
            self._spawn(call, self._answer_thawed(call, answer, request))
            return
        self._admit(call)
        call.message(answer(request).SerializeToString())
        call.end()

    async def _answer_thawed(self, call: Call, answer: Any, request: Any) -> None:
        await self._thawed()
        try:
            self._answer(call, answer, request)
        except Refused as refusal:
            call.end(CODES[refusal.code], refusal.text)

    async def _follow(self, call: Call, stream: Any, request: Any) -> None:
        await self._thawed()
        try:
            self._admit(call)
            async for message in stream(request):
                call.message(message.SerializeToString())
            call.end()
        except Refused as refusal:
            call.end(CODES[refusal.code], refusal.text)

    def _spawn(self, call: Call, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        call.on_cancel = task.cancel

    def _admit(self, call: Call) -> None:
        if call.path.startswith(OPEN_SERVICE):
            return
        self._simulation.sync()
        self._node.gate()
        self._guard.check(call.macaroons, call.path, self._simulation.network.now_ns, call.peer)

    async def _thawed(self) -> None:
        while self._node.frozen:
            thawed = asyncio.Event()
            self._node.on_thaw.append(thawed.set)
            try:
                await thawed.wait()
            finally:
                self._node.on_thaw.remove(thawed.set)
