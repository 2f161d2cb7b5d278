"""One table: which error is which status on the wire.

Every error carries google.rpc.ErrorInfo{reason, domain "streamer"} and a message for the user. What
is not in the table was not foreseen: INTERNAL, and its text stays in the log.
"""

from __future__ import annotations

import grpc
from google.protobuf import any_pb2
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from streamer.words import errors

DOMAIN = "streamer"

STATUS: dict[type[errors.StreamerError], grpc.StatusCode] = {
    errors.InvalidArgument: grpc.StatusCode.INVALID_ARGUMENT,
    errors.NotFound: grpc.StatusCode.NOT_FOUND,
    errors.AlreadyExists: grpc.StatusCode.ALREADY_EXISTS,
    errors.FailedPrecondition: grpc.StatusCode.FAILED_PRECONDITION,
    errors.ResourceExhausted: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.OutOfRange: grpc.StatusCode.OUT_OF_RANGE,
    errors.PermissionDenied: grpc.StatusCode.PERMISSION_DENIED,
    errors.Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    errors.Unavailable: grpc.StatusCode.UNAVAILABLE,
    errors.DeadlineExceeded: grpc.StatusCode.DEADLINE_EXCEEDED,
    errors.ConfigError: grpc.StatusCode.FAILED_PRECONDITION,
    errors.NodeUnavailable: grpc.StatusCode.UNAVAILABLE,
    errors.NodeRejected: grpc.StatusCode.FAILED_PRECONDITION,
    errors.StoreFailed: grpc.StatusCode.UNAVAILABLE,
    errors.StoreRefused: grpc.StatusCode.FAILED_PRECONDITION,
}

UNFORESEEN = "unexpected error inside streamer: its log says more"
MAX_MESSAGE_BYTES = 1_600
"""Said twice in a call's trailers, as text (three times as long where it is not ASCII) and in
base64: gRPC may cut a call with more than 8 KiB of trailers (grpc.max_metadata_size). The longest
of our own is the line that bakes a macaroon.
"""


def status_code(error: Exception) -> grpc.StatusCode:
    """The code of an error: its own row, or that of the nearest class above it; else INTERNAL."""
    return next(
        (STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), grpc.StatusCode.INTERNAL
    )


class Refusal(Exception):
    """A call that is not answered. status has the code's number, the message, and ErrorInfo."""

    def __init__(self, code: grpc.StatusCode, status: status_pb2.Status) -> None:
        super().__init__(status.message)
        self.code = code
        self.status = status


def refusal(error: Exception) -> Refusal:
    """What an error tells the caller; the text of one that was not foreseen stays inside."""
    code = status_code(error)
    known = isinstance(error, errors.StreamerError) and code is not grpc.StatusCode.INTERNAL
    reason = error.reason if isinstance(error, errors.StreamerError) else "INTERNAL"
    wait = error.retry_after_seconds if isinstance(error, errors.StreamerError) else 0
    return refused(code, str(error) if known else UNFORESEEN, reason, wait)


def refused(
    code: grpc.StatusCode, message: str, reason: str, retry_after_seconds: int = 0
) -> Refusal:
    """A refusal with ErrorInfo{reason, domain}, and RetryInfo if there is a time after which to try
    again.
    """
    said: list[Message] = [error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN)]
    if retry_after_seconds:
        said.append(error_details_pb2.RetryInfo(retry_delay=Duration(seconds=retry_after_seconds)))
    details = [any_pb2.Any() for _ in said]
    for detail, message_of in zip(details, said, strict=True):
        detail.Pack(message_of)
    return Refusal(
        code, status_pb2.Status(code=code.value[0], message=_short(message), details=details)
    )


def _short(message: str) -> str:
    """A message that repeats much of what it was given loses its middle; what was wrong, and what
    to do, stand at the ends.
    """
    said = message.encode()
    if len(said) <= MAX_MESSAGE_BYTES:
        return message
    half = MAX_MESSAGE_BYTES // 2
    return f"{said[:half].decode(errors='ignore')}…{said[-half:].decode(errors='ignore')}"
