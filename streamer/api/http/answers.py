"""What goes back over HTTP: replies, error bodies with their status, and lines of server
streams.
"""

from __future__ import annotations

import math

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from starlette.responses import Response

from streamer.api.errors import Refusal
from streamer.api.http.jsonwire import Object, dumped, shown

HTTP_STATUS: dict[grpc.StatusCode, int] = {
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.UNKNOWN: 500,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.INTERNAL: 500,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DATA_LOSS: 500,
    grpc.StatusCode.UNAUTHENTICATED: 401,
}
"""grpc-gateway's table."""
TOO_LARGE = "BODY_TOO_LARGE"
TOO_LARGE_STATUS = 413
"""HTTP's own word for it; the code stays gRPC's RESOURCE_EXHAUSTED."""
JSON_TYPE = "application/json"
CHALLENGE = 'Bearer realm="streamer"'


class JsonResponse(Response):
    """A JSON object."""

    media_type = JSON_TYPE

    def render(self, content: Object) -> bytes:
        """As bytes."""
        return dumped(content)


def error_response(refusal: Refusal) -> JsonResponse:
    """A refusal as an answer of its own: status, the headers that belong to it, and the error
    body.
    """
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    for detail in refusal.status.details:
        detail.Unpack(info)
        detail.Unpack(retry)
    status = TOO_LARGE_STATUS if info.reason == TOO_LARGE else HTTP_STATUS[refusal.code]
    headers = {}
    if refusal.code is grpc.StatusCode.UNAUTHENTICATED:
        headers["WWW-Authenticate"] = CHALLENGE
    if retry.HasField("retry_delay"):
        headers["Retry-After"] = str(
            math.ceil(retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9)
        )
    return JsonResponse(shown(refusal.status), status, headers)


def result_line(message: Message) -> bytes:
    """One message of a server stream."""
    return dumped({"result": shown(message)}) + b"\n"


def error_line(refusal: Refusal) -> bytes:
    """How a server stream ends that breaks."""
    return dumped({"error": shown(refusal.status)}) + b"\n"
