"""From an order to terms: every check of a stream or payment, with messages that say what to do.

Used for new streams and for changes alike, so that no update can reach what creation refuses. But
what an update does not change is not checked anew: a stream outlives the configuration under which
it was opened, and the bounds of the version that opened it. Had a raised streams.min_payment_msat,
an end that is just passing, or a label of an older journal a say in every update, nobody could
relabel such a stream, or give it a smaller budget. So each check names the terms that it is about,
and runs when one of them is another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ec import SECP256K1, EllipticCurvePublicKey

from streamer.core.ledger import fee_limit_msat
from streamer.core.schedule import exceeds_max_rate
from streamer.service.orders import StreamOrder, fields_of
from streamer.words.errors import InvalidArgument
from streamer.words.model import PUBKEY_BYTES, Rate, Record, Terms
from streamer.words.money import DAY_NS, MAX_MSAT, SECOND_NS, format_amount, format_duration
from streamer.words.settings import SHORTEST_INTERVAL_NS, StreamSettings

LONGEST_INTERVAL_NS = 3_660 * DAY_NS
"""Ten years: longer intervals are typing errors."""
MAX_OPEN_PAYMENTS = 100
MAX_FEE_PPM = 1_000_000
MIN_RECORD_TYPE = 65_536
"""BOLT 4: custom records begin here; lnd refuses lower types."""
MAX_RECORD_TYPE = 2**64 - 1
OWN_RECORD_TYPES = {5_482_373_484: "the keysend preimage", 1_937_011_309: "the stream record"}
MAX_RECORDS = 32
MAX_RECORDS_BYTES = 512
"""Of all own records of a stream together; an onion has 1,300 bytes for the whole route."""
MAX_TOKEN_BYTES = 64
MAX_GROUP_BYTES = 64
MAX_LABELS = 32
MAX_LABEL_BYTES = 128
"""Of a label's name, and of its value; a page of 1,000 streams, each with all that it may have,
fits into one message.
"""
MAX_REQUEST_ID_CHARS = 128
PAST_START_NS = 60 * SECOND_NS
"""A start that is past by less is taken as "now": clocks differ and calls take time."""


def check_destination(destination: bytes, own_pubkey: bytes | None) -> None:
    """Raise InvalidArgument unless this is a compressed point on secp256k1 that is not
    ourselves.
    """
    if len(destination) != PUBKEY_BYTES:
        raise InvalidArgument(
            f"destination has {len(destination)} bytes: a node's public key has {PUBKEY_BYTES} (66"
            " hex digits, starting with 02 or 03)"
        )
    try:
        EllipticCurvePublicKey.from_encoded_point(SECP256K1(), destination)
    except ValueError:
        raise InvalidArgument(
            f"destination {destination.hex()} is no public key: not a point on secp256k1; is a"
            " digit wrong?"
        ) from None
    if destination == own_pubkey:
        raise InvalidArgument("destination is our own node: a node cannot send a keysend to itself")


def check_amount(name: str, amount_msat: int, least_msat: int = 1) -> None:
    """Raise InvalidArgument unless least_msat ≤ amount ≤ all bitcoin."""
    if amount_msat < 0:
        raise InvalidArgument(f"{name} is negative ({amount_msat} msat)")
    if amount_msat == 0 and least_msat > 0:
        raise InvalidArgument(f"{name} is 0: nothing would be paid")
    if amount_msat < least_msat:
        raise InvalidArgument(
            f"{name} is {format_amount(amount_msat)}: at least {format_amount(least_msat)} is"
            " needed"
        )
    if amount_msat > MAX_MSAT:
        raise InvalidArgument(f"{name} is {amount_msat} msat: more than all bitcoin there is")


def check_fee_limit(fee_limit_msat: int) -> None:
    """Raise InvalidArgument unless 1 msat ≤ fee limit ≤ all bitcoin."""
    if not 1 <= fee_limit_msat <= MAX_MSAT:
        raise InvalidArgument(
            f"fee_limit_msat is {fee_limit_msat}: at least 1, for lnd reads 0 as free routes only"
        )


def check_records(records: tuple[Record, ...]) -> None:
    """Raise InvalidArgument unless lnd will take these records beside our own."""
    if len(records) > MAX_RECORDS:
        raise InvalidArgument(f"tlv_records: {len(records)} are too many: at most {MAX_RECORDS}")
    types = [kind for kind, _ in records]
    for kind in types:
        if kind in OWN_RECORD_TYPES:
            raise InvalidArgument(
                f"tlv_records: type {kind} is {OWN_RECORD_TYPES[kind]}, which streamer writes"
                " itself"
            )
        if not MIN_RECORD_TYPE <= kind <= MAX_RECORD_TYPE:
            raise InvalidArgument(
                f"tlv_records: type {kind} is reserved: own records have types from"
                f" {MIN_RECORD_TYPE}"
            )
        if types.count(kind) > 1:
            raise InvalidArgument(f"tlv_records: type {kind} is there twice")
    size = sum(len(value) for _, value in records)
    if size > MAX_RECORDS_BYTES:
        raise InvalidArgument(
            f"tlv_records have {size} bytes together: at most {MAX_RECORDS_BYTES} fit into a"
            " payment"
        )


def check_request_id(request_id: str) -> None:
    """Raise InvalidArgument if it is too long to keep, or has characters that separate it from the
    key's number.
    """
    if len(request_id) > MAX_REQUEST_ID_CHARS:
        raise InvalidArgument(
            f"request_id has {len(request_id)} characters: at most {MAX_REQUEST_ID_CHARS}"
        )
    if any(letter < " " for letter in request_id):
        raise InvalidArgument(
            "request_id has control characters: letters, digits and punctuation are enough"
        )


class Minima(Protocol):
    """The least that a payment is, and the least time that one buys: of the configuration, or as a
    stream's terms have them.
    """

    @property
    def min_payment_msat(self) -> int:
        """In msat."""

    @property
    def min_payment_interval_ns(self) -> int:
        """In ns."""


def default_payment_interval_ns(amount_msat: int, interval_ns: int, minima: Minima) -> int:
    """The smallest multiple of interval that buys the minimum payment and is not too short."""
    for_money = -(-minima.min_payment_msat // amount_msat)
    for_time = -(-minima.min_payment_interval_ns // interval_ns)
    return interval_ns * max(for_money, for_time)


def terms_of(
    order: StreamOrder, now_ns: int, settings: StreamSettings, node: str, own_pubkey: bytes | None
) -> Terms:
    """Check an order and fill in the defaults. Raises InvalidArgument with the field and a
    remedy.
    """
    check_destination(order.destination, own_pubkey)
    start_ns = _start(order, now_ns)
    rate = _rate(order.amount_msat, order.interval_ns, order.payment_interval_ns, settings)
    terms = _filled(order, rate, start_ns, settings, node)
    for _, check in _CHECKS:
        check(terms, now_ns)
    return terms


def changed_terms(
    terms: Terms, order: StreamOrder, paths: frozenset[str], now_ns: int, settings: StreamSettings
) -> Terms:
    """Terms of an existing stream after an update of paths (of CHANGEABLE). Raises InvalidArgument
    with the field and a remedy.

    What paths do not name stays, whatever else order says, and whatever is configured now; what
    they name as it is already is no change. A new rate is one of today: with it the stream takes
    the least payment and the least interval that are configured now. A payment_interval that was
    derived from those of before is derived from these.
    """
    rate = _changed_rate(terms, order, paths, settings)
    named = {
        field for path in paths for field in fields_of(path)
    } & Terms.__dataclass_fields__.keys()
    asked = _filled(order, rate, terms.start_time_ns, settings, terms.node)
    after = replace(terms, rate=rate, **{field: getattr(asked, field) for field in named})
    if rate != terms.rate:
        after = replace(
            after,
            min_payment_msat=settings.min_payment_msat,
            min_payment_interval_ns=settings.min_payment_interval_ns,
        )
    for about, check in _CHECKS:
        if differs(terms, after, about):
            check(after, now_ns)
    return after


def differs(before: Terms, after: Terms, fields: frozenset[str]) -> bool:
    """Whether one of these fields is another."""
    return any(getattr(before, field) != getattr(after, field) for field in fields)


def _filled(
    order: StreamOrder, rate: Rate, start_ns: int, settings: StreamSettings, node: str
) -> Terms:
    """Unchecked."""
    return Terms(
        node=node,
        destination=order.destination,
        rate=rate,
        start_time_ns=start_ns,
        end_time_ns=order.end_time_ns,
        budget=order.budget,
        fee_floor_msat=(
            settings.fee_floor_msat if order.fee_floor_msat is None else order.fee_floor_msat
        ),
        fee_limit_ppm=(
            settings.fee_limit_ppm if order.fee_limit_ppm is None else order.fee_limit_ppm
        ),
        min_payment_msat=settings.min_payment_msat,
        min_payment_interval_ns=settings.min_payment_interval_ns,
        max_payment_msat=(
            settings.max_payment_msat if order.max_payment_msat is None else order.max_payment_msat
        ),
        catch_up_ns=_catch_up(order, settings),
        ttl_ns=order.ttl_ns,
        max_open_payments=(
            settings.max_open_payments
            if order.max_open_payments is None
            else order.max_open_payments
        ),
        group=order.group,
        labels=tuple(sorted(order.labels)),
        records=tuple(sorted(order.records)),
        token=order.token,
    )


def _changed_rate(
    terms: Terms, order: StreamOrder, paths: frozenset[str], settings: StreamSettings
) -> Rate:
    before = terms.rate
    amount = order.amount_msat if "amount_msat" in paths else before.amount_msat
    interval = order.interval_ns if "interval" in paths else before.interval_ns
    payment_interval = (
        order.payment_interval_ns if "payment_interval" in paths else before.payment_interval_ns
    )
    if (amount, interval, payment_interval) == (
        before.amount_msat,
        before.interval_ns,
        before.payment_interval_ns,
    ):
        return before
    # by the stream's own minima: by those of today one that was derived before they were raised
    # would look like one that was asked for
    derived = before.payment_interval_ns == default_payment_interval_ns(
        before.amount_msat, before.interval_ns, terms
    )
    if derived and "payment_interval" not in paths:
        payment_interval = None
    return _rate(amount, interval, payment_interval, settings)


def _rate(amount: int, interval: int, payment_interval: int | None, minima: Minima) -> Rate:
    check_amount("amount_msat", amount)
    if interval < SHORTEST_INTERVAL_NS:
        raise InvalidArgument(
            f"interval is {format_duration(interval)}: at least"
            f" {format_duration(SHORTEST_INTERVAL_NS)} is needed; a rate is a ratio, so write for"
            " example ten times the amount for ten times the interval"
        )
    if interval > LONGEST_INTERVAL_NS:
        raise InvalidArgument(
            f"interval is {format_duration(interval)}: at most"
            f" {format_duration(LONGEST_INTERVAL_NS)}"
        )
    if exceeds_max_rate(amount, interval):
        raise InvalidArgument(
            f"rate {format_amount(amount)} per {format_duration(interval)} is absurd: more than a"
            " million sat per second is not paid"
        )
    if payment_interval is None:
        payment_interval = default_payment_interval_ns(amount, interval, minima)
        if payment_interval > LONGEST_INTERVAL_NS:
            raise InvalidArgument(
                f"rate {format_amount(amount)} per {format_duration(interval)} is too small: the"
                f" minimum payment of {format_amount(minima.min_payment_msat)} would fall due every"
                f" {format_duration(payment_interval)}"
            )
        return Rate(amount, interval, payment_interval)
    rate = Rate(amount, interval, payment_interval)
    _check_payment_interval(rate, minima)
    return rate


def _check_payment_interval(rate: Rate, minima: Minima) -> None:
    given_ns = rate.payment_interval_ns
    if not minima.min_payment_interval_ns <= given_ns <= LONGEST_INTERVAL_NS:
        raise InvalidArgument(
            f"payment_interval is {format_duration(given_ns)}: from"
            f" {format_duration(minima.min_payment_interval_ns)} to"
            f" {format_duration(LONGEST_INTERVAL_NS)}"
        )
    buys = given_ns * rate.amount_msat // rate.interval_ns
    if buys < minima.min_payment_msat:
        default = default_payment_interval_ns(rate.amount_msat, rate.interval_ns, minima)
        raise InvalidArgument(
            f"payment_interval {format_duration(given_ns)} buys {format_amount(buys)}, less than"
            f" the minimum payment of {format_amount(minima.min_payment_msat)}: leave it out, or"
            f" take {format_duration(default)}"
        )
    if buys > MAX_MSAT:
        raise InvalidArgument("payment_interval buys more than all bitcoin there is")


def _start(order: StreamOrder, now_ns: int) -> int:
    if order.start_time_ns is None:
        return now_ns
    if order.start_time_ns < now_ns - PAST_START_NS:
        raise InvalidArgument("start_time is in the past: leave it out to start now")
    return max(order.start_time_ns, now_ns)


def _catch_up(order: StreamOrder, settings: StreamSettings) -> int | None:
    if order.catch_up_forever:
        return None
    return settings.catch_up_ns if order.catch_up_ns is None else order.catch_up_ns


def _check_end(terms: Terms, now_ns: int) -> None:
    if terms.end_time_ns is None:
        return
    if terms.end_time_ns <= now_ns:
        raise InvalidArgument("end_time is in the past")
    if terms.end_time_ns <= terms.start_time_ns:
        raise InvalidArgument("end_time is not after start_time")


def _check_paid_until_end(terms: Terms, _: int) -> None:
    if terms.end_time_ns is None:
        return
    total = (
        (terms.end_time_ns - terms.start_time_ns) * terms.rate.amount_msat // terms.rate.interval_ns
    )
    if total < terms.min_payment_msat:
        raise InvalidArgument(
            f"until end_time the stream would pay {format_amount(total)}, less than the minimum"
            f" payment of {format_amount(terms.min_payment_msat)}: nothing could be paid"
        )


def _check_catch_up(terms: Terms, _: int) -> None:
    if terms.catch_up_ns is not None and terms.catch_up_ns < 0:
        raise InvalidArgument("catch_up is negative")


def _check_fee_floor(terms: Terms, _: int) -> None:
    check_amount("fee_floor_msat", terms.fee_floor_msat, 0)


def _check_fee_limit_ppm(terms: Terms, _: int) -> None:
    if not 0 <= terms.fee_limit_ppm <= MAX_FEE_PPM:
        raise InvalidArgument(
            f"fee_limit_ppm is {terms.fee_limit_ppm}: from 0 to {MAX_FEE_PPM:,} (the whole amount"
            " again)"
        )


def _check_any_fee(terms: Terms, _: int) -> None:
    if fee_limit_msat(terms.min_payment_msat, terms.fee_floor_msat, terms.fee_limit_ppm) == 0:
        raise InvalidArgument(
            "fee_floor_msat and fee_limit_ppm allow no fee at all: lnd reads 0 as free routes only;"
            " set a floor of 1 msat"
        )


def _check_max_payment(terms: Terms, _: int) -> None:
    if terms.max_payment_msat is not None:
        check_amount("max_payment_msat", terms.max_payment_msat, terms.min_payment_msat)


def _check_max_open_payments(terms: Terms, _: int) -> None:
    if not 1 <= terms.max_open_payments <= MAX_OPEN_PAYMENTS:
        raise InvalidArgument(
            f"max_open_payments is {terms.max_open_payments}: from 1 to {MAX_OPEN_PAYMENTS}"
        )


def _check_ttl(terms: Terms, _: int) -> None:
    if terms.ttl_ns is not None and not SECOND_NS <= terms.ttl_ns <= LONGEST_INTERVAL_NS:
        raise InvalidArgument(
            f"ttl is {format_duration(terms.ttl_ns)}: from 1s to"
            f" {format_duration(LONGEST_INTERVAL_NS)}"
        )


def _check_records(terms: Terms, _: int) -> None:
    check_records(terms.records)


def _check_token(terms: Terms, _: int) -> None:
    if len(terms.token) > MAX_TOKEN_BYTES:
        raise InvalidArgument(f"token has {len(terms.token)} bytes: at most {MAX_TOKEN_BYTES}")


def _check_group(terms: Terms, _: int) -> None:
    _check_text("group", terms.group, MAX_GROUP_BYTES)


def _check_labels(terms: Terms, _: int) -> None:
    if len(terms.labels) > MAX_LABELS:
        raise InvalidArgument(f"labels: {len(terms.labels)} are too many: at most {MAX_LABELS}")
    for key, value in terms.labels:
        if not key or any(letter.isspace() or letter == "=" for letter in key):
            raise InvalidArgument(f"labels: {key!r} is no name: letters without spaces and =")
        _check_text("labels: a name", key, MAX_LABEL_BYTES)
        _check_text(f"labels: {key}", value, MAX_LABEL_BYTES)


def _check_text(name: str, text: str, most_bytes: int) -> None:
    """Lists and filters show and name it, so it has a bound, no spaces and nothing that a terminal
    takes for a command.
    """
    size = len(text.encode())
    if size > most_bytes:
        raise InvalidArgument(f"{name} has {size} bytes: at most {most_bytes}")
    if any(letter.isspace() for letter in text):
        raise InvalidArgument(
            f"{name} is {text!r}: no filter could name it; write it without spaces"
        )
    if not text.isprintable():
        raise InvalidArgument(
            f"{name} is {text!r}: it has characters that cannot be shown; write it without them"
        )


def _check_budget(terms: Terms, _: int) -> None:
    budget = terms.budget
    if budget is None:
        return
    check_amount("budget.amount_msat", budget.amount_msat)
    if budget.period_ns is not None and not SECOND_NS <= budget.period_ns <= LONGEST_INTERVAL_NS:
        raise InvalidArgument(
            f"budget.period is {format_duration(budget.period_ns)}: 1s to"
            f" {format_duration(LONGEST_INTERVAL_NS)}, or total"
        )


def _check_budget_holds_a_payment(terms: Terms, _: int) -> None:
    if terms.budget is None:
        return
    amount = terms.rate.payment_interval_ns * terms.rate.amount_msat // terms.rate.interval_ns
    if terms.max_payment_msat is not None:
        amount = min(amount, terms.max_payment_msat)
    fee = fee_limit_msat(amount, terms.fee_floor_msat, terms.fee_limit_ppm)
    if terms.budget.amount_msat < amount + fee:
        raise InvalidArgument(
            f"budget of {format_amount(terms.budget.amount_msat)} is smaller than one payment:"
            f" {format_amount(amount)} and a fee limit of {format_amount(fee)}"
        )


PAYMENT_FIELDS = frozenset({"rate", "max_payment_msat", "fee_floor_msat", "fee_limit_ppm"})
"""The terms that say what a regular payment may cost, and so whether a budget holds one."""

_CHECKS: tuple[tuple[frozenset[str], Callable[[Terms, int], None]], ...] = (
    (frozenset({"end_time_ns"}), _check_end),
    (frozenset({"end_time_ns", "rate", "min_payment_msat"}), _check_paid_until_end),
    (frozenset({"catch_up_ns"}), _check_catch_up),
    (frozenset({"fee_floor_msat"}), _check_fee_floor),
    (frozenset({"fee_limit_ppm"}), _check_fee_limit_ppm),
    (frozenset({"fee_floor_msat", "fee_limit_ppm", "min_payment_msat"}), _check_any_fee),
    (frozenset({"max_payment_msat", "min_payment_msat"}), _check_max_payment),
    (frozenset({"max_open_payments"}), _check_max_open_payments),
    (frozenset({"ttl_ns"}), _check_ttl),
    (frozenset({"records"}), _check_records),
    (frozenset({"token"}), _check_token),
    (frozenset({"group"}), _check_group),
    (frozenset({"labels"}), _check_labels),
    (frozenset({"budget"}), _check_budget),
    (PAYMENT_FIELDS | {"budget"}, _check_budget_holds_a_payment),
)
"""The terms that a check is about, and the check, given terms and now: all run for a new stream, in
this order.
"""
