"""Filters and page tokens of the lists: "state=STALLED labels.app=radio", all terms must hold."""

from __future__ import annotations

import re
from dataclasses import dataclass

from streamer.words.errors import InvalidArgument
from streamer.words.model import OPEN, UNPAID, Payment, PaymentState, Stream, StreamState
from streamer.words.reasons import Reason

DEFAULT_PAGE = 100
MAX_PAGE = 1_000

_STREAM_NAMES = frozenset({"id", "state", "reason", "node", "destination", "group"})
_RAREST = ("id", "labels.", "group", "destination", "reason", "state", "node")
"""Of the terms of a filter, the first of these is what events are picked by."""
_STREAM_TERMS = "id= state= reason= node= destination= group= labels.KEY="
_PAYMENT_TERMS = "stream= state= node= in_doubt"
_REASONS = tuple(str(reason) for reason in Reason)
_PUBKEY = re.compile("0[23][0-9a-fA-F]{64}")
_PAYMENT_STATES = {
    "PENDING": OPEN,
    "SETTLED": frozenset({PaymentState.SETTLED}),
    "FAILED": UNPAID,
    "WRITTEN_OFF": frozenset({PaymentState.WRITTEN_OFF}),
}


@dataclass(frozen=True, slots=True)
class StreamFilter:
    """Terms of a filter of streams, as (field, value) pairs; empty matches all."""

    terms: tuple[tuple[str, str], ...] = ()

    @property
    def rarest(self) -> str:
        """The term that fewest events hold, as terms_that_hold writes it; empty if there is
        none.
        """
        return min((f"{name}={value}" for name, value in self.terms), key=_rank, default="")

    def matches(self, stream: Stream, state: str = "", reason: str | None = None) -> bool:
        """True if every term holds. state and reason: those it had at an event, instead of the
        present ones.
        """
        state, reason = state or stream.state, stream.reason if reason is None else reason
        return all(_holds(stream, state, reason, name, value) for name, value in self.terms)


def _rank(term: str) -> int:
    name = term.partition("=")[0]
    return _RAREST.index(name) if name in _RAREST else _RAREST.index("labels.")


def terms_that_hold(stream: Stream) -> tuple[str, ...]:
    """Every term of a filter that holds for stream now, and whose it is, as term_of_key writes
    it.
    """
    terms = stream.terms
    return (
        f"id={stream.id}",
        f"state={stream.state}",
        f"reason={stream.reason}",
        f"node={terms.node}",
        f"destination={terms.destination.hex()}",
        f"group={terms.group}",
        term_of_key(stream.api_key),
        *[f"labels.{name}={value}" for name, value in terms.labels],
    )


def term_of_key(api_key: int) -> str:
    """What holds for the streams of this API key; no filter has it."""
    return f"key {api_key}"


def _holds(stream: Stream, state: str, reason: str, name: str, value: str) -> bool:
    terms = stream.terms
    match name:
        case "state":
            return state == value
        case "reason":
            return reason == value
        case "id":
            return stream.id == value
        case "node":
            return terms.node == value
        case "destination":
            return terms.destination.hex() == value
        case "group":
            return terms.group == value
    return (name.removeprefix("labels."), value) in terms.labels


@dataclass(frozen=True, slots=True)
class PaymentFilter:
    """Terms of a filter of payments; states empty: all."""

    owner: str = ""
    node: str = ""
    states: frozenset[PaymentState] = frozenset()
    in_doubt: bool = False

    def matches(self, payment: Payment, in_doubt: bool) -> bool:
        """True if every term holds; in_doubt is the caller's knowledge of this payment."""
        return (
            (not self.owner or payment.owner == self.owner)
            and (not self.node or payment.node == self.node)
            and (not self.states or payment.state in self.states)
            and (not self.in_doubt or in_doubt)
        )


def parse_stream_filter(text: str) -> StreamFilter:
    """Read a filter of streams; InvalidArgument names the term that is not understood."""
    found = []
    for term in text.split():
        name, equals, value = term.partition("=")
        known = name in _STREAM_NAMES or (name.startswith("labels.") and len(name) > 7)
        if not equals or not known:
            raise InvalidArgument(f"filter: {term!r} is not understood; terms are {_STREAM_TERMS}")
        if name == "state" and value not in StreamState.__members__:
            raise InvalidArgument(f"filter: no state {value!r}; states are {' '.join(StreamState)}")
        if name == "reason" and value not in _REASONS:
            raise InvalidArgument(
                f"filter: no reason {value!r}; reasons are {' '.join(_REASONS).strip()}"
            )
        _require_possible(name, value)
        found.append((name, value.lower() if name == "destination" else value))
    return StreamFilter(tuple(found))


def _require_possible(name: str, value: str) -> None:
    """Raise InvalidArgument for what no stream, receiver or node is called, such as nothing at
    all.
    """
    if name in ("id", "stream") and not value.startswith(
        ("st_", "pay_") if name == "stream" else "st_"
    ):
        raise InvalidArgument(
            f"filter: {value!r} is no stream's id: they look like"
            " st_0123456789abcdef0123456789abcdef"
        )
    if name == "destination" and not _PUBKEY.fullmatch(value):
        raise InvalidArgument(
            f"filter: {value!r} is no public key: 66 hex digits, starting with 02 or 03"
        )
    if name == "node" and not value:
        raise InvalidArgument("filter: node= names none: leave it out for all nodes")


def parse_payment_filter(text: str) -> PaymentFilter:
    """Read a filter of payments; InvalidArgument names the term that is not understood."""
    owner, node, states, in_doubt = "", "", frozenset[PaymentState](), False
    for term in text.split():
        name, equals, value = term.partition("=")
        if equals:
            _require_possible(name, value)
        if term == "in_doubt":
            in_doubt = True
        elif equals and name == "stream":
            owner = value
        elif equals and name == "node":
            node = value
        elif equals and name == "state":
            if value not in _PAYMENT_STATES:
                raise InvalidArgument(
                    f"filter: no state {value!r}; states are {' '.join(_PAYMENT_STATES)}"
                )
            states = _PAYMENT_STATES[value]
        else:
            raise InvalidArgument(f"filter: {term!r} is not understood; terms are {_PAYMENT_TERMS}")
    return PaymentFilter(owner, node, states, in_doubt)


def page_size(asked: int) -> int:
    """How many rows a page has: the default for 0, and never more than MAX_PAGE."""
    if asked < 0:
        raise InvalidArgument(
            f"page_size is {asked}: 0 for the default of {DEFAULT_PAGE}, at most {MAX_PAGE}"
        )
    return min(asked, MAX_PAGE) if asked else DEFAULT_PAGE


def page_start(token: str) -> int:
    """What a page token stands for: only rows below it belong to the page; 0: from the newest."""
    if not token:
        return 0
    if not token.isdecimal() or len(token) > 18:
        raise InvalidArgument(
            "page_token is not one that was given: take next_page_token of the page before"
        )
    return int(token)
