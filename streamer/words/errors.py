"""Every failure that crosses a floor as an exception, named by what the caller can do about it.

Ordinary outcomes (a payment that failed, a full budget) are values. These are refusals of a
request, or parts that cannot work; each message says what was wrong and what to do, and is shown
to the user as it is.
"""

from __future__ import annotations


class StreamerError(Exception):
    """Any failure that streamer itself names; str() is a sentence for the user.

    retry_after_seconds: when the same request is worth another try, where that is known; else 0.
    """

    reason = "INTERNAL"

    def __init__(
        self, message: str, reason: str | None = None, retry_after_seconds: int = 0
    ) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds
        if reason is not None:
            self.reason = reason


class InvalidArgument(StreamerError):
    """The request is wrong in itself: it will never work as it is."""

    reason = "INVALID_ARGUMENT"


class NotFound(StreamerError):
    """No such stream, payment or node."""

    reason = "NOT_FOUND"


class AlreadyExists(StreamerError):
    """The same request_id was used before with other content."""

    reason = "REQUEST_ID_REUSED"


class FailedPrecondition(StreamerError):
    """Right in itself, but not in the present state."""

    reason = "FAILED_PRECONDITION"


class ResourceExhausted(StreamerError):
    """A bound is reached: a budget, a number of streams, a slow reader."""

    reason = "RESOURCE_EXHAUSTED"


class OutOfRange(StreamerError):
    """Asks for events that are not kept any more, or were never there."""

    reason = "CURSOR_GONE"


class PermissionDenied(StreamerError):
    """The key is known or needed, and does not allow this."""

    reason = "PERMISSION_DENIED"


class Unauthenticated(StreamerError):
    """No key came with the call."""

    reason = "UNAUTHENTICATED"


class Unavailable(StreamerError):
    """Cannot be done now; try again later."""

    reason = "UNAVAILABLE"


class DeadlineExceeded(StreamerError):
    """The call's deadline passed before its end; what it asked for may still happen."""

    reason = "DEADLINE_EXCEEDED"


class ConfigError(StreamerError):
    """The configuration is wrong: says file, line and what to write instead."""

    reason = "CONFIG"


class NodeUnavailable(StreamerError):
    """The node cannot be used now (not reachable, locked, starting): tried again with back-off."""

    reason = "NODE_DOWN"


class NodeRejected(StreamerError):
    """The node will not have us until a person changes something: reason CREDENTIALS or
    NODE_CHANGED.
    """

    reason = "CREDENTIALS"


class StoreFailed(StreamerError):
    """The store cannot promise durability any more: nothing is paid until the journal is
    replayed.
    """

    reason = "STORE_FAILED"


class StoreRefused(StreamerError):
    """The data folder cannot be opened as it is: locked, newer, torn, another kind or secret."""

    reason = "STORE_REFUSED"
