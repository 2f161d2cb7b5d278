"""The two worlds that the contract is tried on: real lnd nodes, and the simulator over gRPC.

Both have payer, receiver and deaf (which takes no keysends); a scene sees only what a client of
lnd sees, and a few switches for what happens to nodes: freeze, kill, start.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import grpc
import grpc.aio

from streamer._proto.lnrpc import lightning_pb2 as ln
from streamer._proto.lnrpc import lightning_pb2_grpc
from streamer._proto.routerrpc import router_pb2, router_pb2_grpc
from streamer.core.keysend import encode_records, payment_hash
from streamer.nodes.credentials import access
from streamer.nodes.lnd import LndNode, payment_request
from streamer.simulator.serve import Plan, ServedNetwork, start_network
from streamer.words.clock import BootClock
from streamer.words.model import Payment
from tests.lnd.network import Network
from tests.nodes.tiny import intent

SCENE_SECONDS = 120
ANSWER_SECONDS = 30.0
RECORD = 70_001
CHANNELS = 4
CHANNEL_SAT = 10_000_000
NOBODY = b"\x02" + b"\x11" * 32
"""A public key in no graph."""


@dataclass(frozen=True)
class Party:
    """How to reach a node."""

    name: str
    pubkey: bytes
    rpcserver: str
    tlscertpath: str
    macaroonpath: str

    def node(self, macaroonpath: str = "") -> LndNode:
        return LndNode(
            self.name, access(self.rpcserver, self.tlscertpath, macaroonpath or self.macaroonpath)
        )


class Switches(Protocol):
    """What can happen to a node."""

    def freeze(self, name: str) -> None: ...
    def thaw(self, name: str) -> None: ...
    def kill(self, name: str) -> None: ...
    def start(self, name: str) -> None: ...
    def bake(self, name: str, *methods: str) -> str: ...


@dataclass
class Raw:
    """All that one call gave: its updates, then the status."""

    updates: list[ln.Payment] = field(default_factory=list)
    code: grpc.StatusCode = grpc.StatusCode.OK
    text: str = ""

    @property
    def statuses(self) -> list[str]:
        return [ln.Payment.PaymentStatus.Name(update.status) for update in self.updates]


class Stage:
    """What a scene has in its hands."""

    def __init__(self, parties: dict[str, Party], switches: Switches) -> None:
        self.payer, self.receiver, self.deaf = (
            parties[name] for name in ("payer", "receiver", "deaf")
        )
        self.switches = switches
        self.node = self.payer.node()
        self._channels: dict[str, grpc.aio.Channel] = {}

    def keysend(self, **changes: Any) -> tuple[Payment, bytes]:
        """A fresh intent to the receiver, and its preimage."""
        preimage = secrets.token_bytes(32)
        records = encode_records([(RECORD, b"hello")])
        defaults = {
            "destination": self.receiver.pubkey,
            "payment_hash": payment_hash(preimage),
            "records": records,
            "fee_limit_msat": 5000,
        }
        return intent(**(defaults | changes)), preimage

    async def raw_send(self, payment: Payment, preimage: bytes, **changes: Any) -> Raw:
        """SendPaymentV2 without the adapter; changes replace fields of the request, None clears
        them.
        """
        request = payment_request(payment, preimage)
        for name, value in changes.items():
            request.ClearField(name)
            if value is not None:
                setattr(request, name, value)
        return await self._stream(
            router_pb2_grpc.RouterStub(self.channel(self.payer)).SendPaymentV2, request
        )

    async def raw_track(self, digest: bytes) -> Raw:
        request = router_pb2.TrackPaymentRequest(payment_hash=digest)
        return await self._stream(
            router_pb2_grpc.RouterStub(self.channel(self.payer)).TrackPaymentV2, request
        )

    async def ask(self, party: Party, method: str, request: Any, metadata: Any = None) -> Any:
        """One unary call of lnrpc.Lightning."""
        stub = lightning_pb2_grpc.LightningStub(self.channel(party))
        return await getattr(stub, method)(
            request,
            timeout=ANSWER_SECONDS,
            metadata=self.metadata(party) if metadata is None else metadata,
        )

    async def refusal(
        self, party: Party, method: str, request: Any, metadata: Any = None
    ) -> tuple[str, str]:
        """The code and text of a call that must fail."""
        try:
            await self.ask(party, method, request, metadata)
        except grpc.aio.AioRpcError as error:
            return error.code().name, error.details() or ""
        raise AssertionError(f"{method} was not refused")

    async def received(self, digest: bytes) -> list[ln.InvoiceHTLC]:
        """The settled HTLCs with this hash in the receiver's own books."""
        found: list[ln.InvoiceHTLC] = []
        page = await self.ask(
            self.receiver,
            "ListInvoices",
            ln.ListInvoiceRequest(num_max_invoices=100, reversed=True),
        )
        for invoice in page.invoices:
            if invoice.r_hash == digest:
                found += [htlc for htlc in invoice.htlcs if htlc.state == ln.SETTLED]
        return found

    async def until(
        self, question: Callable[[], Coroutine[Any, Any, Any]], pause_seconds: float = 0.1
    ) -> Any:
        """Ask until the answer is true; the scene's own limit bounds it."""
        while not (answer := await question()):
            await asyncio.sleep(pause_seconds)
        return answer

    def channel(self, party: Party) -> grpc.aio.Channel:
        if party.name not in self._channels:
            credentials = grpc.ssl_channel_credentials(Path(party.tlscertpath).read_bytes())
            self._channels[party.name] = grpc.aio.secure_channel(
                party.rpcserver, credentials, [("grpc.use_local_subchannel_pool", 1)]
            )
        return self._channels[party.name]

    @staticmethod
    def metadata(party: Party) -> tuple[tuple[str, str], ...]:
        return (("macaroon", Path(party.macaroonpath).read_bytes().hex()),)

    async def close(self) -> None:
        await self.node.close()
        for channel in self._channels.values():
            await channel.close()

    async def _stream(self, method: Any, request: Any) -> Raw:
        raw = Raw()
        try:
            async for update in method(
                request, timeout=ANSWER_SECONDS, metadata=self.metadata(self.payer)
            ):
                raw.updates.append(update)
        except grpc.aio.AioRpcError as error:
            raw.code, raw.text = error.code(), error.details() or ""
        return raw


Scene = Callable[[Stage], Coroutine[Any, Any, None]]


@dataclass
class RealSwitches:
    """Real processes."""

    network: Network

    def _lnd(self, name: str) -> Any:
        return next(node for node in self.network.nodes if node.name == name)

    def freeze(self, name: str) -> None:
        self._lnd(name).freeze()

    def thaw(self, name: str) -> None:
        self._lnd(name).thaw()

    def kill(self, name: str) -> None:
        self._lnd(name).kill()

    def start(self, name: str) -> None:
        self._lnd(name).start(wait=False)

    def bake(self, name: str, *methods: str) -> str:
        path = self.network.folder / f"{secrets.token_hex(4)}.macaroon"
        self._lnd(name).cli(
            "bakemacaroon",
            "--save_to",
            str(path),
            "--root_key_id",
            "77",
            *(f"uri:{method}" for method in methods),
        )
        return str(path)


@dataclass
class SimulatedSwitches:
    """The simulator's faults."""

    served: ServedNetwork
    names: dict[str, str]

    def freeze(self, name: str) -> None:
        self.served.simulation.faults.freeze(self.names[name])

    def thaw(self, name: str) -> None:
        self.served.simulation.faults.thaw(self.names[name])

    def kill(self, name: str) -> None:
        self.served.simulation.faults.take_down(self.names[name])

    def start(self, name: str) -> None:
        self.served.simulation.faults.bring_up(self.names[name])

    def bake(self, name: str, *methods: str) -> str:
        wanted = tuple(("uri", method) for method in methods)
        return str(self.served.credentials[self.names[name]].bake(secrets.token_hex(4), wanted))


@asynccontextmanager
async def real_stage(network: Network) -> AsyncIterator[Stage]:
    parties = {
        node.name: Party(
            node.name, node.pubkey, node.rpcserver, str(node.tlscertpath), str(node.macaroonpath)
        )
        for node in network.nodes
    }
    try:
        yield Stage(parties, RealSwitches(network))
    finally:
        recover(network)


def recover(network: Network) -> None:
    """Whatever a scene did, the next one finds the nodes running, thawed, and their channels
    active.
    """
    for node in network.nodes:
        if node.child.running:
            node.thaw()
        else:
            node.start(wait=False)
    for node in network.nodes:
        node.wait_ready()
    payer, *others = network.nodes
    for other in others:
        network.wait_active(payer, other, CHANNELS if other.name == "receiver" else 1)


@asynccontextmanager
async def simulated_stage(folder: Path) -> AsyncIterator[Stage]:
    names = {"payer": "alice", "receiver": "bob", "deaf": "carol"}
    plan = Plan(
        nodes=3,
        channels=CHANNELS,
        capacity_sat=CHANNEL_SAT,
        seed=secrets.randbits(32),
        like_lnd=True,
    )
    async with start_network(folder, plan, BootClock()) as served:
        served.simulation.faults.set_keysend("carol", accepted=False)
        found = {node.name: node for node in served.nodes}
        parties = {}
        for name, label in names.items():
            node = found[label]
            parties[name] = Party(
                name,
                bytes.fromhex(node.pubkey),
                node.rpcserver,
                node.tlscertpath,
                node.macaroonpath,
            )
        yield Stage(parties, SimulatedSwitches(served, names))


@dataclass
class World:
    """Plays a scene on a stage, with the payer's node open."""

    real: bool
    stage: Callable[[], Any]

    def play(self, scene: Scene) -> None:
        async def run() -> None:
            async with self.stage() as stage:
                try:
                    await stage.node.open()
                    await scene(stage)
                finally:
                    await stage.close()

        asyncio.run(asyncio.wait_for(run(), SCENE_SECONDS))
