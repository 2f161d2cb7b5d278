"""What a release promised of the wire stays: every method under its old name and its old
address.
"""

from __future__ import annotations

from pathlib import Path

from google.api import annotations_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from streamer.api.http.paths import Routes
from streamer.api.services import methods

RELEASED = Path(__file__).resolve().parents[2] / "proto" / "released.binpb"


def promised() -> set[tuple[str, str, str, str]]:
    """(method, verb, address, body) of the last release."""
    found = set()
    for file in FileDescriptorSet.FromString(RELEASED.read_bytes()).file:
        for service in file.service:
            for method in service.method:
                rule = method.options.Extensions[annotations_pb2.http]
                verb = rule.WhichOneof("pattern")
                found.add(
                    (
                        f"{file.package}.{service.name}.{method.name}",
                        verb.upper(),
                        getattr(rule, verb),
                        rule.body,
                    )
                )
    return found


def test_every_released_address_is_still_served() -> None:
    routes = Routes(methods())
    served = {(route.rpc.full_name, route.verb, route.template, route.body) for route in routes.all}
    assert len(promised()) >= 16
    assert promised() <= served
