"""A plain grpc client for a served network, and what it gets told."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc

from streamer._proto.lnrpc import lightning_pb2 as ln
from streamer._proto.lnrpc import lightning_pb2_grpc, stateservice_pb2_grpc
from streamer._proto.routerrpc import router_pb2 as router
from streamer._proto.routerrpc import router_pb2_grpc
from streamer.simulator.network.books import KEYSEND_RECORD
from streamer.simulator.serve import Plan, ServedNetwork, ServedNode, start_network
from streamer.words.clock import BootClock
from tests.simulator.simnet import hash_of, preimage_of


class ShiftedClock(BootClock):
    """Real time that a test may move on."""

    def __init__(self) -> None:
        super().__init__()
        self.shift_ns = 0

    def now_ns(self) -> int:
        return super().now_ns() + self.shift_ns


class Wire:
    """Stubs to one node; each call gives its messages, or (code name, text) when refused."""

    def __init__(self, node: ServedNode, macaroon: str | None) -> None:
        self.pubkey = bytes.fromhex(node.pubkey)
        self.metadata = (("macaroon", macaroon),) if macaroon is not None else ()
        secrets = grpc.ssl_channel_credentials(Path(node.tlscertpath).read_bytes())
        # without this a client waits up to 20 s after a refused connection
        options = (
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 100),
        )
        self.channel = grpc.aio.secure_channel(node.rpcserver, secrets, options=options)
        self.lightning = lightning_pb2_grpc.LightningStub(self.channel)
        self.router = router_pb2_grpc.RouterStub(self.channel)
        self.state = stateservice_pb2_grpc.StateStub(self.channel)

    async def ask(self, method: str, request: Any) -> Any:
        try:
            return await getattr(self.lightning, method)(request, metadata=self.metadata)
        except grpc.aio.AioRpcError as error:
            return error.code().name, error.details()

    async def keysend(
        self, destination: bytes, number: int, amount_msat: int = 1_000, **changes: Any
    ) -> Any:
        fields: dict[str, Any] = {
            "dest": destination,
            "payment_hash": hash_of(number),
            "amt_msat": amount_msat,
            "fee_limit_msat": 5_000,
            "timeout_seconds": 30,
            "max_parts": 1,
            "dest_custom_records": {KEYSEND_RECORD: preimage_of(number), 70_001: b"x"},
            **changes,
        }
        return await self.follow(
            self.router.SendPaymentV2(router.SendPaymentRequest(**fields), metadata=self.metadata)
        )

    async def pay(self, invoice: str, amount_msat: int = 0) -> Any:
        request = router.SendPaymentRequest(
            payment_request=invoice, amt_msat=amount_msat, fee_limit_msat=5_000, timeout_seconds=30
        )
        return await self.follow(self.router.SendPaymentV2(request, metadata=self.metadata))

    async def track(self, number: int) -> Any:
        return await self.follow(
            self.router.TrackPaymentV2(
                router.TrackPaymentRequest(payment_hash=hash_of(number)), metadata=self.metadata
            )
        )

    @staticmethod
    async def follow(call: Any) -> Any:
        try:
            return [message async for message in call]
        except grpc.aio.AioRpcError as error:
            return error.code().name, error.details()


def ends(answer: Any) -> str:
    """How a payment ended, in one word; a refusal as it is."""
    if isinstance(answer, tuple):
        return str(answer)
    last = answer[-1]
    if last.status == ln.Payment.FAILED:
        return ln.PaymentFailureReason.Name(last.failure_reason).removeprefix("FAILURE_REASON_")
    return ln.Payment.PaymentStatus.Name(last.status)


class Net:
    """A served network and a wire to its payer and its receiver."""

    def __init__(self, served: ServedNetwork, clock: ShiftedClock, folder: Path) -> None:
        self.served, self.clock, self.folder = served, clock, folder
        self.faults = served.simulation.faults
        self.payer, self.receiver = (self.wire(name) for name in ("alice", "bob"))

    def wire(self, name: str, macaroon: str | None = "admin") -> Wire:
        node = next(one for one in self.served.nodes if one.name == name)
        if macaroon == "admin":
            macaroon = Path(node.macaroonpath).read_bytes().hex()
        return Wire(node, macaroon)


@asynccontextmanager
async def net(plan: Plan | None = None) -> AsyncIterator[Net]:
    with tempfile.TemporaryDirectory() as folder:
        clock = ShiftedClock()
        async with start_network(Path(folder), plan or Plan(channels=2), clock) as served:
            made = Net(served, clock, Path(folder))
            try:
                yield made
            finally:
                await made.payer.channel.close()
                await made.receiver.channel.close()


def play(scene: Callable[[Net], Awaitable[None]], plan: Plan | None = None) -> None:
    async def main() -> None:
        async with asyncio.timeout(60), net(plan) as made:
            await scene(made)

    asyncio.run(main())
