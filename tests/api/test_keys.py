"""API keys as their owners and the admin meet them: own things only, whom they pay, how much, how
long.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from streamer._proto.imp.api.lightning import lightning_pb2 as ln
from streamer._proto.streamer.v1 import admin_pb2, payment_pb2, stream_pb2
from streamer.client import CallFailed, Client
from streamer.client.watching import SILENCE_SECONDS
from streamer.service import Keyring
from streamer.simulator.node import SimulatedNode
from streamer.words.model import PaymentQuery
from streamer.words.money import SECOND_NS
from tests.api.house import KEY, House, in_house

ALL = ("streams:read", "streams:write", "payments:read", "payments:write")


def order(house: House, name: str = "receiver", **fields: Any) -> stream_pb2.Stream:
    given = {
        "destination": house.pubkey(name),
        "amount_msat": 5_000,
        "interval": Duration(seconds=60),
        **fields,
    }
    return stream_pb2.Stream(**given)


async def opened(
    client: Client, stream: stream_pb2.Stream, request_id: str = "", **fields: Any
) -> stream_pb2.Stream:
    request = stream_pb2.CreateStreamRequest(stream=stream, request_id=request_id, **fields)
    made: stream_pb2.Stream = await client.call(client.streams.CreateStream, request)
    return made


async def shown(client: Client, stream_id: str) -> stream_pb2.Stream:
    found: stream_pb2.Stream = await client.call(
        client.streams.GetStream, stream_pb2.GetStreamRequest(id=stream_id)
    )
    return found


async def pay(
    client: Client, destination: str, amount_msat: int = 7_000, request_id: str = "p", **fields: Any
) -> payment_pb2.Payment:
    request = payment_pb2.CreatePaymentRequest(
        destination=destination, amount_msat=amount_msat, request_id=request_id, **fields
    )
    paid: payment_pb2.Payment = await client.call(client.payments.CreatePayment, request)
    return paid


async def refused(call: Any) -> tuple[str, str, str]:
    with pytest.raises(CallFailed) as caught:
        await call
    return caught.value.code, caught.value.reason, str(caught.value)


async def listed(house: House) -> dict[str, admin_pb2.Key]:
    reply = await house.client.call(house.client.admin.ListKeys, admin_pb2.ListKeysRequest())
    return {key.id: key for key in reply.keys}


def test_a_key_is_shown_once_and_kept_as_a_digest_only() -> None:
    async def test(house: House) -> None:
        made, text = await house.key(*ALL, name="radio", max_streams=3)
        assert len(text) == 64 and made.id.startswith("key_") and made.name == "radio"
        found = await listed(house)
        assert list(found) == [made.id] and text not in str(found)
        kept = house.store.load().keys[0]
        assert kept.digest and text not in str(kept) and text.encode() not in kept.digest
        assert kept.digest != Keyring(b"another secret", KEY).digest(text), (
            "a copy of the journal alone lets nobody try keys"
        )
        async with house.as_key(text) as mine:
            await opened(mine, order(house))

    in_house(test)


def test_a_key_sees_its_own_streams_and_payments_and_the_admin_sees_all() -> None:
    async def test(house: House) -> None:
        (_, one), (_, two) = await house.key(*ALL), await house.key(*ALL)
        async with house.as_key(one) as mine, house.as_key(two) as other:
            stream, paid = (
                await opened(mine, order(house, ttl=Duration(seconds=60))),
                await pay(mine, house.pubkey("receiver")),
            )
            unknown = "st_" + "0" * 32
            for call, request in (
                ("GetStream", stream_pb2.GetStreamRequest),
                ("PauseStream", stream_pb2.PauseStreamRequest),
                ("ResumeStream", stream_pb2.ResumeStreamRequest),
                ("CancelStream", stream_pb2.CancelStreamRequest),
            ):
                foreign = await refused(
                    other.call(getattr(other.streams, call), request(id=stream.id))
                )
                nothing = await refused(
                    other.call(getattr(other.streams, call), request(id=unknown))
                )
                assert foreign[:2] == ("NOT_FOUND", "NOT_FOUND")
                assert foreign == (*nothing[:2], nothing[2].replace(unknown, stream.id)), (
                    "foreign and unknown are told alike"
                )
            change = stream_pb2.UpdateStreamRequest(
                stream=stream_pb2.Stream(id=stream.id, group="x"),
                update_mask=FieldMask(paths=["group"]),
            )
            assert (await refused(other.call(other.streams.UpdateStream, change)))[0] == "NOT_FOUND"
            for payment_id in (paid.id, f"{stream.id}.1"):
                wanted = payment_pb2.GetPaymentRequest(id=payment_id)
                assert (await refused(other.call(other.payments.GetPayment, wanted)))[
                    0
                ] == "NOT_FOUND"
                assert (await mine.call(mine.payments.GetPayment, wanted)).id == payment_id
            seen = []
            for client in (mine, other, house.client):
                streams = await client.call(
                    client.streams.ListStreams, stream_pb2.ListStreamsRequest()
                )
                payments = await client.call(
                    client.payments.ListPayments, payment_pb2.ListPaymentsRequest()
                )
                renewed = await client.call(
                    client.streams.RenewStreams, stream_pb2.RenewStreamsRequest()
                )
                seen.append(
                    (
                        len(streams.streams),
                        {payment.id for payment in payments.payments} >= {paid.id},
                        renewed.renewed,
                    )
                )
            assert seen == [(1, True, 1), (0, False, 0), (1, True, 1)]
            foreign_list = payment_pb2.ListPaymentsRequest(filter=f"stream={stream.id}")
            assert not (await other.call(other.payments.ListPayments, foreign_list)).payments
            assert (await shown(house.client, stream.id)).key_id == stream.key_id != "admin"

    in_house(test)


def test_a_watcher_sees_events_of_its_own_streams_only() -> None:
    async def test(house: House) -> None:
        (key, one), (_, two) = await house.key(*ALL), await house.key(*ALL)
        async with house.as_key(one) as mine, house.as_key(two) as other:
            events = mine.events("", 0, SILENCE_SECONDS)
            assert not (await anext(events)).HasField("stream"), (
                "begun: nothing is missed from here on"
            )
            await opened(other, order(house))
            stream = await opened(mine, order(house))
            async with asyncio.timeout(10):
                while not (event := await anext(events)).HasField("stream"):
                    pass
            assert event.stream.id == stream.id
            await house.client.call(
                house.client.admin.RevokeKey, admin_pb2.RevokeKeyRequest(id=key.id)
            )
            with pytest.raises(CallFailed, match="was revoked") as caught:
                async with asyncio.timeout(10):
                    async for event in events:
                        assert event.stream.reason != "KEY_REVOKED", (
                            "what happens after the end of the key is not for it"
                        )
            assert caught.value.code == "PERMISSION_DENIED"

    in_house(test)


def test_request_ids_of_keys_do_not_meet() -> None:
    async def test(house: House) -> None:
        (_, one), (_, two) = await house.key(*ALL), await house.key(*ALL)
        async with house.as_key(one) as mine, house.as_key(two) as other:
            paid = [
                await pay(client, house.pubkey("receiver"), amount)
                for client, amount in ((mine, 7_000), (other, 8_000))
            ]
            paid.append(await pay(house.client, house.pubkey("receiver"), 9_000))
            assert len({payment.id for payment in paid}) == 3
            assert (await pay(mine, house.pubkey("receiver"), 7_000)).id == paid[0].id
            code, _, text = await refused(pay(mine, house.pubkey("receiver"), 8_000))
            assert code == "ALREADY_EXISTS" and text.startswith(
                f"request_id 'p' was used for {paid[0].id}"
            )
            streams = [
                await opened(client, order(house), "s") for client in (mine, other, house.client)
            ]
            assert len({stream.id for stream in streams}) == 3
            assert (
                await refused(pay(house.client, house.pubkey("receiver"), request_id="1\x1fp"))
            )[0] == "INVALID_ARGUMENT"

    in_house(test)


def test_a_key_that_leaked_cannot_pay_anybody_but_those_it_is_bound_to() -> None:
    async def test(house: House) -> None:
        _, text = await house.key(*ALL, destinations=[house.pubkey("receiver")])
        thief = house.pubkey("other")
        async with house.as_key(text) as leaked:
            tries = [
                opened(leaked, order(house, "other")),
                opened(leaked, order(house, "other"), validate_only=True),
                pay(leaked, thief),
                pay(leaked, thief.upper(), request_id="other case"),
            ]
            for call in tries:
                code, reason, text = await refused(call)
                assert (code, reason) == ("PERMISSION_DENIED", "DESTINATION_NOT_ALLOWED"), text
            stream = await opened(leaked, order(house))
            moved = stream_pb2.Stream(id=stream.id, destination=thief)
            for path in ("destination", "id", "node"):
                change = stream_pb2.UpdateStreamRequest(
                    stream=moved, update_mask=FieldMask(paths=[path])
                )
                assert (await refused(leaked.call(leaked.streams.UpdateStream, change)))[
                    0
                ] == "INVALID_ARGUMENT"
            both = stream_pb2.UpdateStreamRequest(
                stream=moved, update_mask=FieldMask(paths=["group"])
            )
            assert (
                await leaked.call(leaked.streams.UpdateStream, both)
            ).destination == house.pubkey("receiver")
            await pay(leaked, house.pubkey("receiver"))
            for method in ("CreateKey", "ListKeys", "RevokeKey", "ImportKey"):
                request = getattr(admin_pb2, f"{method}Request")()
                assert (await refused(leaked.call(getattr(leaked.admin, method), request)))[
                    1
                ] == "SCOPE_MISSING"
        assert not house.network.named["other"].received
        assert len(house.network.named["receiver"].received) >= 2

    in_house(test)


def test_a_key_that_leaked_cannot_pay_an_invoice_or_keysend_of_anybody_else_either() -> None:
    async def test(house: House) -> None:
        _, text = await house.key(
            *ALL,
            destinations=[house.pubkey("receiver")],
            budget=stream_pb2.Budget(amount_msat=20_000, period="total"),
        )
        theirs, good, dear = [
            await SimulatedNode(house.simulation, name).add_invoice(amount, "tea", 600)
            for name, amount in (("other", 7_000), ("receiver", 7_000), ("receiver", 14_000))
        ]
        async with house.as_key(text) as leaked:
            tries = [
                leaked.call(leaked.lightning.PayInvoice, ln.PayInvoiceRequest(invoice=theirs), 30),
                leaked.call(
                    leaked.lightning.PayInvoice,
                    ln.PayInvoiceRequest(invoice="lightning:" + theirs.upper()),
                    30,
                ),
                leaked.call(
                    leaked.payments.CreatePayment,
                    payment_pb2.CreatePaymentRequest(payment_request=theirs, request_id="i"),
                ),
                leaked.call(
                    leaked.lightning.Keysend,
                    ln.KeysendRequest(destination=house.pubkey("other"), amount=3, request_id="k"),
                ),
            ]
            for call in tries:
                code, reason, words = await refused(call)
                assert (code, reason) == ("PERMISSION_DENIED", "DESTINATION_NOT_ALLOWED"), words
            preimage = (
                await leaked.call(
                    leaked.lightning.PayInvoice, ln.PayInvoiceRequest(invoice=good), 30
                )
            ).preimage
            again = await leaked.call(
                leaked.lightning.PayInvoice, ln.PayInvoiceRequest(invoice=good), 30
            )
            assert again.preimage == preimage
            code, reason, _ = await refused(
                leaked.call(leaked.lightning.PayInvoice, ln.PayInvoiceRequest(invoice=dear), 30)
            )
            assert (code, reason) == ("RESOURCE_EXHAUSTED", "KEY_BUDGET_SPENT")
        _, other_text = await house.key(*ALL)
        async with house.as_key(other_text) as other:
            code, reason, words = await refused(
                other.call(other.lightning.PayInvoice, ln.PayInvoiceRequest(invoice=good), 30)
            )
            assert (code, reason) == ("PERMISSION_DENIED", "KEY_OTHER") and preimage not in words
        assert not house.network.named["other"].received
        [key] = [key for key in (await listed(house)).values() if key.HasField("budget")]
        assert (key.spent_msat, key.reserved_msat) == (7_000, 0)

    in_house(test)


def test_a_budget_holds_under_a_hundred_calls_at_once_to_the_msat() -> None:
    async def test(house: House) -> None:
        key, text = await house.key(
            *ALL, budget=stream_pb2.Budget(amount_msat=100_000, period="total")
        )
        async with house.as_key(text) as mine:
            calls = (
                pay(mine, house.pubkey("receiver"), 3_000, f"p{n}", fee_limit_msat=1)
                for n in range(100)
            )
            results = await asyncio.gather(*calls, return_exceptions=True)
        paid = [found for found in results if isinstance(found, payment_pb2.Payment)]
        failed = [found for found in results if isinstance(found, CallFailed)]
        assert len(paid) + len(failed) == 100
        assert {(error.code, error.reason) for error in failed} == {
            ("RESOURCE_EXHAUSTED", "KEY_BUDGET_SPENT")
        }
        spent = sum(payment.amount_msat + payment.fee_msat for payment in paid)
        assert spent == sum(
            htlc.amount_msat for htlc in house.network.named["receiver"].received
        ) + sum(p.fee_msat for p in paid)
        assert 100_000 - 3_001 < spent <= 100_000, "all that fits, and nothing above"
        now = (await listed(house))[key.id]
        assert (now.spent_msat, now.reserved_msat) == (spent, 0)
        snapshot = house.store.load()
        assert {spend.scope: spend.spent_msat for spend in snapshot.spends}["key.1"] == spent
        rows = await house.store.payments(PaymentQuery(api_key=1, limit=1_000))
        assert len(rows) == len(paid), "what was refused left no trace"

    in_house(test)


def test_revoking_refuses_at_once_pauses_at_once_and_is_for_good() -> None:
    async def test(house: House) -> None:
        key, text = await house.key(*ALL)
        async with house.as_key(text) as mine:
            stream = await opened(
                mine, order(house, amount_msat=1_000, interval=Duration(seconds=1))
            )
            ended = await house.client.call(
                house.client.admin.RevokeKey, admin_pb2.RevokeKeyRequest(id=key.id)
            )
            assert ended.revoke_time.seconds and ended.streams == 1
            assert (await refused(shown(mine, stream.id)))[:2] == (
                "PERMISSION_DENIED",
                "KEY_REVOKED",
            )
            assert (await refused(pay(mine, house.pubkey("receiver"))))[1] == "KEY_REVOKED"
        now = await shown(house.client, stream.id)
        assert (now.state, now.reason) == (stream_pb2.Stream.PAUSED, "KEY_REVOKED")
        assert "its API key was revoked" in now.explanation
        kept = house.store.load()
        assert kept.keys[0].revoke_time_ns and kept.streams[0].reason == "KEY_REVOKED"
        request = stream_pb2.ResumeStreamRequest(id=stream.id)
        code, _, words = await refused(
            house.client.call(house.client.streams.ResumeStream, request)
        )
        assert code == "FAILED_PRECONDITION" and "open another with a key that is good" in words
        again = await house.client.call(
            house.client.admin.RevokeKey, admin_pb2.RevokeKeyRequest(id=key.id)
        )
        assert again == ended
        for word, reason in (
            ("", "INVALID_ARGUMENT"),
            ("radio", "INVALID_ARGUMENT"),
            ("key_0", "NOT_FOUND"),
        ):
            assert (
                await refused(
                    house.client.call(
                        house.client.admin.RevokeKey, admin_pb2.RevokeKeyRequest(id=word)
                    )
                )
            )[1] == reason
        assert (
            await house.client.call(
                house.client.streams.CancelStream, stream_pb2.CancelStreamRequest(id=stream.id)
            )
        ).reason == "USER"

    in_house(test)


def test_a_key_that_is_revoked_while_its_call_waits_opens_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def test(house: House) -> None:
        key, text = await house.key(*ALL)
        found = house.store.request
        asked = asyncio.Event()

        async def slowly(name: str) -> Any:
            asked.set()
            await revoked.wait()
            return await found(name)

        revoked = asyncio.Event()
        monkeypatch.setattr(house.store, "request", slowly)
        async with house.as_key(text) as mine:
            calls = [
                asyncio.ensure_future(refused(opened(mine, order(house), "r"))),
                asyncio.ensure_future(refused(pay(mine, house.pubkey("receiver")))),
            ]
            await asked.wait()
            await house.client.call(
                house.client.admin.RevokeKey, admin_pb2.RevokeKeyRequest(id=key.id)
            )
            revoked.set()
            assert {(await call)[1] for call in calls} == {"KEY_REVOKED"}
        assert not house.engine.book.streams and not house.network.named["receiver"].received

    in_house(test)


def test_an_expired_key_is_a_revoked_one() -> None:
    async def test(house: House) -> None:
        soon = Timestamp()
        soon.FromNanoseconds(house.clock.now_ns() + 3600 * SECOND_NS)
        _, text = await house.key(*ALL, expire_time=soon)
        async with house.as_key(text) as mine:
            stream = await opened(mine, order(house))
            await house.service.keys.end_expired()
            assert (await shown(mine, stream.id)).state == stream_pb2.Stream.ACTIVE
            house.clock.leap(3600 * SECOND_NS)
            assert (await refused(shown(mine, stream.id)))[:2] == (
                "PERMISSION_DENIED",
                "KEY_EXPIRED",
            )
            await house.service.keys.end_expired()
            assert (await refused(shown(mine, stream.id)))[1] == "KEY_EXPIRED"
        assert (await shown(house.client, stream.id)).reason == "KEY_REVOKED"

    in_house(test)


def test_a_key_has_at_most_its_number_of_streams() -> None:
    async def test(house: House) -> None:
        _, text = await house.key(*ALL, max_streams=2)
        async with house.as_key(text) as mine:
            one = await opened(mine, order(house))
            await opened(mine, order(house))
            code, reason, _ = await refused(opened(mine, order(house)))
            assert (code, reason) == ("RESOURCE_EXHAUSTED", "KEY_MAX_STREAMS")
            await opened(house.client, order(house))
            cancelled = await mine.call(
                mine.streams.CancelStream, stream_pb2.CancelStreamRequest(id=one.id)
            )
            while cancelled.state != stream_pb2.Stream.CANCELLED:
                cancelled = await shown(mine, one.id)
            await opened(mine, order(house))

    in_house(test)


def test_one_payment_that_no_budget_holds_is_refused_when_it_is_ordered() -> None:
    async def test(house: House) -> None:
        _, text = await house.key(*ALL, budget=stream_pb2.Budget(amount_msat=8_000, period="1h"))
        async with house.as_key(text) as mine:
            for call in (
                pay(mine, house.pubkey("receiver"), 8_000),
                opened(mine, order(house)),
                opened(mine, order(house), validate_only=True),
            ):
                code, _, words = await refused(call)
                assert (
                    code == "INVALID_ARGUMENT" and "more than the whole budget of the key" in words
                )
            stream = await opened(mine, order(house, amount_msat=2_000))
            more = stream_pb2.UpdateStreamRequest(
                stream=stream_pb2.Stream(
                    id=stream.id, amount_msat=9_000, interval=Duration(seconds=60)
                ),
                update_mask=FieldMask(paths=["amount_msat"]),
            )
            for client in (mine, house.client):
                assert (
                    "whole budget of the key"
                    in (await refused(client.call(client.streams.UpdateStream, more)))[2]
                )
        for call in (
            pay(house.client, house.pubkey("receiver"), 1_000_000),
            opened(house.client, order(house, amount_msat=1_000_000)),
        ):
            code, _, words = await refused(call)
            assert (
                code == "INVALID_ARGUMENT" and "more than the daemon's whole spend limit" in words
            )
        assert house.engine.book.shared.switch.sending, (
            "what could never be paid does not stop the daemon"
        )

    in_house(test, limit_msat=1_000_000)
