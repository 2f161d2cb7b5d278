"""What goes wrong before a request is a message is told as everything else: one JSON object, in our
words.
"""

from __future__ import annotations

import asyncio
import json

from tests.api.house import KEY, House, in_house


def test_values_of_another_type_are_refused_in_our_words() -> None:
    async def test(house: House) -> None:
        for field, value, says in (
            ("amountMsat", "many", "amountMsat field: 'many' is no whole number"),
            ("group", 5, "a text is needed"),
            ("amountMsat", [], "a number is needed"),
            ("budget", 5, "an object is needed"),
            ("state", {}, "a name is needed"),
        ):
            answer = await house.http.post("/v1/streams", json={field: value})
            told = answer.json()["message"]
            assert (answer.status_code, says in told, "int(" in told, "'int'" in told) == (
                400,
                True,
                False,
                False,
            ), told
        for text, status in (("0S", 504), ("00000000n", 504), ("٣S".encode(), 400)):
            headers = {"Grpc-Timeout": text} if isinstance(text, str) else {b"Grpc-Timeout": text}
            answer = await house.http.get("/v1/status", headers=headers)
            assert answer.status_code == status, answer.text

    in_house(test)


def test_what_is_no_http_is_answered_in_json() -> None:
    async def test(house: House) -> None:
        reader, writer = await asyncio.open_connection(
            house.http.base_url.host, house.http.base_url.port
        )
        writer.write(
            f"GET /v1/status HTTP/1.1\r\nHost: x\r\nX-API-KEY: {KEY}\r\nä: 1\r\n\r\n".encode()
        )
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        assert (
            head.startswith(b"HTTP/1.1 400")
            and b"application/json" in head
            and b"connection: close" in head.lower()
        )
        told = json.loads(body)
        assert (told["code"], told["details"][0]["reason"]) == (3, "INVALID_ARGUMENT")
        assert "is not HTTP/1.1" in told["message"]

    in_house(test)
