"""PaymentService and AdminService over the wire."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from streamer._proto.streamer.v1 import admin_pb2, payment_pb2, stream_pb2
from streamer.client import CallFailed
from streamer.core import ends
from streamer.core.keysend import payment_hash
from streamer.service.orders import PaymentOrder, digest
from streamer.words.model import ADMIN, Facts
from streamer.words.reasons import Halt
from tests.api.house import House, in_house


async def pay(
    house: House, request_id: str = "p1", timeout: float = 15.0, **fields: object
) -> payment_pb2.Payment:
    given: dict[str, Any] = {
        "destination": house.pubkey("receiver"),
        "amount_msat": 7_000,
        "request_id": request_id,
        **fields,
    }
    request = payment_pb2.CreatePaymentRequest(**given)
    made: payment_pb2.Payment = await house.client.call(
        house.client.payments.CreatePayment, request, timeout
    )
    return made


async def listed(
    house: House, text: str = "", size: int = 0, token: str = ""
) -> payment_pb2.ListPaymentsResponse:
    request = payment_pb2.ListPaymentsRequest(filter=text, page_size=size, page_token=token)
    page: payment_pb2.ListPaymentsResponse = await house.client.call(
        house.client.payments.ListPayments, request
    )
    return page


def received(house: House, name: str = "receiver") -> list[int]:
    return [htlc.amount_msat for htlc in house.network.named[name].received]


def test_a_keysend_settles_and_gives_its_preimage_to_its_creator_only() -> None:
    async def test(house: House) -> None:
        paid = await pay(house, tlv_records=[payment_pb2.TlvRecord(type=70_000, value_hex="00ff")])
        assert paid.state == payment_pb2.Payment.SETTLED
        assert paid.id.startswith("pay_")
        assert payment_hash(bytes.fromhex(paid.preimage)).hex() == paid.payment_hash
        assert (paid.amount_msat, paid.fee_limit_msat, paid.stream_id, paid.seq) == (
            7_000,
            5_000,
            "",
            0,
        )
        assert received(house) == [7_000]
        assert house.network.named["receiver"].received[0].records[70_000] == b"\x00\xff"
        shown = await house.client.call(
            house.client.payments.GetPayment, payment_pb2.GetPaymentRequest(id=paid.id)
        )
        assert (shown.state, shown.preimage) == (payment_pb2.Payment.SETTLED, "")

    in_house(test)


def test_the_same_request_id_pays_once_even_at_once() -> None:
    async def test(house: House) -> None:
        paid = await asyncio.gather(*(pay(house) for _ in range(5)))
        assert len({payment.id for payment in paid}) == 1
        assert {payment.preimage for payment in paid} == {paid[0].preimage}
        assert received(house) == [7_000]
        with pytest.raises(CallFailed, match="with other content") as caught:
            await pay(house, amount_msat=8_000)
        assert caught.value.code == "ALREADY_EXISTS"
        assert received(house) == [7_000]

    in_house(test)


def test_a_payment_that_outlasts_the_deadline_is_pending_and_goes_on() -> None:
    async def test(house: House) -> None:
        house.simulation.faults.hold("receiver")
        paid = await pay(house, timeout=1.0)
        assert paid.state == payment_pb2.Payment.PENDING
        assert not paid.preimage
        with pytest.raises(CallFailed, match="may still end by itself") as caught:
            await house.client.call(
                house.client.payments.WriteOffPayment,
                payment_pb2.WriteOffPaymentRequest(id=paid.id),
            )
        assert caught.value.code == "FAILED_PRECONDITION"
        house.simulation.faults.release("receiver")
        again = await pay(house)
        assert (again.id, again.state) == (paid.id, payment_pb2.Payment.SETTLED)
        assert received(house) == [7_000]

    in_house(test)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"request_id": ""}, "request_id is missing: without it a retry would pay again"),
        ({"amount_msat": 0}, "amount_msat is 0"),
        ({"amount_msat": -1}, "amount_msat is negative"),
        ({"amount_msat": 999}, "amount_msat is 999 msat: at least 1 sat"),
        ({"fee_limit_msat": 0}, "fee_limit_msat is 0: at least 1"),
        ({"destination": "00"}, "destination has 1 bytes"),
        ({"node": "bob"}, "no node 'bob' is configured"),
        ({"tlv_records": [payment_pb2.TlvRecord(type=5)]}, "type 5 is reserved"),
    ],
)
def test_bad_payments_are_refused_and_nothing_is_sent(fields: dict[str, object], says: str) -> None:
    async def test(house: House) -> None:
        with pytest.raises(CallFailed) as caught:
            await pay(house, **fields)  # type: ignore[arg-type]
        assert caught.value.code == "INVALID_ARGUMENT"
        assert says in str(caught.value)
        assert not received(house)

    in_house(test)


def test_payments_are_listed_newest_first_in_pages_and_by_filter() -> None:
    async def test(house: House) -> None:
        singles = [(await pay(house, f"r{number}")).id for number in range(3)]
        stream = stream_pb2.Stream(
            destination=house.pubkey("other"), amount_msat=1_000, interval=Duration(seconds=3600)
        )
        events = house.service.streams.watch(ADMIN, "")
        made = await house.client.call(
            house.client.streams.CreateStream, stream_pb2.CreateStreamRequest(stream=stream)
        )
        async for event in events:
            if event.payment is not None:
                break
        first = await listed(house, size=3)
        rest = await listed(house, size=3, token=first.next_page_token)
        assert [payment.id for payment in (*first.payments, *rest.payments)] == [
            f"{made.id}.1",
            *reversed(singles),
        ]
        assert not rest.next_page_token
        assert [
            payment.id
            for payment in (await listed(house, f"stream={made.id} state=SETTLED")).payments
        ] == [f"{made.id}.1"]
        assert not (await listed(house, "in_doubt")).payments
        assert not (await listed(house, "state=FAILED")).payments
        with pytest.raises(CallFailed, match="filter: 'size=3' is not understood"):
            await listed(house, "size=3")

    in_house(test)


@pytest.mark.parametrize(
    ("payment_id", "says"),
    [
        ("st_00", "'st_00' is no payment's id"),
        ("x", "'x' is no payment's id"),
        ("st_00.5", "no payment st_00.5"),
        ("st_00." + "9" * 18, "no payment st_00.9"),
        ("st_00.9223372036854775808", "is no payment's id"),
        ("st_00." + "9" * 5_000, "is no payment's id"),
    ],
)
def test_unknown_payments(payment_id: str, says: str) -> None:
    async def test(house: House) -> None:
        with pytest.raises(CallFailed, match=says):
            await house.client.call(
                house.client.payments.GetPayment, payment_pb2.GetPaymentRequest(id=payment_id)
            )

    in_house(test)


def test_stop_holds_everything_and_is_durable() -> None:
    async def test(house: House) -> None:
        admin = house.client.admin
        status = await house.client.call(
            admin.StopSending, admin_pb2.StopSendingRequest(drain=True)
        )
        assert (status.sending, list(status.stopped_by), status.healthy) == (
            False,
            ["OPERATOR"],
            False,
        )
        assert any("sending is stopped (OPERATOR)" in problem for problem in status.problems)
        with pytest.raises(CallFailed, match=r"sending is stopped \(OPERATOR\)") as caught:
            await pay(house)
        assert caught.value.code == "FAILED_PRECONDITION"
        assert not received(house)
        assert house.store.reopen().load().settings["halt.OPERATOR"]

    in_house(test)


def test_start_lifts_operator_and_spend_limit_and_replays_a_failed_store() -> None:
    async def test(house: House) -> None:
        admin, switch = house.client.admin, house.engine.book.shared.switch
        await house.client.call(admin.StopSending, admin_pb2.StopSendingRequest())
        switch.stop(Halt.SPEND_LIMIT, "reached")
        house.engine.book.budgets.spend_limit.spent_msat = 10**12
        status = await house.client.call(admin.StartSending, admin_pb2.StartSendingRequest())
        assert (status.sending, status.spent_msat) == (True, 0)
        assert (await pay(house)).state == payment_pb2.Payment.SETTLED
        switch.stop(Halt.STORE_FAILED, "disk")
        status = await house.client.call(admin.StartSending, admin_pb2.StartSendingRequest())
        assert house.replays == [1]
        assert not status.sending
        with pytest.raises(CallFailed, match="no node has changed its identity"):
            await house.client.call(
                admin.StartSending, admin_pb2.StartSendingRequest(accept_node="02ab")
            )

    in_house(test)


def test_status_counts_what_was_paid_and_names_what_is_wrong() -> None:
    async def test(house: House) -> None:
        await pay(house)
        status = await house.client.call(house.client.admin.GetStatus, admin_pb2.GetStatusRequest())
        assert (status.healthy, list(status.problems)) == (True, [])
        assert (status.payments_settled, status.paid_msat, status.spent_msat) == (1, 7_000, 7_000)
        node = status.nodes[0]
        assert (node.name, node.up, node.pubkey, node.network) == (
            "payer",
            True,
            house.pubkey("payer"),
            "regtest",
        )
        house.engine.link.problem = "no way"
        status = await house.client.call(house.client.admin.GetStatus, admin_pb2.GetStatusRequest())
        assert list(status.problems) == ["node payer: no way"]

    in_house(test)


def test_a_payment_in_doubt_is_listed_and_can_be_written_off_for_good() -> None:
    async def test(house: House) -> None:
        house.simulation.faults.hold("receiver")
        paid = await pay(house, timeout=1.0)
        payment = next(iter(house.engine.book.payments.values()))
        ends.doubt(house.engine.book, payment, payment.planned_ns, Facts())
        assert [
            (found.id, found.in_doubt) for found in (await listed(house, "in_doubt")).payments
        ] == [(paid.id, True)]
        request = payment_pb2.WriteOffPaymentRequest(id=paid.id)
        done = await house.client.call(house.client.payments.WriteOffPayment, request)
        assert done.state == payment_pb2.Payment.WRITTEN_OFF
        assert (
            await house.client.call(house.client.payments.WriteOffPayment, request)
        ).state == payment_pb2.Payment.WRITTEN_OFF
        stored = await house.store.payment(paid.id, 0)
        assert stored is not None
        assert stored.state == "WRITTEN_OFF"
        assert house.engine.book.budgets.spend_limit.spent_msat == 7_000 + 5_000
        assert (await pay(house)).state == payment_pb2.Payment.WRITTEN_OFF
        settled = await pay(house, "other", destination=house.pubkey("other"))
        with pytest.raises(CallFailed, match="there is nothing to write off"):
            await house.client.call(
                house.client.payments.WriteOffPayment,
                payment_pb2.WriteOffPaymentRequest(id=settled.id),
            )

    in_house(test)


def test_even_a_hasty_reply_means_durable() -> None:
    async def test(house: House) -> None:
        gate = asyncio.Event()

        async def commit() -> None:
            await gate.wait()

        house.store.commit = commit
        hasty = asyncio.ensure_future(
            house.service.payments.create(
                ADMIN, PaymentOrder(bytes.fromhex(house.pubkey("receiver")), 7_000), "hasty", 0.0
            )
        )
        done, _ = await asyncio.wait({hasty}, timeout=0.3)
        assert not done
        gate.set()
        report = await hasty
        assert await house.store.request("hasty") == (
            report.payment.owner,
            digest(PaymentOrder(report.payment.destination, 7_000)),
        )

    in_house(test)
