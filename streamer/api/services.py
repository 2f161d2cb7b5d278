"""One table: the services of the schema, and the class that serves each.

Every door, the reflection and the API description read it. Each method of a service is served by
the method of the same name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message

from streamer._proto.imp.api.lightning import lightning_pb2
from streamer._proto.streamer.v1 import admin_pb2, payment_pb2, stream_pb2
from streamer.api.lightning import LightningRpcs
from streamer.api.rpcs import AdminRpcs, PaymentRpcs, StreamRpcs
from streamer.service import Service

SERVICES: tuple[tuple[ServiceDescriptor, Callable[[Service], object]], ...] = (
    (stream_pb2.DESCRIPTOR.services_by_name["StreamService"], StreamRpcs),
    (payment_pb2.DESCRIPTOR.services_by_name["PaymentService"], PaymentRpcs),
    (admin_pb2.DESCRIPTOR.services_by_name["AdminService"], AdminRpcs),
    (lightning_pb2.DESCRIPTOR.services_by_name["Lightning"], LightningRpcs),
)


@dataclass(frozen=True, slots=True)
class Rpc:
    """A method that is served. serve(request, call) is awaited, or iterated if it streams."""

    method: MethodDescriptor
    serve: Callable[[Any, Any], Any]
    request: type[Message]

    @property
    def full_name(self) -> str:
        """Such as streamer.v1.StreamService.GetStream."""
        return str(self.method.full_name)

    @property
    def name(self) -> str:
        """As metrics and logs show it: StreamService/GetStream."""
        return f"{self.method.containing_service.name}/{self.method.name}"

    @property
    def streams(self) -> bool:
        """Whether it answers with many messages."""
        return bool(self.method.server_streaming)


def served(service: Service) -> tuple[Rpc, ...]:
    """Every method of every service of the table."""
    return tuple(
        _rpc(method, getattr(rpcs, method.name))
        for descriptor, make in SERVICES
        for rpcs in [make(service)]
        for method in descriptor.methods
    )


def methods() -> tuple[Rpc, ...]:
    """The same as descriptions: none of them can be called."""
    return tuple(
        _rpc(method, _nobody) for descriptor, _ in SERVICES for method in descriptor.methods
    )


def _rpc(method: MethodDescriptor, serve: Callable[[Any, Any], Any]) -> Rpc:
    return Rpc(method, serve, message_factory.GetMessageClass(method.input_type))


def _nobody(_request: object, _call: object) -> None:
    raise AssertionError("a description was called")
