"""One simulated node on the network: lnd's gRPC over TLS with macaroons.

While the node is down its port refuses connections; when its clients are cut the server goes away
and comes back; while it is frozen every call waits. Methods that lnd has and nobody here calls are
UNIMPLEMENTED.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any, NoReturn
from urllib.parse import unquote

import grpc

from streamer._proto.lnrpc import stateservice_pb2 as state
from streamer.simulator.lnrpc.credentials import Credentials
from streamer.simulator.lnrpc.fast_listener import FastListener
from streamer.simulator.lnrpc.macaroon import Guard
from streamer.simulator.lnrpc.methods import Message, streaming_methods, unary_methods
from streamer.simulator.lnrpc.state_service import StateService
from streamer.simulator.network.books import Refused
from streamer.simulator.network.drive import Simulation
from streamer.simulator.network.lightning_node import LightningNode

SERVER_OPTIONS = (
    ("grpc.so_reuseport", 0),
    ("grpc.max_send_message_length", 200 * 1024 * 1024),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 0),
)
"""One server per port; large lists pass; pings closer than 5 s are too many, as at lnd."""

BIND_TRIES = 50
BIND_PAUSE_SECONDS = 0.1
"""How often and how far apart a returning node asks for its port again."""

Context = grpc.aio.ServicerContext[Any, Any]


class Unavailable(RuntimeError):
    """The address cannot be listened on."""


class NodeServer:
    """Serves one node at host:port (0: any free one, then kept); start, then stop."""

    def __init__(
        self,
        simulation: Simulation,
        node: LightningNode,
        credentials: Credentials,
        host: str,
        port: int = 0,
        *,
        fast: bool = False,
    ) -> None:
        self.node = node
        self.credentials = credentials
        self.port = port
        self._host = host
        self._simulation = simulation
        self._guard = Guard(credentials.root_key)
        self._server: grpc.aio.Server | FastListener | None = None
        self._fast = fast
        self._cut = False
        self._changed = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None

    @property
    def rpcserver(self) -> str:
        """host:port."""
        return f"{self._host}:{self.port}"

    async def start(self) -> None:
        """Listen; raises Unavailable when the address is taken."""
        self.node.on_down.append(self._went_down)
        self.node.on_listen.append(self._changed.set)
        if self.node.listening:
            await self._listen()
        self._keeper = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """Cut all clients and free the port."""
        self.node.on_down.remove(self._went_down)
        self.node.on_listen.remove(self._changed.set)
        if self._keeper is not None:
            self._keeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeper
        await self._close()

    def _went_down(self, text: str) -> None:
        self._cut = True
        self._changed.set()

    async def _keep(self) -> None:
        """Let the port follow the node: down, up, cut."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            if self._cut:
                self._cut = False
                await self._close()
            if self.node.listening and self._server is None:
                await self._listen_again()

    async def _listen_again(self) -> None:
        for _ in range(BIND_TRIES):
            try:
                await self._listen()
            except Unavailable:
                await asyncio.sleep(BIND_PAUSE_SECONDS)
            else:
                return

    async def _close(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            await server.stop(None)

    async def _listen(self) -> None:
        if self._fast:
            await self._listen_fast()
            return
        server = grpc.aio.server(options=SERVER_OPTIONS)
        server.add_generic_rpc_handlers(tuple(self._handlers()))
        secrets = grpc.ssl_server_credentials(
            [(self.credentials.key, self.credentials.certificate)]
        )
        try:
            self.port = server.add_secure_port(self.rpcserver, secrets)
        except RuntimeError as error:
            raise Unavailable(
                f"cannot listen on {self.rpcserver}: is another simulator or lnd running there?"
            ) from error
        await server.start()
        self._server = server

    async def _listen_fast(self) -> None:
        listener = FastListener(self._simulation, self.node, self.credentials)
        try:
            self.port = await listener.start(self._host, self.port)
        except OSError as error:
            raise Unavailable(
                f"cannot listen on {self.rpcserver}: is another simulator or lnd running there?"
            ) from error
        self._server = listener

    # -- which calls there are ---------------------------------------------------------------

    def _handlers(self) -> list[grpc.GenericRpcHandler]:
        """One handler per service, with a macaroon asked for by all but State."""
        found: dict[str, dict[str, grpc.RpcMethodHandler[Any, Any]]] = {}
        for path, (answer, kind) in unary_methods(
            self._simulation, self.node, self.credentials.root_key
        ).items():
            _, service, name = path.split("/")
            found.setdefault(service, {})[name] = self._unary(path, answer, kind)
        for path, (stream, kind) in streaming_methods(self._simulation, self.node).items():
            _, service, name = path.split("/")
            found.setdefault(service, {})[name] = self._stream(path, stream, kind)
        found["lnrpc.State"] = self._state()
        return [
            grpc.method_handlers_generic_handler(service, handlers)
            for service, handlers in found.items()
        ]

    def _state(self) -> dict[str, grpc.RpcMethodHandler[Any, Any]]:
        """lnrpc.State, which answers without a macaroon and before the wallet is open."""
        service = StateService(self.node)

        async def get_state(
            request: state.GetStateRequest, context: Context
        ) -> state.GetStateResponse:
            await self._thawed()
            return service.get_state(request)

        async def subscribe(
            request: state.SubscribeStateRequest, context: Context
        ) -> AsyncIterator[state.SubscribeStateResponse]:
            await self._thawed()
            async for message in service.subscribe_state(request):
                yield message

        return {
            "GetState": grpc.unary_unary_rpc_method_handler(
                get_state, state.GetStateRequest.FromString, _serialize
            ),
            "SubscribeState": grpc.unary_stream_rpc_method_handler(
                subscribe, state.SubscribeStateRequest.FromString, _serialize
            ),
        }

    # -- how a call is answered --------------------------------------------------------------

    def _unary(
        self, path: str, answer: Callable[[Any], Message], kind: Any
    ) -> grpc.RpcMethodHandler[Any, Any]:
        async def respond(request: Any, context: Context) -> Message:
            await self._thawed()
            try:
                self._admit(path, context)
                return answer(request)
            except Refused as refusal:
                await self._abort(context, refusal)

        return grpc.unary_unary_rpc_method_handler(
            respond, request_deserializer=kind.FromString, response_serializer=_serialize
        )

    def _stream(
        self, path: str, answer: Callable[[Any], AsyncIterator[Message]], kind: Any
    ) -> grpc.RpcMethodHandler[Any, Any]:
        sends = path.endswith("SendPaymentV2")

        async def respond(request: Any, context: Context) -> AsyncIterator[Message]:
            # a send that waits at a frozen node waits inside the model, and outlives its client
            if not sends:
                await self._thawed()
            try:
                self._admit(path, context)
                async for message in answer(request):
                    yield message
            except Refused as refusal:
                await self._abort(context, refusal)

        return grpc.unary_stream_rpc_method_handler(
            respond, request_deserializer=kind.FromString, response_serializer=_serialize
        )

    def _admit(self, path: str, context: Context) -> None:
        self._simulation.sync()
        self.node.gate()
        sent = [
            str(value) for key, value in context.invocation_metadata() or () if key == "macaroon"
        ]
        self._guard.check(sent, path, self._simulation.network.now_ns, _address(context.peer()))

    @staticmethod
    async def _abort(context: Context, refusal: Refused) -> NoReturn:
        await context.abort(grpc.StatusCode[refusal.code], refusal.text)
        raise refusal

    async def _thawed(self) -> None:
        if not self.node.frozen:
            return
        thawed = asyncio.Event()
        self.node.on_thaw.append(thawed.set)
        try:
            await thawed.wait()
        finally:
            self.node.on_thaw.remove(thawed.set)


def _address(peer: str) -> str:
    """The address in grpc's "ipv4:127.0.0.1:40000" or "ipv6:%5B::1%5D:40000"."""
    return unquote(peer).partition(":")[2].rpartition(":")[0].strip("[]")


def _serialize(message: Message) -> bytes:
    return message.SerializeToString()
