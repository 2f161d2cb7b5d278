"""A gRPC request said over HTTP, as its `google.api.http` annotation wants it, and the answer read
back.
"""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import grpc
import httpx
from google.api import annotations_pb2
from google.protobuf import json_format, message_factory
from google.protobuf.message import Message
from google.rpc import error_details_pb2

from streamer.api.services import Rpc


@dataclass
class Said:
    """The end of a call, the same for both doors: a reply, or code, message and reason."""

    reply: Message | None = None
    code: int = 0
    message: str = ""
    reason: str = ""


async def over_http(http: httpx.AsyncClient, rpc: Rpc, request: Message, **headers: str) -> Said:
    verb, url, body = http_form(rpc, request)
    answer = await http.request(verb, url, json=body, headers=headers)
    values = answer.json()
    if answer.status_code == 200:
        reply = message_factory.GetMessageClass(rpc.method.output_type)()
        return Said(json_format.ParseDict(values, reply))
    assert set(values) == {"code", "message", "details"}
    return Said(None, values["code"], values["message"], values["details"][0]["reason"])


async def over_grpc(channel: grpc.aio.Channel, rpc: Rpc, request: Message, **metadata: str) -> Said:
    service, _, name = rpc.full_name.rpartition(".")
    reply = message_factory.GetMessageClass(rpc.method.output_type)
    call = channel.unary_unary(
        f"/{service}/{name}", type(request).SerializeToString, reply.FromString
    )
    try:
        return Said(await call(request, metadata=tuple(metadata.items()), timeout=15))
    except grpc.aio.AioRpcError as error:
        return Said(None, error.code().value[0], error.details() or "", _reason(error))


def http_form(rpc: Rpc, request: Message) -> tuple[str, str, object]:
    """(verb, address with query, body or None)."""
    rule = rpc.method.GetOptions().Extensions[annotations_pb2.http]
    verb = rule.WhichOneof("pattern")
    values = json_format.MessageToDict(request)

    def taken(match: re.Match[str]) -> str:
        place, steps = values, [json_name(part) for part in match[1].split(".")]
        for step in steps[:-1]:
            place = place.get(step, {})
        return quote(str(place.pop(steps[-1], "-")), safe="")

    path = re.sub(r"\{([\w.]+)\}", taken, getattr(rule, verb))
    body: object = None
    if rule.body == "*":
        body, values = values, {}
    elif rule.body:
        body = values.pop(json_name(rule.body), None)
    query = urlencode(list(flat(values, "")))
    return verb.upper(), f"{path}?{query}" if query else path, body


def flat(values: dict[str, Any], before: str) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from flat(value, f"{before}{name}.")
        else:
            for one in value if isinstance(value, list) else [value]:
                yield before + name, str(one).lower() if isinstance(one, bool) else one


def get(url: str) -> tuple[int, str]:
    """Status and text of a page, whatever its status."""
    try:
        with urllib.request.urlopen(url) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def json_name(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _reason(error: grpc.aio.AioRpcError) -> str:
    from google.rpc import status_pb2

    for name, value in error.trailing_metadata() or ():
        if name == "grpc-status-details-bin":
            info = error_details_pb2.ErrorInfo()
            for detail in status_pb2.Status.FromString(value).details:
                if detail.Unpack(info):
                    return str(info.reason)
    return ""
