"""A tiny lnd for the adapter's own tests: real gRPC over TLS, with answers that the test
chooses.
"""

from __future__ import annotations

import asyncio
import datetime
import hashlib
import ipaddress
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from streamer._proto.lnrpc import lightning_pb2 as ln
from streamer._proto.lnrpc import stateservice_pb2 as state
from streamer.core.keysend import encode_records
from streamer.nodes.credentials import Access, access
from streamer.words.model import Payment

PUBKEY = b"\x02" + b"\x11" * 32
MACAROON = b"\x02\x01good"
PREIMAGE = b"p" * 32
Fault = tuple[grpc.StatusCode, str]
Answers = list[ln.Payment | bytes | Fault | asyncio.Event]


@dataclass(frozen=True)
class Pair:
    """A self-signed certificate and its key, PEM."""

    certificate: bytes
    key: bytes


def make_pair(name: str = "localhost", days: int = 30) -> Pair:
    """days below 0: a certificate that has expired."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    names: list[x509.GeneralName] = [x509.DNSName(name)]
    if name == "localhost":
        names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=60))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Pair(made.public_bytes(serialization.Encoding.PEM), pem)


@dataclass
class TinyLnd:
    """What it will answer, and what it was asked."""

    pair: Pair = field(default_factory=make_pair)
    wallet: state.WalletState = state.SERVER_ACTIVE
    faults: dict[str, Fault] = field(default_factory=dict)
    payment: Answers = field(default_factory=list)
    tracked: Answers = field(default_factory=list)
    sent: list[Any] = field(default_factory=list)
    macaroons: list[str] = field(default_factory=list)
    port: int = 0
    features: dict[int, ln.Feature] = field(default_factory=dict)

    async def start(self) -> None:
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        one = self._unary
        lightning = {
            "GetInfo": one("GetInfo", ln.GetInfoRequest, self._info),
            "ListChannels": one(
                "ListChannels", ln.ListChannelsRequest, lambda _: ln.ListChannelsResponse()
            ),
            "PendingChannels": one(
                "PendingChannels", ln.PendingChannelsRequest, lambda _: ln.PendingChannelsResponse()
            ),
            "ListPayments": one(
                "ListPayments", ln.ListPaymentsRequest, lambda _: ln.ListPaymentsResponse()
            ),
            "GetNodeInfo": one("GetNodeInfo", ln.NodeInfoRequest, self._node_info),
        }
        wallet = {
            "GetState": one(
                "GetState",
                state.GetStateRequest,
                lambda _: state.GetStateResponse(state=self.wallet),
            )
        }
        router: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
            "SendPaymentV2": grpc.unary_stream_rpc_method_handler(self._send),
            "TrackPaymentV2": grpc.unary_stream_rpc_method_handler(self._track),
        }
        for service, methods in {
            "lnrpc.Lightning": lightning,
            "lnrpc.State": wallet,
            "routerrpc.Router": router,
        }.items():
            self._server.add_generic_rpc_handlers(
                (grpc.method_handlers_generic_handler(service, methods),)
            )
        credentials = grpc.ssl_server_credentials([(self.pair.key, self.pair.certificate)])
        self.port = self._server.add_secure_port(f"127.0.0.1:{self.port}", credentials)
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop(None)

    def access(self, folder: Path, certificate: bytes = b"") -> Access:
        (folder / "tls.cert").write_bytes(certificate or self.pair.certificate)
        (folder / "a.macaroon").write_bytes(MACAROON)
        return access(
            f"127.0.0.1:{self.port}", str(folder / "tls.cert"), str(folder / "a.macaroon")
        )

    def _unary(self, name: str, request: Any, reply: Callable[[Any], Any]) -> Any:
        async def answer(asked: Any, context: Any) -> Any:
            self.macaroons += [
                value for key, value in context.invocation_metadata() if key == "macaroon"
            ]
            if name in self.faults:
                await context.abort(*self.faults[name])
            return reply(asked)

        return grpc.unary_unary_rpc_method_handler(
            answer, request.FromString, lambda message: message.SerializeToString()
        )

    def _info(self, _: Any) -> ln.GetInfoResponse:
        return ln.GetInfoResponse(
            identity_pubkey=PUBKEY.hex(),
            alias="tiny",
            chains=[ln.Chain(network="regtest")],
            version="0",
            best_header_timestamp=7,
        )

    def _node_info(self, _: Any) -> ln.NodeInfo:
        return ln.NodeInfo(node=ln.LightningNode(features=self.features))

    async def _send(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        if not request:
            await context.abort(
                *self.faults.get(
                    "SendPaymentV2",
                    (grpc.StatusCode.UNKNOWN, "invalid vertex length of 0, want 33"),
                )
            )
        self.sent.append(request)
        async for update in self._play(self.payment, context):
            yield update

    async def _track(self, _: bytes, context: Any) -> AsyncIterator[bytes]:
        if "TrackPaymentV2" in self.faults:
            await context.abort(*self.faults["TrackPaymentV2"])
        async for update in self._play(
            self.tracked or [(grpc.StatusCode.NOT_FOUND, "payment isn't initiated")], context
        ):
            yield update

    async def _play(self, answers: Answers, context: Any) -> AsyncIterator[bytes]:
        for answer in answers:
            if isinstance(answer, asyncio.Event):
                await answer.wait()
            elif isinstance(answer, tuple):
                await context.abort(*answer)
            else:
                yield answer if isinstance(answer, bytes) else answer.SerializeToString()


def intent(**changes: Any) -> Payment:
    """A sound intent for PREIMAGE; changes replace fields."""
    fields: dict[str, Any] = {
        name: 0
        for name in Payment.__dataclass_fields__
        if Payment.__dataclass_fields__[name].type == "int"
    }
    for name in (
        "accepted",
        "state",
        "mark",
        "settled_msat",
        "fee_msat",
        "reason",
        "message",
        "end_ns",
        "index",
    ):
        fields.pop(name, None)
    fields |= {
        "owner": "pay_" + "00" * 16,
        "node": "main",
        "destination": PUBKEY,
        "payment_hash": hashlib.sha256(PREIMAGE).digest(),
        "amount_msat": 5000,
        "fee_limit_msat": 1000,
        "cltv_limit": 288,
        "timeout_seconds": 30,
        "records": encode_records([(65537, b"hello")]),
        "probe": False,
    }
    return Payment(**(fields | changes))
