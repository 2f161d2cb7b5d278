"""The client's own methods: each does what the rpc below it does, typed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from streamer._proto.streamer.v1 import payment_pb2, stream_pb2
from streamer.client import Client
from streamer.words.errors import InvalidArgument
from tests.api.house import KEY, House, in_house


def test_streams_are_opened_listed_and_ended() -> None:
    async def test(house: House) -> None:
        client, end = house.client, datetime.now(UTC) + timedelta(days=1)
        made = await client.open_stream(
            house.pubkey("receiver"),
            1_000,
            "1h",
            budget_msat=60_000,
            budget_period="1d",
            ttl="1m",
            end=end,
            group="g",
            labels={"a": "b"},
        )
        assert (made.budget.period, made.ttl.seconds, made.group, dict(made.labels)) == (
            "1d",
            60,
            "g",
            {"a": "b"},
        )
        assert made.end_time.ToDatetime(UTC) == end
        asked = [
            await client.open_stream(house.pubkey("receiver"), 1_000, "1h", request_id="r")
            for _ in range(2)
        ]
        assert asked[0].id == asked[1].id
        forecast = await client.open_stream(
            house.pubkey("receiver"), 1_000, "1s", validate_only=True
        )
        assert (forecast.id, forecast.forecast.payments_per_day) == ("", 86_400)
        assert [stream.id async for stream in client.list_streams()] == [asked[0].id, made.id]
        assert [stream.id async for stream in client.list_streams("group=g", 5)] == [made.id]
        assert (await client.pause_stream(made.id)).state == stream_pb2.Stream.PAUSED
        assert (await client.resume_stream(made.id)).state == stream_pb2.Stream.ACTIVE
        assert await client.renew_streams("group=g") == 1
        await client.cancel_stream(made.id)
        assert (await client.get_stream(made.id)).state in (
            stream_pb2.Stream.CLOSING,
            stream_pb2.Stream.CANCELLED,
        )

    in_house(test)


def test_payments_and_invoices() -> None:
    async def test(house: House) -> None:
        client = house.client
        paid = await client.keysend(house.pubkey("receiver"), 3_000, "r1")
        assert (paid.state, paid.amount_msat) == (payment_pb2.Payment.SETTLED, 3_000)
        assert (await client.get_payment(paid.id)).payment_hash == paid.payment_hash
        assert [payment.id async for payment in client.list_payments("state=SETTLED", 10)] == [
            paid.id
        ]
        invoice = await client.create_invoice(5, "tea")
        assert not await client.check_invoice(invoice)
        with pytest.raises(Exception, match="own"):
            await client.pay_invoice(invoice)
        assert (await client.get_status()).healthy
        assert not (await client.stop_sending()).sending
        assert (await client.start_sending()).sending

    in_house(test)


def test_what_is_wrong_is_said_before_anything_is_sent() -> None:
    async def test(house: House) -> None:
        with pytest.raises(InvalidArgument, match="end has no time zone"):
            await house.client.open_stream(
                house.pubkey("receiver"), 1_000, "1s", end=datetime.fromisoformat("2100-01-01")
            )
        with pytest.raises(InvalidArgument):
            await house.client.open_stream(house.pubkey("receiver"), 1_000, "soon")

    in_house(test)


def test_the_client_finds_daemon_and_key_where_the_command_line_does(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text(KEY)
    monkeypatch.setenv("STREAMER_KEY_FILE", str(tmp_path / "key"))

    async def test(house: House) -> None:
        monkeypatch.setenv("STREAMER_SERVER", house.server)
        async with Client() as client:
            assert (await client.get_status()).healthy

    in_house(test)
