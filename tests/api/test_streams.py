"""StreamService over the wire: what is opened is paid, changed, refused and shown as documented."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from streamer._proto.streamer.v1 import payment_pb2, stream_pb2
from streamer.client import CallFailed
from streamer.words.model import ADMIN
from streamer.words.settings import StreamSettings
from tests.api.house import House, in_house

GOOD = "02eec7245d6b7d2ccb30380bfbe2a3648cd7a942653f5aa340edcea1f283686619"
"""A public key from BOLT 4's test vectors."""


def wanted(house: House | None = None, **fields: object) -> stream_pb2.Stream:
    given = {
        "destination": house.pubkey("receiver") if house else GOOD,
        "amount_msat": 1_000,
        "interval": Duration(seconds=1),
        **fields,
    }
    return stream_pb2.Stream(**given)  # type: ignore[arg-type]


async def create(
    house: House, stream: stream_pb2.Stream, request_id: str = "", dry: bool = False
) -> stream_pb2.Stream:
    request = stream_pb2.CreateStreamRequest(
        stream=stream, request_id=request_id, validate_only=dry
    )
    made: stream_pb2.Stream = await house.client.call(house.client.streams.CreateStream, request)
    return made


async def get(house: House, stream_id: str) -> stream_pb2.Stream:
    found: stream_pb2.Stream = await house.client.call(
        house.client.streams.GetStream, stream_pb2.GetStreamRequest(id=stream_id)
    )
    return found


def test_a_stream_is_opened_paid_and_shown() -> None:
    async def test(house: House) -> None:
        events = house.service.streams.watch(ADMIN, "")
        made = await create(house, wanted(house, group="radio", labels={"app": "x"}, token="abcd"))
        assert made.id.startswith("st_")
        assert len(made.id) == 35
        assert made.state == stream_pb2.Stream.ACTIVE
        assert made.payment_interval == Duration(seconds=1)
        assert made.forecast.msat_per_hour == 3_600_000
        async for event in events:
            if event.payment is not None:
                assert event.stream is not None and event.stream.id == made.id
                break
        shown = await get(house, made.id)
        assert shown.paid_msat == 1_000
        assert shown.last_payment.state == payment_pb2.Payment.SETTLED
        assert shown.last_payment.id == f"{made.id}.1"
        assert shown.last_payment.bought_until == shown.paid_until
        assert shown.paid_until.ToNanoseconds() == shown.start_time.ToNanoseconds() + 1_000_000_000
        assert "paid ahead" in shown.explanation
        assert (shown.group, dict(shown.labels), shown.token) == ("radio", {"app": "x"}, "abcd")

    in_house(test)


def test_default_payment_interval_buys_the_minimum_and_is_not_too_short() -> None:
    async def test(house: House) -> None:
        for amount, interval_ms, expected_ms in (
            (50_000, 60_000, 60_000),
            (99, 1_000, 11_000),
            (10_000, 100, 1_000),
            (1, 1_000, 1_000_000),
        ):
            interval = Duration(seconds=interval_ms // 1000, nanos=interval_ms % 1000 * 1_000_000)
            made = await create(
                house, wanted(house, amount_msat=amount, interval=interval), dry=True
            )
            assert made.payment_interval.ToMilliseconds() == expected_ms

    in_house(test)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"destination": ""}, "destination has 0 bytes: a node's public key has 33"),
        ({"destination": "02ab"}, "destination has 2 bytes"),
        ({"destination": "xyz"}, "destination is not hex"),
        ({"destination": "05" + GOOD[2:]}, "is no public key: not a point on secp256k1"),
        ({"destination": "02" + "ff" * 32}, "is no public key"),
        ({"amount_msat": 0}, "amount_msat is 0: nothing would be paid"),
        ({"amount_msat": -5}, "amount_msat is negative (-5 msat)"),
        ({"amount_msat": 2_100_000_000_000_000_001}, "more than all bitcoin there is"),
        ({"amount_msat": 1_000_000_001}, "is absurd: more than a million sat per second"),
        ({"interval": Duration(nanos=99_000_000)}, "interval is 99ms: at least 100ms is needed"),
        ({"interval": Duration(seconds=-1)}, "interval is -1s"),
        ({"interval": Duration(seconds=1, nanos=-1)}, "interval is not a valid duration"),
        ({"interval": Duration(seconds=10**9)}, "at most 3660d"),
        ({"payment_interval": Duration(nanos=500_000_000)}, "payment_interval is 500ms: from 1s"),
        (
            {"amount_msat": 10, "payment_interval": Duration(seconds=5)},
            "buys 50 msat, less than the minimum payment of 1 sat: leave it out, or take 1m40s",
        ),
        (
            {"budget": stream_pb2.Budget(amount_msat=5_999)},
            "budget of 5,999 msat is smaller than one payment: 1 sat and a fee limit of 5 sat",
        ),
        ({"budget": stream_pb2.Budget(amount_msat=0)}, "budget.amount_msat is 0"),
        (
            {"budget": stream_pb2.Budget(amount_msat=9_000, period="soon")},
            "budget.period 'soon' is not understood",
        ),
        ({"end_time": Timestamp(seconds=1_000)}, "end_time is in the past"),
        (
            {
                "start_time": Timestamp(seconds=4_000_000_000),
                "end_time": Timestamp(seconds=3_999_999_999),
            },
            "end_time is not after start_time",
        ),
        (
            {"start_time": Timestamp(seconds=1_000)},
            "start_time is in the past: leave it out to start now",
        ),
        (
            {"tlv_records": [payment_pb2.TlvRecord(type=1000)]},
            "type 1000 is reserved: own records have types from 65536",
        ),
        (
            {"tlv_records": [payment_pb2.TlvRecord(type=5482373484)]},
            "type 5482373484 is the keysend preimage, which streamer writes itself",
        ),
        ({"tlv_records": [payment_pb2.TlvRecord(type=1937011309)]}, "is the stream record"),
        ({"tlv_records": [payment_pb2.TlvRecord(type=70000)] * 2}, "type 70000 is there twice"),
        (
            {"tlv_records": [payment_pb2.TlvRecord(type=70000, value_hex="AAE=")]},
            "value_hex of type 70000 is not hex",
        ),
        (
            {"tlv_records": [payment_pb2.TlvRecord(type=70000, value_hex="00" * 513)]},
            "have 513 bytes together: at most 512",
        ),
        ({"token": "00" * 65}, "token has 65 bytes: at most 64"),
        ({"node": "bob"}, "no node 'bob' is configured; there are: payer"),
        ({"max_payment_msat": 999}, "max_payment_msat is 999 msat: at least 1 sat is needed"),
        ({"fee_limit_ppm": 1_000_001}, "fee_limit_ppm is 1000001"),
        ({"fee_floor_msat": 0, "fee_limit_ppm": 0}, "allow no fee"),
        ({"max_open_payments": 0}, "max_open_payments is 0: from 1 to 100"),
        ({"ttl": Duration()}, "ttl is 0s: from 1s"),
        ({"catch_up": Duration(seconds=1), "catch_up_forever": True}, "exclude each other"),
        ({"labels": {"a b": "c"}}, "labels: 'a b' is no name"),
        ({"labels": {"a": "c d"}}, "labels: a is 'c d': no filter could name it"),
        ({"group": "x y"}, "group is 'x y': no filter could name it"),
        ({"group": "a\x1b[2J"}, "group is 'a\\x1b[2J': it has characters that cannot be shown"),
        (
            {"labels": {"a\x1b[2J": ""}},
            "labels: a name is 'a\\x1b[2J': it has characters that cannot be shown",
        ),
        (
            {"labels": {"a": "\u202e"}},
            "labels: a is '\\u202e': it has characters that cannot be shown",
        ),
        ({"group": "€" * 22}, "group has 66 bytes: at most 64"),
        ({"labels": {"€" * 43: ""}}, "labels: a name has 129 bytes: at most 128"),
        ({"labels": {"a": "€" * 43}}, "labels: a has 129 bytes: at most 128"),
        (
            {"tlv_records": [payment_pb2.TlvRecord(type=70000 + n) for n in range(33)]},
            "tlv_records: 33 are too many: at most 32",
        ),
    ],
)
def test_bad_input_is_refused_with_a_sentence(fields: dict[str, object], says: str) -> None:
    async def test(house: House) -> None:
        with pytest.raises(CallFailed) as caught:
            await create(house, wanted(house, **fields))
        assert caught.value.code == "INVALID_ARGUMENT"
        assert caught.value.reason == "INVALID_ARGUMENT"
        assert says in str(caught.value)
        assert not house.engine.book.streams

    in_house(test)


def test_our_own_public_key_is_refused() -> None:
    async def test(house: House) -> None:
        with pytest.raises(CallFailed, match="destination is our own node"):
            await create(house, wanted(destination=house.pubkey("payer")))

    in_house(test)


def test_the_same_request_id_gives_the_same_stream_even_at_once() -> None:
    async def test(house: House) -> None:
        made = await asyncio.gather(*(create(house, wanted(house), "r1") for _ in range(5)))
        assert len({stream.id for stream in made}) == 1
        with pytest.raises(CallFailed, match="'r1' was used for st_") as caught:
            await create(house, wanted(house, amount_msat=2_000), "r1")
        assert (caught.value.code, caught.value.reason) == ("ALREADY_EXISTS", "REQUEST_ID_REUSED")
        with pytest.raises(CallFailed, match="request_id has 129 characters"):
            await create(house, wanted(house), "x" * 129)

    in_house(test)


def test_dry_run_forecasts_and_creates_nothing() -> None:
    async def test(house: House) -> None:
        house.engine.window.capacity_per_second = 0.5
        budget = stream_pb2.Budget(amount_msat=60_000)
        made = await create(house, wanted(house, budget=budget), dry=True)
        assert made.id == ""
        forecast = made.forecast
        assert (forecast.msat_per_hour, forecast.fee_msat_per_hour, forecast.payments_per_day) == (
            3_600_000,
            18_000_000,
            86_400,
        )
        assert (
            forecast.runway_end_time.ToNanoseconds()
            == made.start_time.ToNanoseconds() + 10 * 1_000_000_000
        )
        assert any(
            "NODE_CAPACITY: this node manages 0.5 payments/s; all streams together want 1" in text
            for text in forecast.warnings
        )
        assert any(text.startswith("FEE_SHARE") for text in forecast.warnings)
        assert not house.engine.book.streams

    in_house(test)


def test_pause_resume_cancel_and_their_refusals() -> None:
    async def test(house: House) -> None:
        streams = house.client.streams
        made = await create(house, wanted(house))
        paused = await house.client.call(
            streams.PauseStream, stream_pb2.PauseStreamRequest(id=made.id)
        )
        assert (paused.state, paused.reason) == (stream_pb2.Stream.PAUSED, "USER")
        assert f"`streamer stream resume {made.id}`" in paused.explanation
        again = await house.client.call(
            streams.PauseStream, stream_pb2.PauseStreamRequest(id=made.id)
        )
        assert again.state_time == paused.state_time
        resumed = await house.client.call(
            streams.ResumeStream, stream_pb2.ResumeStreamRequest(id=made.id)
        )
        assert resumed.state == stream_pb2.Stream.ACTIVE
        cancelled = await house.client.call(
            streams.CancelStream, stream_pb2.CancelStreamRequest(id=made.id)
        )
        assert cancelled.state in (stream_pb2.Stream.CANCELLED, stream_pb2.Stream.CLOSING)
        await house.client.call(streams.CancelStream, stream_pb2.CancelStreamRequest(id=made.id))
        with pytest.raises(CallFailed, match="has ended") as caught:
            await house.client.call(streams.PauseStream, stream_pb2.PauseStreamRequest(id=made.id))
        assert caught.value.code == "FAILED_PRECONDITION"

    in_house(test)


def test_update_changes_what_the_mask_names_and_nothing_else() -> None:
    async def test(house: House) -> None:
        made = await create(house, wanted(house, group="a"))

        async def update(paths: list[str], **fields: Any) -> stream_pb2.Stream:
            stream = stream_pb2.Stream(id=made.id, **fields)
            request = stream_pb2.UpdateStreamRequest(
                stream=stream, update_mask=FieldMask(paths=paths)
            )
            updated: stream_pb2.Stream = await house.client.call(
                house.client.streams.UpdateStream, request
            )
            return updated

        changed = await update(["amount_msat"], amount_msat=100, group="ignored")
        assert (changed.amount_msat, changed.group, changed.payment_interval.seconds) == (
            100,
            "a",
            10,
        )
        changed = await update(
            ["budget", "labels"],
            budget=stream_pb2.Budget(amount_msat=50_000, period="1h"),
            labels={"k": "v"},
        )
        assert (changed.budget.amount_msat, changed.budget.period, dict(changed.labels)) == (
            50_000,
            "1h",
            {"k": "v"},
        )
        budget = stream_pb2.Budget(amount_msat=-1, period="soon")
        changed = await update(
            ["group"],
            group="b",
            destination="xyz",
            interval=Duration(seconds=-1),
            budget=budget,
            token="nonsense",
        )
        assert (changed.group, changed.budget.amount_msat) == ("b", 50_000), (
            "nothing else is read either"
        )
        changed = await update(["budget"])
        assert not changed.HasField("budget")
        changed = await update(["catch_up_forever"], catch_up_forever=True)
        assert changed.catch_up_forever
        for paths, says in (
            ([], "update_mask is empty"),
            (["destination"], "cannot be changed"),
            (["nonsense"], "is no field of a stream"),
        ):
            with pytest.raises(CallFailed, match=says):
                await update(paths)
        with pytest.raises(CallFailed, match="amount_msat is negative"):
            await update(["amount_msat"], amount_msat=-1)

    in_house(test)


def test_lists_are_paged_and_filtered() -> None:
    async def test(house: House) -> None:
        later = Timestamp(seconds=4_000_000_000)
        made = [
            await create(house, wanted(house, group=f"g{number % 2}", start_time=later))
            for number in range(5)
        ]

        async def page(**fields: Any) -> stream_pb2.ListStreamsResponse:
            request = stream_pb2.ListStreamsRequest(**fields)
            got: stream_pb2.ListStreamsResponse = await house.client.call(
                house.client.streams.ListStreams, request
            )
            return got

        first = await page(page_size=2)
        second = await page(page_size=2, page_token=first.next_page_token)
        third = await page(page_size=2, page_token=second.next_page_token)
        got = [stream.id for response in (first, second, third) for stream in response.streams]
        assert got == [stream.id for stream in reversed(made)]
        assert third.next_page_token == ""
        odd = await page(filter="group=g1 state=PENDING")
        assert [stream.id for stream in odd.streams] == [made[3].id, made[1].id]
        assert not (await page(filter="state=ACTIVE")).streams
        for text, says in (
            ("state=BUSY", "no state 'BUSY'"),
            ("colour=red", "'colour=red' is not understood"),
        ):
            with pytest.raises(CallFailed, match=says):
                await page(filter=text)
        with pytest.raises(CallFailed, match="page_token is not one that was given"):
            await page(page_token="zz")

    in_house(test)


def test_unknown_streams_and_the_bound_of_their_number() -> None:
    async def test(house: House) -> None:
        with pytest.raises(CallFailed, match="no stream st_00") as caught:
            await get(house, "st_" + "0" * 32)
        assert caught.value.code == "NOT_FOUND"
        with pytest.raises(CallFailed, match="is no stream's id"):
            await get(house, "7")
        await create(house, wanted(house))
        with pytest.raises(CallFailed, match="1 streams are open, as many as streams") as caught:
            await create(house, wanted(house))
        assert caught.value.code == "RESOURCE_EXHAUSTED"

    in_house(test, settings=StreamSettings(max_streams=1))


def test_renew_moves_the_expiry_of_matching_streams_with_a_ttl() -> None:
    async def test(house: House) -> None:
        made = await create(house, wanted(house, ttl=Duration(seconds=60), group="a"))
        await create(house, wanted(house, ttl=Duration(seconds=60), group="b"))
        await create(house, wanted(house, group="a"))
        reply = await house.client.call(
            house.client.streams.RenewStreams, stream_pb2.RenewStreamsRequest(filter="group=a")
        )
        assert reply.renewed == 1
        assert (
            await get(house, made.id)
        ).expire_time.ToNanoseconds() > made.expire_time.ToNanoseconds()

    in_house(test)
