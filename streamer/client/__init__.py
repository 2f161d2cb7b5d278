"""A small typed client of the gRPC API, for asyncio: what the command line uses, and any program
may.

    async with Client() as client:
        stream = await client.open_stream(pubkey, 1_000, "1s")
        async for event in client.watch(f"id={stream.id}"):
            ...

Messages are those of the schema (proto/streamer/v1), typed. Every failure is a StreamerError:
NotReachable if nobody answered, CallFailed if the daemon refused, with its own words and reason.
Methods that are not here are called by `client.call(client.streams.UpdateStream, request)`.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import TypeVar

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from streamer._proto.imp.api.lightning import lightning_pb2
from streamer._proto.streamer.v1 import admin_pb2, payment_pb2, stream_pb2
from streamer._proto.streamer.v1.admin_pb2 import Status
from streamer._proto.streamer.v1.payment_pb2 import Payment
from streamer._proto.streamer.v1.stream_pb2 import Stream, StreamEvent
from streamer.client.access import Trust, find_key, find_server, find_trust
from streamer.client.connection import DEFAULT_TIMEOUT_SECONDS, CallFailed, Connection, NotReachable
from streamer.client.watching import CURSOR_GONE, watch
from streamer.words.errors import InvalidArgument
from streamer.words.money import parse_duration

__all__ = [
    "CURSOR_GONE",
    "CallFailed",
    "Client",
    "NotReachable",
    "Payment",
    "Status",
    "Stream",
    "StreamEvent",
    "Trust",
    "find_key",
    "find_server",
    "find_trust",
]

Reply = TypeVar("Reply")

PAGE = 1_000
PAYMENT_TIMEOUT_SECONDS = 60.0
"""How long a single payment is waited for; it goes on afterwards."""
INVOICE_TIMEOUT_SECONDS = 180.0
"""The same for an invoice, which may take many attempts."""


class Client(Connection):
    """A connection to a daemon; use it as `async with Client() as client`.

    Without server and key it looks where the command line looks: $STREAMER_SERVER and
    $STREAMER_KEY_FILE, ~/.config/streamer/key, the data folder. trust: its certificate; beyond
    loopback always TLS.
    """

    def __init__(
        self, server: str | None = None, key: str | None = None, trust: Trust | None = None
    ) -> None:
        address = find_server() if server is None else server
        super().__init__(
            address,
            find_key() if key is None else key,
            find_trust(address) if trust is None else trust,
        )

    # -- streams --------------------------------------------------------------------------------

    async def open_stream(
        self,
        destination: str,
        amount_msat: int,
        interval: str,
        *,
        payment_interval: str = "",
        end: datetime | None = None,
        budget_msat: int = 0,
        budget_period: str = "total",
        ttl: str = "",
        group: str = "",
        labels: Mapping[str, str] | None = None,
        token: str = "",
        node: str = "",
        request_id: str = "",
        validate_only: bool = False,
    ) -> Stream:
        """Pay destination (hex) amount_msat per interval ("1s", "10m"). The same request_id opens
        the same stream, once.

        end must have a time zone. validate_only opens nothing, and gives the forecast.
        """
        stream = Stream(
            destination=destination,
            amount_msat=amount_msat,
            interval=_duration(interval),
            group=group,
            labels=labels or {},
            token=token,
            node=node,
            payment_interval=_duration(payment_interval),
            ttl=_duration(ttl),
            end_time=_timestamp(end),
        )
        if budget_msat:
            stream.budget.CopyFrom(stream_pb2.Budget(amount_msat=budget_msat, period=budget_period))
        request_id = request_id or secrets.token_hex(16)
        request = stream_pb2.CreateStreamRequest(
            stream=stream, request_id=request_id, validate_only=validate_only
        )
        return _as(Stream, await self.call(self.streams.CreateStream, request))

    async def get_stream(self, stream_id: str) -> Stream:
        """One stream, with its last payment and forecast."""
        return _as(
            Stream,
            await self.call(self.streams.GetStream, stream_pb2.GetStreamRequest(id=stream_id)),
        )

    async def list_streams(self, filter_text: str = "", limit: int = 0) -> AsyncIterator[Stream]:
        """Matching streams, newest first; limit 0: all of them."""
        token, left = "", limit or 1 << 62
        while left > 0:
            request = stream_pb2.ListStreamsRequest(
                filter=filter_text, page_size=min(left, PAGE), page_token=token
            )
            page = await self.call(self.streams.ListStreams, request)
            for stream in page.streams:
                yield stream
            left, token = left - len(page.streams), page.next_page_token
            if not token:
                return

    async def pause_stream(self, stream_id: str) -> Stream:
        """Stop buying; what is bought runs out."""
        return _as(
            Stream,
            await self.call(self.streams.PauseStream, stream_pb2.PauseStreamRequest(id=stream_id)),
        )

    async def resume_stream(self, stream_id: str) -> Stream:
        """Go on; a stream that waits after a failure tries now."""
        return _as(
            Stream,
            await self.call(
                self.streams.ResumeStream, stream_pb2.ResumeStreamRequest(id=stream_id)
            ),
        )

    async def cancel_stream(self, stream_id: str) -> Stream:
        """Stop for good; nothing comes back."""
        return _as(
            Stream,
            await self.call(
                self.streams.CancelStream, stream_pb2.CancelStreamRequest(id=stream_id)
            ),
        )

    async def renew_streams(self, filter_text: str = "") -> int:
        """Put off the expiry of matching streams that have a ttl; how many there were."""
        reply = await self.call(
            self.streams.RenewStreams, stream_pb2.RenewStreamsRequest(filter=filter_text)
        )
        return int(reply.renewed)

    def watch(self, filter_text: str = "", cursor: int = 0) -> AsyncIterator[StreamEvent]:
        """What happens to matching streams after cursor (0: from now on), each event once, over
        reconnects and restarts.

        Raises CallFailed with reason CURSOR_GONE when events were missed: list again, then watch
        anew.
        """
        return watch(self, filter_text, cursor)

    # -- payments -------------------------------------------------------------------------------

    async def keysend(
        self,
        destination: str,
        amount_msat: int,
        request_id: str,
        *,
        fee_limit_msat: int | None = None,
        node: str = "",
        timeout_seconds: float = PAYMENT_TIMEOUT_SECONDS,
    ) -> Payment:
        """One payment; the same request_id never pays twice. It may be PENDING still: ask again
        with the same request_id.
        """
        request = payment_pb2.CreatePaymentRequest(
            destination=destination,
            amount_msat=amount_msat,
            request_id=request_id,
            fee_limit_msat=fee_limit_msat,
            node=node,
        )
        return _as(Payment, await self.call(self.payments.CreatePayment, request, timeout_seconds))

    async def pay_invoice(
        self,
        payment_request: str,
        *,
        amount_msat: int = 0,
        fee_limit_msat: int | None = None,
        node: str = "",
        timeout_seconds: float = INVOICE_TIMEOUT_SECONDS,
    ) -> Payment:
        """Pay an invoice (BOLT 11), once: asked again, it is the same payment. amount_msat is for
        one that leaves it to the payer.
        """
        request = payment_pb2.CreatePaymentRequest(
            payment_request=payment_request,
            amount_msat=amount_msat,
            fee_limit_msat=fee_limit_msat,
            node=node,
        )
        return _as(Payment, await self.call(self.payments.CreatePayment, request, timeout_seconds))

    async def create_invoice(self, amount_sat: int, memo: str = "") -> str:
        """Make an invoice at the daemon's first node: what the payer needs."""
        reply = await self.call(
            self.lightning.GenerateInvoice,
            lightning_pb2.GenerateInvoiceRequest(amount=amount_sat, memo=memo),
        )
        return str(reply.invoice)

    async def check_invoice(self, payment_request: str) -> bool:
        """Whether an invoice of the daemon's first node is paid."""
        reply = await self.call(
            self.lightning.CheckInvoice, lightning_pb2.CheckInvoiceRequest(invoice=payment_request)
        )
        return bool(reply.paid)

    async def get_payment(self, payment_id: str) -> Payment:
        """One payment."""
        return _as(
            Payment,
            await self.call(self.payments.GetPayment, payment_pb2.GetPaymentRequest(id=payment_id)),
        )

    async def list_payments(self, filter_text: str = "", limit: int = 0) -> AsyncIterator[Payment]:
        """Matching payments, newest first; limit 0: all of them."""
        token, left = "", limit or 1 << 62
        while left > 0:
            request = payment_pb2.ListPaymentsRequest(
                filter=filter_text, page_size=min(left, PAGE), page_token=token
            )
            page = await self.call(self.payments.ListPayments, request)
            for payment in page.payments:
                yield payment
            left, token = left - len(page.payments), page.next_page_token
            if not token:
                return

    # -- the daemon -----------------------------------------------------------------------------

    async def get_status(self) -> Status:
        """The daemon at one look."""
        return _as(Status, await self.call(self.admin.GetStatus, admin_pb2.GetStatusRequest()))

    async def stop_sending(
        self, drain: bool = False, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS
    ) -> Status:
        """Stop all new payments; drain: reply when none is in flight, or at the timeout."""
        return _as(
            Status,
            await self.call(
                self.admin.StopSending, admin_pb2.StopSendingRequest(drain=drain), timeout_seconds
            ),
        )

    async def start_sending(self) -> Status:
        """Lift what a person may lift."""
        return _as(
            Status, await self.call(self.admin.StartSending, admin_pb2.StartSendingRequest())
        )


def _as(kind: type[Reply], reply: object) -> Reply:
    assert isinstance(reply, kind)
    return reply


def _duration(text: str) -> Duration | None:
    if not text:
        return None
    try:
        span_ns = parse_duration(text)
    except ValueError as error:
        raise InvalidArgument(str(error)) from None
    duration = Duration()
    duration.FromNanoseconds(span_ns)
    return duration


def _timestamp(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise InvalidArgument("end has no time zone: use datetime.now(timezone.utc) + …")
    timestamp = Timestamp()
    timestamp.FromDatetime(moment)
    return timestamp
