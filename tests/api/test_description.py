"""/openapi.json and /docs: valid by a public validator, complete, self-contained, and what is
really answered.
"""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from streamer.api.http.openapi import description
from streamer.api.http.page import POLICY
from streamer.api.services import methods
from tests.api.house import House, in_house


class Page(HTMLParser):
    """Ids, links, and whatever would be loaded or run."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: set[str] = set()
        self.foreign: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids.add(given.get("id") or "")
        if tag == "a":
            self.links.add(given.get("href") or "")
        if tag in ("script", "link", "img", "iframe", "object") or given.get("src"):
            self.foreign.append(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_description_is_valid_and_has_every_method() -> None:
    spec = json.loads(json.dumps(description()))
    validate(spec)
    operations = {
        operation["operationId"] for verbs in spec["paths"].values() for operation in verbs.values()
    }
    assert operations == {rpc.name.replace("/", "_") for rpc in methods()} | {
        "metrics",
        "healthz",
        "readyz",
    }
    assert len({re.sub(r"{.*?}", "{}", path) for path in spec["paths"]}) == len(spec["paths"])
    update = spec["paths"]["/v1/streams/{id}"]["patch"]
    assert [(one["name"], one["in"]) for one in update["parameters"]] == [
        ("id", "path"),
        ("updateMask", "query"),
    ]
    created = spec["paths"]["/v1/streams"]["post"]
    assert [one["name"] for one in created["parameters"]] == [
        "requestId",
        "validateOnly",
        "Idempotency-Key",
    ]
    assert created["security"] == [
        {"key": ["streams:write"]},
        {"bearer": ["streams:write"]},
        {"grpcMetadataKey": ["streams:write"]},
    ]
    stream = spec["components"]["schemas"]["streamer.v1.Stream"]
    assert stream["required"] == ["destination", "amountMsat", "interval"]
    assert "required" not in spec["components"]["schemas"]["streamer.v1.Stream.patch"]
    assert stream["properties"]["state"]["readOnly"] is True
    assert (
        "STALLED: Failing; probed at next_attempt_time."
        in stream["properties"]["state"]["description"]
    )
    labels = stream["properties"]["labels"]
    assert (labels["type"], labels["additionalProperties"]) == ("object", {"type": "string"})
    assert (
        stream["properties"]["destination"]["description"] == "33-byte compressed public key, hex."
    )


def test_every_method_says_what_it_does() -> None:
    assert [
        rpc.name for rpc in methods() if not description()["paths"] or not _text(rpc.name)
    ] == []


def _text(name: str) -> str:
    found = [
        one
        for verbs in description()["paths"].values()
        for one in verbs.values()
        if one["operationId"] == name.replace("/", "_")
    ]
    return str(found[0]["summary"])


def test_answers_are_as_described() -> None:
    schemas = description()["components"]["schemas"]

    def check(name: str, value: object) -> None:
        closed = {
            key: schema | ({"additionalProperties": False} if key != "Error" else {})
            for key, schema in schemas.items()
        }
        Draft202012Validator(
            {"$ref": f"#/components/schemas/{name}", "components": {"schemas": closed}}
        ).validate(value)

    async def test(house: House) -> None:
        order = {
            "destination": house.pubkey("receiver"),
            "amountMsat": "5000",
            "interval": "60s",
            "labels": {"a": "b"},
        }
        made = (
            await house.http.post(
                "/v1/streams", json={**order, "budget": {"amountMsat": "9000000", "period": "1h"}}
            )
        ).json()
        check("streamer.v1.Stream", made)
        check("streamer.v1.ListStreamsResponse", (await house.http.get("/v1/streams")).json())
        keysend = {"destination": house.pubkey("receiver"), "amountMsat": "7000", "requestId": "p"}
        check("streamer.v1.Payment", (await house.http.post("/v1/payments", json=keysend)).json())
        check("streamer.v1.Status", (await house.http.get("/v1/status")).json())
        check("Error", (await house.http.get("/v1/streams/none")).json())

    in_house(test)


def test_both_are_shown_to_anybody_and_the_page_needs_nothing_else() -> None:
    async def test(house: House) -> None:
        house.http.headers.pop("X-API-KEY")
        assert (await house.http.get("/openapi.json")).json() == json.loads(
            json.dumps(description())
        )
        answer = await house.http.get("/docs")
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.headers["content-security-policy"] == POLICY
        page = Page()
        page.feed(answer.text)
        assert (page.foreign, page.open) == ([], [])
        assert {link[1:] for link in page.links if link != "/openapi.json"} <= page.ids
        assert {rpc.name.replace("/", "_") for rpc in methods()} <= page.ids
        assert "http:" not in answer.text
        assert "https:" not in answer.text
        assert "33-byte compressed public key, hex." in answer.text

    in_house(test)
