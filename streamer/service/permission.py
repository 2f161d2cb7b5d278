"""What a key may do beyond its scopes: what it sees, whom it pays, how much at once, how many
streams it has.

Everything that pays for a caller comes by `require_may_pay`, right before it is made and with no
wait in between: the key may have been revoked while the call was waiting for something.
"""

from __future__ import annotations

from collections.abc import Iterable

from streamer.core.ledger import fee_limit_msat
from streamer.words.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    PermissionDenied,
    ResourceExhausted,
)
from streamer.words.model import ENDED, ApiKey, Request, Stream, Terms
from streamer.words.money import format_amount

_OF_KEY = "\x1f"
"""Between the number of a key and its own request_id; no request_id has it
(terms.check_request_id).
"""


def owns(caller: ApiKey, api_key: int) -> bool:
    """Whether the caller sees what belongs to the key of this number."""
    return caller.admin or caller.number == api_key


def request_name(caller: ApiKey, request_id: str) -> str:
    """The name under which the journal keeps a request_id: each key has its own, and sees no
    other's.
    """
    return f"{caller.number}{_OF_KEY}{request_id}" if caller.number else request_id


def request_id_of(name: str) -> str:
    """What the caller wrote."""
    return name.rpartition(_OF_KEY)[2]


def require_same(asked: Request, known: tuple[str, bytes]) -> None:
    """Raise AlreadyExists unless what the request_id made, (resource id, digest), was asked for
    with the same content.
    """
    if known[1] != asked.digest:
        raise AlreadyExists(
            f"request_id {request_id_of(asked.request_id)!r} was used for {known[0]}, with other"
            " content: take a new request_id for a new request"
        )


def require_live(caller: ApiKey, now_ns: int) -> None:
    """Raise PermissionDenied for a key that was revoked, or has expired."""
    if caller.revoke_time_ns and (
        not caller.expire_time_ns or caller.revoke_time_ns < caller.expire_time_ns
    ):
        raise PermissionDenied(f"the key {caller.id} was revoked: ask for a new one", "KEY_REVOKED")
    if caller.ended(now_ns):
        raise PermissionDenied(f"the key {caller.id} has expired: ask for a new one", "KEY_EXPIRED")


def require_may_pay(caller: ApiKey, destination: bytes, now_ns: int) -> None:
    """Raise PermissionDenied unless the caller's key is good now and may pay this node (its public
    key).

    For streams, keysends and invoices alike; the destination of an invoice is its payee.
    """
    require_live(caller, now_ns)
    if caller.destinations and destination not in caller.destinations:
        raise PermissionDenied(
            f"the key {caller.id} may not pay {destination.hex()}: it is bound to"
            f" {len(caller.destinations)} other destination(s)",
            "DESTINATION_NOT_ALLOWED",
        )


def require_affordable(
    amount_msat: int, fee_msat: int, owner: ApiKey, spend_limit_msat: int
) -> None:
    """Raise InvalidArgument for one payment that not even an untouched budget of its key, or spend
    limit, holds.
    """
    together = f"{format_amount(amount_msat)} and a fee limit of {format_amount(fee_msat)}"
    if owner.budget is not None and amount_msat + fee_msat > owner.budget.amount_msat:
        budget = format_amount(owner.budget.amount_msat)
        raise InvalidArgument(
            f"one payment of {together} is more than the whole budget of the key {owner.id},"
            f" {budget}: pay less at once"
        )
    if amount_msat + fee_msat > spend_limit_msat:
        limit = format_amount(spend_limit_msat)
        raise InvalidArgument(
            f"one payment of {together} is more than the daemon's whole spend limit, {limit}: pay"
            " less at once, or raise it"
        )


def require_affordable_stream(terms: Terms, owner: ApiKey, spend_limit_msat: int) -> None:
    """The same for a stream, whose regular payment it is about."""
    amount = terms.rate.payment_interval_ns * terms.rate.amount_msat // terms.rate.interval_ns
    if terms.max_payment_msat is not None:
        amount = min(amount, terms.max_payment_msat)
    require_affordable(
        amount,
        fee_limit_msat(amount, terms.fee_floor_msat, terms.fee_limit_ppm),
        owner,
        spend_limit_msat,
    )


def require_another_stream(caller: ApiKey, streams: Iterable[Stream]) -> None:
    """Raise ResourceExhausted if the caller's key has as many running streams as it may."""
    if caller.max_streams is None:
        return
    running = sum(
        stream.api_key == caller.number and stream.state not in ENDED for stream in streams
    )
    if running >= caller.max_streams:
        raise ResourceExhausted(
            f"the key {caller.id} has {running} streams, as many as it may: cancel one first",
            "KEY_MAX_STREAMS",
        )


def require_not_revoked(owner: ApiKey, stream: Stream) -> None:
    """Raise FailedPrecondition for a stream that would go on although its key has ended."""
    if owner.revoke_time_ns:
        raise FailedPrecondition(
            f"the key {owner.id} of {stream.id} has ended: cancel this stream, and open another"
            " with a key that is good"
        )
