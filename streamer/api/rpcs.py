"""The methods of the three services: read the request, call the service, show the result."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import cast

from streamer._proto.streamer.v1 import admin_pb2, payment_pb2, stream_pb2
from streamer.api.call import Call
from streamer.api.convert import (
    hex_bytes,
    invoice_order,
    key_order,
    payment_order,
    stream_changes,
    stream_order,
)
from streamer.api.show import (
    event_message,
    key_message,
    payment_message,
    status_message,
    stream_message,
)
from streamer.service import Service
from streamer.service.keys import KeyOrder
from streamer.words.errors import InvalidArgument


class StreamRpcs:
    """StreamService."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def CreateStream(
        self, request: stream_pb2.CreateStreamRequest, call: Call
    ) -> stream_pb2.Stream:
        """Open a stream, or forecast it."""
        if not request.HasField("stream"):
            raise InvalidArgument("stream is missing")
        order = stream_order(request.stream)
        return stream_message(
            await self._service.streams.create(
                call.caller, order, request.request_id, request.validate_only
            )
        )

    async def GetStream(
        self, request: stream_pb2.GetStreamRequest, call: Call
    ) -> stream_pb2.Stream:
        """One stream, with its last payment."""
        return stream_message(await self._service.streams.get(call.caller, request.id))

    async def ListStreams(
        self, request: stream_pb2.ListStreamsRequest, call: Call
    ) -> stream_pb2.ListStreamsResponse:
        """A page of streams, newest first."""
        reports, token = await self._service.streams.page(
            call.caller, request.filter, request.page_size, request.page_token
        )
        return stream_pb2.ListStreamsResponse(
            streams=[stream_message(report) for report in reports], next_page_token=token
        )

    async def UpdateStream(
        self, request: stream_pb2.UpdateStreamRequest, call: Call
    ) -> stream_pb2.Stream:
        """Change what the mask names."""
        stream_id, order, paths = stream_changes(request)
        return stream_message(
            await self._service.streams.update(call.caller, stream_id, order, paths)
        )

    async def PauseStream(
        self, request: stream_pb2.PauseStreamRequest, call: Call
    ) -> stream_pb2.Stream:
        """Stop buying."""
        return stream_message(await self._service.streams.pause(call.caller, request.id))

    async def ResumeStream(
        self, request: stream_pb2.ResumeStreamRequest, call: Call
    ) -> stream_pb2.Stream:
        """Go on, or try now."""
        return stream_message(await self._service.streams.resume(call.caller, request.id))

    async def CancelStream(
        self, request: stream_pb2.CancelStreamRequest, call: Call
    ) -> stream_pb2.Stream:
        """Stop for good."""
        return stream_message(await self._service.streams.cancel(call.caller, request.id))

    async def RenewStreams(
        self, request: stream_pb2.RenewStreamsRequest, call: Call
    ) -> stream_pb2.RenewStreamsResponse:
        """Put off the expiry of matching streams."""
        return stream_pb2.RenewStreamsResponse(
            renewed=await self._service.streams.renew(call.caller, request.filter)
        )

    async def WatchStreams(
        self, request: stream_pb2.WatchStreamsRequest, call: Call
    ) -> AsyncIterator[stream_pb2.StreamEvent]:
        """Events of matching streams until the reader leaves. A bookmark goes out at once: from
        then on nothing is missed.
        """
        streams = self._service.streams
        events = streams.watch(call.caller, request.filter, request.cursor, call.cut)
        async for event in events:
            # made once, by the first watcher that gets it
            shown = event.shown or event_message(event, *streams.report_event(event))
            event.shown = shown
            yield cast(stream_pb2.StreamEvent, shown)


class PaymentRpcs:
    """PaymentService."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def CreatePayment(
        self, request: payment_pb2.CreatePaymentRequest, call: Call
    ) -> payment_pb2.Payment:
        """One keysend or one invoice; waits for its end as long as the deadline allows."""
        if request.payment_request:
            paying = self._service.paying.create(
                call.caller, invoice_order(request), request.request_id, call.patience_seconds()
            )
            return payment_message(await paying)
        order = payment_order(request)
        return payment_message(
            await self._service.payments.create(
                call.caller, order, request.request_id, call.patience_seconds()
            )
        )

    async def GetPayment(
        self, request: payment_pb2.GetPaymentRequest, call: Call
    ) -> payment_pb2.Payment:
        """One payment."""
        return payment_message(await self._service.payments.get(call.caller, request.id))

    async def ListPayments(
        self, request: payment_pb2.ListPaymentsRequest, call: Call
    ) -> payment_pb2.ListPaymentsResponse:
        """A page of payments, newest first."""
        reports, token = await self._service.payments.page(
            call.caller, request.filter, request.page_size, request.page_token
        )
        return payment_pb2.ListPaymentsResponse(
            payments=[payment_message(report) for report in reports], next_page_token=token
        )

    async def WriteOffPayment(
        self, request: payment_pb2.WriteOffPaymentRequest, call: Call
    ) -> payment_pb2.Payment:
        """Count an open payment as paid."""
        return payment_message(await self._service.payments.write_off(call.caller, request.id))


class AdminRpcs:
    """AdminService."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def GetStatus(self, _request: admin_pb2.GetStatusRequest, _: Call) -> admin_pb2.Status:
        """The daemon at one look."""
        return status_message(self._service.sending.report())

    async def StopSending(
        self, request: admin_pb2.StopSendingRequest, call: Call
    ) -> admin_pb2.Status:
        """Stop with reason OPERATOR."""
        return status_message(
            await self._service.sending.stop(request.drain, call.patience_seconds())
        )

    async def StartSending(
        self, request: admin_pb2.StartSendingRequest, _: Call
    ) -> admin_pb2.Status:
        """Lift what a person may lift."""
        return status_message(
            await self._service.sending.start(hex_bytes(request.accept_node, "accept_node"))
        )

    async def CreateKey(
        self, request: admin_pb2.CreateKeyRequest, _: Call
    ) -> admin_pb2.CreateKeyResponse:
        """A new key, and its text this once."""
        report, text = await self._service.keys.create(_key_order(request))
        return admin_pb2.CreateKeyResponse(key=key_message(report), text=text)

    async def ImportKey(self, request: admin_pb2.ImportKeyRequest, _: Call) -> admin_pb2.Key:
        """Take over a key that is in use."""
        return key_message(await self._service.keys.take(_key_order(request), request.text))

    async def ListKeys(
        self, _request: admin_pb2.ListKeysRequest, _: Call
    ) -> admin_pb2.ListKeysResponse:
        """Every key."""
        return admin_pb2.ListKeysResponse(
            keys=[key_message(report) for report in self._service.keys.page()]
        )

    async def RevokeKey(self, request: admin_pb2.RevokeKeyRequest, _: Call) -> admin_pb2.Key:
        """End a key."""
        return key_message(await self._service.keys.revoke(request.id))


def _key_order(request: admin_pb2.CreateKeyRequest | admin_pb2.ImportKeyRequest) -> KeyOrder:
    if not request.HasField("key"):
        raise InvalidArgument("key is missing")
    return key_order(request.key)
