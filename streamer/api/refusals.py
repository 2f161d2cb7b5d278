"""The reasons of refusals that say more than their error does, for the documentation:
docs/reasons.md is made of it.

The code that refuses names the reason itself; a test compares what it names with this table.
"""

from __future__ import annotations

from grpc import StatusCode

REFUSALS: dict[str, tuple[StatusCode, str]] = {
    "KEY_UNKNOWN": (
        StatusCode.PERMISSION_DENIED,
        "The key that came with the call is none of this daemon's.",
    ),
    "KEY_REVOKED": (StatusCode.PERMISSION_DENIED, "The key was revoked: ask for a new one."),
    "KEY_EXPIRED": (StatusCode.PERMISSION_DENIED, "The key has expired: ask for a new one."),
    "SCOPE_MISSING": (StatusCode.PERMISSION_DENIED, "The key's scopes do not allow this method."),
    "DESTINATION_NOT_ALLOWED": (
        StatusCode.PERMISSION_DENIED,
        "The key is bound to other destinations.",
    ),
    "KEY_OTHER": (
        StatusCode.PERMISSION_DENIED,
        "The invoice is paid, or being paid, with another key.",
    ),
    "KEY_KNOWN": (StatusCode.ALREADY_EXISTS, "The key that is to be imported is here already."),
    "KEY_MAX_STREAMS": (
        StatusCode.RESOURCE_EXHAUSTED,
        "The key has as many streams as it may: cancel one first.",
    ),
    "KEY_BUDGET_SPENT": (
        StatusCode.RESOURCE_EXHAUSTED,
        "What is left of the key's budget does not hold the payment.",
    ),
    "REQUEST_RATE": (StatusCode.RESOURCE_EXHAUSTED, "The key calls too often: wait a second."),
    "NODE_BUSY": (
        StatusCode.RESOURCE_EXHAUSTED,
        (
            "The payment's turn at its node did not come in time, or too many wait for theirs:"
            " nothing was sent, call again."
        ),
    ),
    "NO_SLOTS": (
        StatusCode.RESOURCE_EXHAUSTED,
        (
            "What receivers hold, and what is under way to those who are not proven, takes all"
            " slots that it may: nothing was sent."
        ),
    ),
    "RECEIVER_HOLDS": (
        StatusCode.FAILED_PRECONDITION,
        (
            "The receiver holds a payment of the same key open, and gets no other one of it until"
            " that ends: nothing was sent."
        ),
    ),
    "SLOW_READER": (
        StatusCode.RESOURCE_EXHAUSTED,
        "A watcher took too little and was dropped: watch on from the cursor that is named.",
    ),
    "BODY_TOO_LARGE": (
        StatusCode.RESOURCE_EXHAUSTED,
        "The body of an HTTP request is larger than 4 MiB.",
    ),
    "CLOCK": (
        StatusCode.UNAVAILABLE,
        (
            "What pays, or has a time, may not begin while the clock is unchecked or wrong: the"
            " text says what is awaited, ask again then."
        ),
    ),
    "STOPPING": (
        StatusCode.UNAVAILABLE,
        "The daemon is ending: ask again when it is back, with the same request_id.",
    ),
    "PAYMENT_PENDING": (
        StatusCode.DEADLINE_EXCEEDED,
        "The payment is still under way: the same call again tells its end.",
    ),
    "WRITTEN_OFF": (
        StatusCode.FAILED_PRECONDITION,
        "The payment counts as paid without the node's word: there is no preimage.",
    ),
    "INVOICE_EXPIRED": (
        StatusCode.FAILED_PRECONDITION,
        "The invoice can no longer be paid: ask for a new one.",
    ),
    "HASH_REUSED": (
        StatusCode.FAILED_PRECONDITION,
        "Another invoice with this payment hash was paid: this one is not.",
    ),
    "METHOD_NOT_ALLOWED": (StatusCode.UNIMPLEMENTED, "The path is called by another HTTP method."),
    "NOT_PART_OF_STREAMER": (
        StatusCode.UNIMPLEMENTED,
        "Impervious has this path, and streamer does not.",
    ),
    "INTERNAL": (
        StatusCode.INTERNAL,
        "An error that was not foreseen: the daemon's log says more.",
    ),
}
