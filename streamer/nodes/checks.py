"""What must be true of a connection before money goes over it, and how any question is asked.

lnd must be SERVER_ACTIVE, and the macaroon must allow every method that will be needed: each is
called in a way that does nothing, so that a macaroon that is too weak shows when connecting, and
not at the first payment.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

from grpc.aio import AioRpcError

from streamer._proto.lnrpc import lightning_pb2 as ln
from streamer._proto.lnrpc import stateservice_pb2 as state
from streamer._proto.routerrpc import router_pb2 as router
from streamer.nodes import faults, permissions
from streamer.nodes.connection import Connection
from streamer.nodes.wire import Status
from streamer.words.errors import NodeRejected, NodeUnavailable
from streamer.words.model import HASH_BYTES

CONNECT_SECONDS = 10.0
"""How long a node may take to answer the first call on a new connection."""

FAILURES = (AioRpcError, Status)

CALL_SECONDS = 30.0
"""How long any other question may take; a busy lnd lists payments slowly."""


async def ask(connection: Connection, method: Any, request: Any, name: str) -> Any:
    """One unary call. Raises NodeUnavailable or NodeRejected, never what gRPC raises."""
    try:
        reply = await method(request, timeout=CALL_SECONDS, metadata=connection.metadata)
    except AioRpcError as error:
        raise faults.explain(error, name, connection.rpcserver) from None
    except asyncio.CancelledError:
        pass_on_cancellation()
        raise NodeUnavailable(
            f"the connection to lnd at {connection.rpcserver} was closed"
        ) from None
    if reply is None:  # what gRPC makes of a message that it cannot parse
        raise NodeUnavailable(
            f"lnd at {connection.rpcserver} answered {name} with something that cannot be read"
        )
    return reply


def pass_on_cancellation() -> None:
    """Raise if it is our task that is cancelled: a call whose channel was closed looks the same."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def require_active(connection: Connection) -> None:
    """Connect, and ask for the wallet state; raises with what is wrong at that address."""
    try:
        answer = await connection.get_state(state.GetStateRequest(), timeout=CONNECT_SECONDS)
    except AioRpcError as error:
        raise faults.explain_connect(error, connection.rpcserver) from None
    if answer.state != state.SERVER_ACTIVE:
        raise faults.not_active(answer.state, connection.rpcserver)


async def require_permissions(connection: Connection, pubkey: bytes) -> None:
    """Try each method; raises NodeRejected with all that the macaroon does not allow."""
    results = await _probe(connection, pubkey)
    refused = [
        name
        for name, result in results.items()
        if isinstance(result, FAILURES) and faults.denied(result)
    ]
    if refused:
        missing = ", ".join(refused)
        enough = permissions.bake_command()
        raise NodeRejected(
            f"the macaroon for lnd at {connection.rpcserver} does not allow {missing}. One that is"
            f" enough: {enough}"
        )
    for name, result in results.items():
        if isinstance(result, FAILURES) and result.code() in faults.LOST_CODES:
            raise faults.explain(result, name, connection.rpcserver)
        if isinstance(result, asyncio.CancelledError):
            raise NodeUnavailable(f"the connection to lnd at {connection.rpcserver} was closed")


async def _probe(connection: Connection, pubkey: bytes) -> dict[str, Any]:
    """The result or error of each method, called so that it does nothing (a payment of nothing to
    nobody).
    """
    terms: Any = {"timeout": CALL_SECONDS, "metadata": connection.metadata}
    unknown = router.TrackPaymentRequest(payment_hash=secrets.token_bytes(HASH_BYTES))
    calls = {
        permissions.SEND: connection.wire.start(b"", _Ignore(), CALL_SECONDS),
        permissions.TRACK: connection.track(unknown, **terms).read(),
        permissions.LIST_CHANNELS: connection.list_channels(ln.ListChannelsRequest(), **terms),
        permissions.PENDING_CHANNELS: connection.pending_channels(
            ln.PendingChannelsRequest(), **terms
        ),
        permissions.GET_NODE_INFO: connection.get_node_info(
            ln.NodeInfoRequest(pub_key=pubkey.hex()), **terms
        ),
        permissions.LIST_PAYMENTS: connection.list_payments(
            ln.ListPaymentsRequest(max_payments=1), **terms
        ),
    }
    results = await asyncio.gather(
        *(_wait(call) for call in calls.values()), return_exceptions=True
    )
    return dict(zip(calls, results, strict=True))


class _Ignore:
    def take(self, message: bytes) -> Any | None:
        """Of a payment of nothing only the refusal matters."""


async def _wait(call: Any) -> Any:
    return await call
