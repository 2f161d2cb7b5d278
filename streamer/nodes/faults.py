"""What a gRPC failure means, in a sentence that says what to do; and which failures leave doubt.

Three questions are answered here: is the outcome of a payment unknown, is it worth another try, or
must a person act. lnd answers almost everything with the code UNKNOWN, so texts are looked at, but
only to explain: no verdict on a payment hangs on a text.
"""

from __future__ import annotations

from typing import Protocol

import grpc
from grpc.aio import AioRpcError

from streamer._proto.lnrpc import stateservice_pb2 as state
from streamer.nodes.permissions import GET_INFO, PENDING_CHANNELS, bake_command
from streamer.ports import Answer, Kind
from streamer.words.errors import NodeRejected, NodeUnavailable

Code = grpc.StatusCode

LOST_CODES = frozenset({Code.UNAVAILABLE, Code.CANCELLED, Code.DEADLINE_EXCEEDED})
"""Made by the client itself, or by a dying server: the payment may still be executed."""

NO_REFUSAL_CODES = LOST_CODES | {Code.INTERNAL, Code.RESOURCE_EXHAUSTED, Code.DATA_LOSS}
"""For a payment these are no answer of lnd's either: gRPC makes them of a stream that was reset."""

_NOT_FROM_LND = ("http2 header with status", "RST_STREAM", "Stream removed")
"""In the details that gRPC itself writes, for one of a proxy's answers."""

STATES: dict[int, str] = {
    state.NON_EXISTING: "has no wallet yet: create one with `lncli create`",
    state.LOCKED: "has its wallet locked: unlock it with `lncli unlock`",
    state.UNLOCKED: "has its wallet unlocked and is still starting",
    state.RPC_ACTIVE: "is starting and not yet synced to the chain",
    state.WAITING_TO_START: "waits to become the leader of its cluster",
}

_NOT_READY = (
    *(
        "in the process of starting up",
        "wallet locked",
        "wallet not created",
        "waiting to start",
        "chain backend is still syncing",
    ),
    # said of any macaroon while lnd stops, which takes long if its chain hangs (tried)
    "macaroon store is locked",
)
_ASKS_THE_CHAIN = frozenset({GET_INFO, PENDING_CHANNELS})
"""What lnd answers only when its bitcoind or btcd has answered (tried)."""
_STRANGE_TLS = (
    "WRONG_VERSION_NUMBER",
    "missing selected ALPN",
    "HTTP_REQUEST",
    "UNEXPECTED_MESSAGE",
    "INVALID_",
)
_CUT_OFF = (
    "Handshake read failed",
    "Handshake write failed",
    "Socket closed",
    "Connection reset",
    "TSI_",
    "EOF",
    "recvmsg",
)


class Failure(Protocol):
    """A call that ended with an error status: grpc's, or wire.py's."""

    def code(self) -> grpc.StatusCode:
        """The status code."""

    def details(self) -> str | None:
        """The text that came with it."""


def send_failure(error: Failure, accepted: bool) -> Answer:
    """A send that ended with an error status. accepted: an update came before."""
    code = error.code()
    text = error.details() or code.name
    if accepted or code in NO_REFUSAL_CODES or any(part in text for part in _NOT_FROM_LND):
        # after an update its bytes have arrived, and lnd knows the payment: what is unknown is its
        # end, not whether it begins
        return Answer(Kind.LOST, accepted=accepted, closed=accepted, message=text)
    if code is Code.ALREADY_EXISTS:
        return Answer(Kind.DUPLICATE, message=text)
    return Answer(Kind.REFUSED, message=text)


def track_failure(error: AioRpcError) -> Answer:
    """A track that ended with an error status: it says nothing unless it says NOT_FOUND."""
    text = error.details() or error.code().name
    return Answer(Kind.NOT_FOUND if error.code() is Code.NOT_FOUND else Kind.LOST, message=text)


def explain(error: Failure, method: str, rpcserver: str) -> NodeUnavailable | NodeRejected:
    """A call other than send and track that failed on a connection which had worked."""
    code, text = error.code(), error.details() or ""
    if code is Code.UNAVAILABLE:
        return explain_connect(error, rpcserver)
    if code in LOST_CODES and method in _ASKS_THE_CHAIN:
        return NodeUnavailable(
            f"lnd at {rpcserver} did not answer {method} in time: does its bitcoind or btcd answer?"
        )
    if code in LOST_CODES:
        return NodeUnavailable(f"{rpcserver} did not answer {method} in time")
    if not_ready(error):
        return NodeUnavailable(f"lnd at {rpcserver} is not ready: {text}")
    if denied(error):
        return NodeRejected(
            f"lnd at {rpcserver} refuses the macaroon for {method} ({text}). One that is enough:"
            f" {bake_command()}"
        )
    return NodeUnavailable(f"lnd at {rpcserver} answered {method} with {code.name}: {text}")


def not_ready(error: Failure) -> bool:
    """True if lnd says that it is locked, still starting, or stopping."""
    return any(part in (error.details() or "") for part in _NOT_READY)


def denied(error: Failure) -> bool:
    """True if lnd will not have this macaroon: its codes are UNKNOWN, so by the words it uses."""
    text = error.details() or ""
    if not_ready(error):
        return False
    if error.code() in (Code.PERMISSION_DENIED, Code.UNAUTHENTICATED):
        return True
    return error.code() is Code.UNKNOWN and any(
        word in text
        for word in ("macaroon", "permission denied", "verification failed", "root key", "caveat")
    )


def explain_connect(error: Failure, rpcserver: str) -> NodeUnavailable | NodeRejected:
    """The first call on a new channel failed: what is at that address, in words."""
    text = error.details() or ""
    debug = f"{text} {error.debug_error_string() or '' if isinstance(error, AioRpcError) else ''}"
    if error.code() is Code.UNIMPLEMENTED:
        return NodeUnavailable(
            f"{rpcserver} speaks gRPC, but is no lnd ({text}): is the port right? lnd's is 10009"
        )
    if error.code() is Code.DEADLINE_EXCEEDED:
        return NodeUnavailable(
            f"{rpcserver} does not answer: is the address right, and does a firewall let it"
            " through?"
        )
    if "CERTIFICATE_VERIFY_FAILED" in debug:
        return _bad_certificate(debug, rpcserver)
    if "Hostname Verification" in debug or "Peer name" in debug:
        return NodeRejected(
            f"the certificate of {rpcserver} is for other names: connect by a name that is in it,"
            " or add this one with tlsextradomain or tlsextraip in lnd.conf, delete lnd's tls.cert"
            " and tls.key, restart lnd, and copy tls.cert again"
        )
    if "Connection refused" in debug:
        return NodeUnavailable(
            f"nothing listens at {rpcserver}: is lnd running, and is this its rpclisten address?"
        )
    if "DNS" in debug or "Domain name not found" in debug or "Name or service not known" in debug:
        return NodeUnavailable(f"the host of {rpcserver} is not known: is the name right?")
    if any(part in debug for part in _STRANGE_TLS):
        return NodeUnavailable(
            f"{rpcserver} does not speak gRPC over TLS: is the port right? lnd's gRPC is 10009,"
            " 8080 is REST, 9735 its peers"
        )
    if any(part in debug for part in _CUT_OFF):
        return NodeUnavailable(
            f"{rpcserver} closed the connection: lnd is just stopping or starting, or the port is"
            " not its gRPC port (10009)"
        )
    return NodeUnavailable(f"{rpcserver} cannot be reached: {text}")


def _bad_certificate(debug: str, rpcserver: str) -> NodeRejected:
    if "expired" in debug:
        return NodeRejected(
            f"the certificate of {rpcserver} has expired: delete lnd's tls.cert and tls.key,"
            " restart lnd (tlsautorefresh=true does it by itself), and copy tls.cert again"
        )
    return NodeRejected(
        f"{rpcserver} shows another certificate than the one configured: copy lnd's tls.cert again"
        " (it changes when lnd renews it)"
    )


def not_active(number: int, rpcserver: str) -> NodeUnavailable:
    """The wallet state is not SERVER_ACTIVE."""
    return NodeUnavailable(
        f"lnd at {rpcserver} {STATES.get(number, f'is in the unknown state {number}')}"
    )
