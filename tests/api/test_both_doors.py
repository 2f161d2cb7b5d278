"""Each method over gRPC and over HTTP: the same answer, and the same error."""

from __future__ import annotations

from collections.abc import Callable

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from streamer._proto.imp.api.lightning import lightning_pb2
from streamer._proto.streamer.v1 import admin_pb2, payment_pb2, stream_pb2
from streamer.api.errors import MAX_MESSAGE_BYTES
from streamer.api.services import SERVICES, Rpc, served
from streamer.core import ends
from streamer.simulator.network.invoices import Wanted, add_invoice
from streamer.words.model import Facts, Mark
from tests.api.house import KEY, House, in_house
from tests.api.overhttp import Said, over_grpc, over_http

UNARY: dict[str, MethodDescriptor] = {
    f"{service.name}/{method.name}": method
    for service, _ in SERVICES
    for method in service.methods
    if not method.server_streaming
}
UNKNOWN = "st_" + "0" * 32


def stream(house: House, **fields: object) -> stream_pb2.Stream:
    given = {
        "destination": house.pubkey("receiver"),
        "amount_msat": 5_000,
        "interval": Duration(seconds=60),
        **fields,
    }
    return stream_pb2.Stream(**given)  # type: ignore[arg-type]


async def made(house: House) -> stream_pb2.Stream:
    """A stream that will not change by itself."""
    await house.client.call(house.client.admin.StopSending, admin_pb2.StopSendingRequest())
    request = stream_pb2.CreateStreamRequest(
        stream=stream(house, labels={"app": "x"}, ttl=Duration(seconds=3600)), request_id="one"
    )
    one = await house.client.call(house.client.streams.CreateStream, request)
    still: stream_pb2.Stream = await house.client.call(
        house.client.streams.PauseStream, stream_pb2.PauseStreamRequest(id=one.id)
    )
    return still


async def paid(house: House) -> payment_pb2.Payment:
    request = payment_pb2.CreatePaymentRequest(
        destination=house.pubkey("receiver"), amount_msat=7_000, request_id="p"
    )
    invoice = invoice_of(house, "receiver")
    await house.client.call(
        house.client.lightning.PayInvoice, lightning_pb2.PayInvoiceRequest(invoice=invoice)
    )
    made: payment_pb2.Payment = await house.client.call(
        house.client.payments.CreatePayment, request
    )
    return made


def invoice_of(house: House, name: str) -> str:
    """The one invoice of a node: made at the first call."""
    node = house.network.named[name]
    made = [
        invoice.payment_request for invoice in node.invoices.values() if invoice.payment_request
    ]
    return made[0] if made else add_invoice(house.network, node, Wanted(9_000)).payment_request


Make = Callable[[House, str, str], Message]
"""From the house, the stream's id and the payment's: a request."""

ANSWERED: dict[str, list[Make]] = {
    "StreamService/CreateStream": [
        lambda house, *_: stream_pb2.CreateStreamRequest(
            stream=stream(house, group="radio", labels={"a.b": "c=d"}), request_id="two"
        ),
    ],
    "StreamService/GetStream": [lambda _, one, __: stream_pb2.GetStreamRequest(id=one)],
    "StreamService/ListStreams": [
        lambda *_: stream_pb2.ListStreamsRequest(),
        lambda *_: stream_pb2.ListStreamsRequest(page_size=1, filter="state=PAUSED labels.app=x"),
    ],
    "StreamService/UpdateStream": [
        lambda _, one, __: stream_pb2.UpdateStreamRequest(
            stream=stream_pb2.Stream(
                id=one, group="tv", budget=stream_pb2.Budget(amount_msat=10**9, period="1h")
            ),
            update_mask=FieldMask(paths=["group", "budget"]),
        ),
    ],
    "StreamService/PauseStream": [lambda _, one, __: stream_pb2.PauseStreamRequest(id=one)],
    "StreamService/ResumeStream": [lambda _, one, __: stream_pb2.ResumeStreamRequest(id=one)],
    "StreamService/CancelStream": [lambda _, one, __: stream_pb2.CancelStreamRequest(id=one)],
    "StreamService/RenewStreams": [
        lambda *_: stream_pb2.RenewStreamsRequest(filter="labels.app=x")
    ],
    "PaymentService/CreatePayment": [
        lambda house, *_: payment_pb2.CreatePaymentRequest(
            destination=house.pubkey("receiver"), amount_msat=7_000, request_id="p"
        ),
    ],
    "PaymentService/GetPayment": [lambda _, __, payment: payment_pb2.GetPaymentRequest(id=payment)],
    "PaymentService/ListPayments": [
        lambda *_: payment_pb2.ListPaymentsRequest(page_size=5, filter="state=SETTLED")
    ],
    "Lightning/PayInvoice": [
        lambda house, *_: lightning_pb2.PayInvoiceRequest(invoice=invoice_of(house, "receiver"))
    ],
    "Lightning/CheckInvoice": [
        lambda house, *_: lightning_pb2.CheckInvoiceRequest(invoice=invoice_of(house, "payer"))
    ],
    "Lightning/GetChannels": [lambda *_: lightning_pb2.GetChannelsRequest()],
    "Lightning/ListPayments": [lambda *_: lightning_pb2.ListPaymentsRequest()],
    "Lightning/ListInvoices": [lambda *_: lightning_pb2.ListInvoicesRequest()],
    "Lightning/Keysend": [
        lambda house, *_: lightning_pb2.KeysendRequest(
            destination=house.pubkey("receiver"), amount=7, request_id="p"
        )
    ],
    "AdminService/GetStatus": [lambda *_: admin_pb2.GetStatusRequest()],
    "AdminService/StopSending": [lambda *_: admin_pb2.StopSendingRequest(drain=True)],
    "AdminService/ListKeys": [lambda *_: admin_pb2.ListKeysRequest()],
}
"""What answers, and answers the same when it is asked again."""

REFUSED: dict[str, list[Make]] = {
    "StreamService/CreateStream": [
        lambda house, *_: stream_pb2.CreateStreamRequest(
            stream=stream(house, amount_msat=-1), validate_only=True
        ),
        lambda house, *_: stream_pb2.CreateStreamRequest(stream=stream(house), request_id="one"),
    ],
    "StreamService/GetStream": [
        lambda *_: stream_pb2.GetStreamRequest(id=UNKNOWN),
        lambda *_: stream_pb2.GetStreamRequest(id="a/b:c é"),
    ],
    "StreamService/ListStreams": [
        lambda *_: stream_pb2.ListStreamsRequest(filter="colour=red"),
        lambda *_: stream_pb2.ListStreamsRequest(page_size=-1),
        lambda *_: stream_pb2.ListStreamsRequest(page_token="?"),
    ],
    "StreamService/UpdateStream": [
        lambda _, one, __: stream_pb2.UpdateStreamRequest(
            stream=stream_pb2.Stream(id=one), update_mask=FieldMask(paths=["destination"])
        ),
        lambda _, one, __: stream_pb2.UpdateStreamRequest(stream=stream_pb2.Stream(id=one)),
    ],
    "StreamService/PauseStream": [lambda *_: stream_pb2.PauseStreamRequest(id=UNKNOWN)],
    "StreamService/ResumeStream": [lambda *_: stream_pb2.ResumeStreamRequest(id=UNKNOWN)],
    "StreamService/CancelStream": [lambda *_: stream_pb2.CancelStreamRequest(id=UNKNOWN)],
    "StreamService/RenewStreams": [lambda *_: stream_pb2.RenewStreamsRequest(filter="x")],
    "PaymentService/CreatePayment": [
        lambda *_: payment_pb2.CreatePaymentRequest(),
        lambda house, *_: payment_pb2.CreatePaymentRequest(
            destination=house.pubkey("receiver"), amount_msat=8_000, request_id="p"
        ),
    ],
    "PaymentService/GetPayment": [lambda *_: payment_pb2.GetPaymentRequest(id="pay_" + "0" * 32)],
    "PaymentService/ListPayments": [
        lambda *_: payment_pb2.ListPaymentsRequest(filter="state=LOST")
    ],
    "PaymentService/WriteOffPayment": [
        lambda _, __, payment: payment_pb2.WriteOffPaymentRequest(id=payment)
    ],
    "Lightning/GenerateInvoice": [
        lambda *_: lightning_pb2.GenerateInvoiceRequest(),
        lambda *_: lightning_pb2.GenerateInvoiceRequest(amount=1, memo="m" * 700),
    ],
    "Lightning/PayInvoice": [
        lambda *_: lightning_pb2.PayInvoiceRequest(),
        lambda *_: lightning_pb2.PayInvoiceRequest(invoice="lnbcrt1x"),
        lambda house, *_: lightning_pb2.PayInvoiceRequest(invoice=invoice_of(house, "other")),
        lambda house, *_: lightning_pb2.PayInvoiceRequest(invoice=invoice_of(house, "payer")),
    ],
    "Lightning/CheckInvoice": [
        lambda house, *_: lightning_pb2.CheckInvoiceRequest(invoice=invoice_of(house, "receiver"))
    ],
    "Lightning/Keysend": [
        lambda house, *_: lightning_pb2.KeysendRequest(
            destination=house.pubkey("receiver"), amount=7
        )
    ],
    "AdminService/StartSending": [lambda *_: admin_pb2.StartSendingRequest(accept_node="zz")],
    "AdminService/CreateKey": [
        lambda *_: admin_pb2.CreateKeyRequest(),
        lambda *_: admin_pb2.CreateKeyRequest(key=admin_pb2.Key(scopes=["everything"])),
    ],
    "AdminService/ImportKey": [
        lambda *_: admin_pb2.ImportKeyRequest(key=admin_pb2.Key(scopes=["admin"]), text="short")
    ],
    "AdminService/RevokeKey": [lambda *_: admin_pb2.RevokeKeyRequest(id="key_" + "0" * 16)],
}

VOLATILE: dict[str, tuple[str, ...]] = {
    "Status": ("store_free_bytes", "p99_lateness_seconds"),
    "Stream": ("explanation", "forecast"),
}


async def both(house: House, rpc: Rpc, request: Message, key: str = KEY) -> tuple[Said, Said]:
    metadata = {"x-api-key": key} if key else {}
    async with grpc.aio.insecure_channel(house.server) as channel:
        by_grpc = await over_grpc(channel, rpc, request, **metadata)
    by_http = await over_http(house.http, rpc, request, **{"X-API-KEY": key})
    for reply in (said.reply for said in (by_grpc, by_http) if said.reply is not None):
        for message in (reply, *getattr(reply, "streams", ())):
            for name in VOLATILE.get(message.DESCRIPTOR.name, ()):
                message.ClearField(name)
    return by_grpc, by_http


def rpc_named(house: House, name: str) -> Rpc:
    return next(rpc for rpc in served(house.service) if rpc.name == name)


@pytest.mark.parametrize("name", sorted(UNARY))
def test_a_method_says_the_same_by_both_doors(name: str) -> None:
    async def test(house: House) -> None:
        rpc, payment = rpc_named(house, name), await paid(house)
        one = await made(house)
        for key in ("", "wrong"):
            by_grpc, by_http = await both(house, rpc, rpc.request(), key)
            assert by_grpc == by_http
            assert by_grpc.code in (
                grpc.StatusCode.UNAUTHENTICATED.value[0],
                grpc.StatusCode.PERMISSION_DENIED.value[0],
            )
        for make in REFUSED.get(name, ()):
            by_grpc, by_http = await both(house, rpc, make(house, one.id, payment.id))
            assert by_grpc.reply is None
            assert by_grpc.reason
            assert by_grpc == by_http
        for make in ANSWERED.get(name, ()):
            by_grpc, by_http = await both(house, rpc, make(house, one.id, payment.id))
            assert by_grpc.reply is not None, by_grpc
            assert by_grpc == by_http

    in_house(test)


def test_an_error_that_repeats_a_long_word_keeps_its_ends() -> None:
    async def test(house: House) -> None:
        rpc = rpc_named(house, "StreamService/RenewStreams")
        for letter in "x\U0001f4b8":
            by_grpc, by_http = await both(
                house, rpc, stream_pb2.RenewStreamsRequest(filter=letter * 20_000)
            )
            assert by_grpc == by_http
            assert by_grpc.message.startswith(
                f"filter: '{letter * 50}"
            ) and by_grpc.message.endswith("labels.KEY=")
            assert by_grpc.reason == "INVALID_ARGUMENT"
            assert (
                MAX_MESSAGE_BYTES - 8
                < len(by_grpc.message.encode())
                <= MAX_MESSAGE_BYTES + len("…".encode())
            )

    in_house(test)


def test_every_method_has_its_rows() -> None:
    assert set(UNARY) <= ANSWERED.keys() | REFUSED.keys()


@pytest.mark.parametrize(
    ("problem", "code", "reason"),
    [
        ("", grpc.StatusCode.FAILED_PRECONDITION, "RECEIVER_HOLDS"),
        ("its channels are away", grpc.StatusCode.FAILED_PRECONDITION, "FAILED_PRECONDITION"),
    ],
)
def test_a_payment_to_a_receiver_that_holds_one_is_refused_with_that_reason(
    problem: str, code: grpc.StatusCode, reason: str
) -> None:
    """A program tells it from a node that cannot pay at all, which is named first."""

    async def test(house: House) -> None:
        house.simulation.faults.hold("receiver")
        destination = house.pubkey("receiver")
        first = payment_pb2.CreatePaymentRequest(
            destination=destination, amount_msat=7_000, request_id="first"
        )
        await house.client.call(house.client.payments.CreatePayment, first, 1.0)
        [held] = house.engine.book.payments.values()
        ends.mark(house.engine.book, held, Mark.HELD, held.planned_ns, Facts())
        house.engine.link.problem = problem
        second = payment_pb2.CreatePaymentRequest(
            destination=destination, amount_msat=7_000, request_id="second"
        )
        by_grpc, by_http = await both(
            house, rpc_named(house, "PaymentService/CreatePayment"), second
        )
        assert by_grpc == by_http
        assert (by_grpc.code, by_grpc.reason) == (code.value[0], reason) and (
            problem or "nothing was sent"
        ) in by_grpc.message

    in_house(test)
