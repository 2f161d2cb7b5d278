"""The types of events that a webhook can get, and how the configuration names them."""

from __future__ import annotations

from collections.abc import Iterable

from streamer.words.model import PaymentState, StreamState

STREAM, PAYMENT = "stream", "payment"

_ENDS = {
    PaymentState.SETTLED: "payment.settled",
    PaymentState.FAILED: "payment.failed",
    PaymentState.REFUSED: "payment.failed",
    PaymentState.WRITTEN_OFF: "payment.written_off",
}
KINDS = (*(f"{STREAM}.{state.lower()}" for state in StreamState), *dict.fromkeys(_ENDS.values()))
"""Every type: a stream entered this state, or a payment ended like this."""


def of_stream(state: StreamState) -> str:
    """The type of a stream that entered state."""
    return f"{STREAM}.{state.lower()}"


def of_payment(state: PaymentState) -> str:
    """The type of a payment that ended in state."""
    return _ENDS[state]


def chosen(names: Iterable[str]) -> frozenset[str]:
    """The types that names mean: each a type, or "stream" or "payment" for all of these. ValueError
    for another.
    """
    found: set[str] = set()
    for name in names:
        matching = {kind for kind in KINDS if kind == name or kind.startswith(f"{name}.")}
        if not matching:
            raise ValueError(f"has {name!r}; one of: {STREAM}, {PAYMENT}, {', '.join(KINDS)}")
        found |= matching
    return frozenset(found)
