"""From an order to terms: every check of a stream or payment, with messages that say what to do.

Used for new streams and for changes alike, so that no update can reach what creation refuses.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ec import SECP256K1, EllipticCurvePublicKey

from streamer.core.ledger import fee_limit_msat
from streamer.core.schedule import exceeds_max_rate
from streamer.errors import InvalidArgument
from streamer.model import PUBKEY_BYTES, BudgetTerms, Rate, Record, Terms
from streamer.money import DAY_NS, MAX_MSAT, SECOND_NS, format_amount, format_duration
from streamer.service.orders import StreamOrder
from streamer.settings import SHORTEST_INTERVAL_NS, StreamSettings

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
"""Of a label's name, and of its value; a page of 1,000 streams, each with all that it may have, fits into one message."""
MAX_REQUEST_ID_CHARS = 128
PAST_START_NS = 60 * SECOND_NS
"""A start that is past by less is taken as "now": clocks differ and calls take time."""


def check_destination(destination: bytes, own_pubkey: bytes | None) -> None:
    """Raise InvalidArgument unless this is a compressed point on secp256k1 that is not ourselves."""
    if len(destination) != PUBKEY_BYTES:
        raise InvalidArgument(
            f"destination has {len(destination)} bytes: a node's public key has {PUBKEY_BYTES} (66 hex digits, starting with 02 or 03)"
        )
    try:
        EllipticCurvePublicKey.from_encoded_point(SECP256K1(), destination)
    except ValueError:
        raise InvalidArgument(f"destination {destination.hex()} is no public key: not a point on secp256k1; is a digit wrong?") from None
    if destination == own_pubkey:
        raise InvalidArgument("destination is our own node: a node cannot send a keysend to itself")


def check_amount(name: str, amount_msat: int, least_msat: int = 1) -> None:
    """Raise InvalidArgument unless least_msat ≤ amount ≤ all bitcoin."""
    if amount_msat < 0:
        raise InvalidArgument(f"{name} is negative ({amount_msat} msat)")
    if amount_msat == 0 and least_msat > 0:
        raise InvalidArgument(f"{name} is 0: nothing would be paid")
    if amount_msat < least_msat:
        raise InvalidArgument(f"{name} is {format_amount(amount_msat)}: at least {format_amount(least_msat)} is needed")
    if amount_msat > MAX_MSAT:
        raise InvalidArgument(f"{name} is {amount_msat} msat: more than all bitcoin there is")


def check_fee_limit(fee_limit_msat: int) -> None:
    """Raise InvalidArgument unless 1 msat ≤ fee limit ≤ all bitcoin."""
    if not 1 <= fee_limit_msat <= MAX_MSAT:
        raise InvalidArgument(f"fee_limit_msat is {fee_limit_msat}: at least 1, for lnd reads 0 as free routes only")


def check_records(records: tuple[Record, ...]) -> None:
    """Raise InvalidArgument unless lnd will take these records beside our own."""
    if len(records) > MAX_RECORDS:
        raise InvalidArgument(f"tlv_records: {len(records)} are too many: at most {MAX_RECORDS}")
    types = [kind for kind, _ in records]
    for kind in types:
        if kind in OWN_RECORD_TYPES:
            raise InvalidArgument(f"tlv_records: type {kind} is {OWN_RECORD_TYPES[kind]}, which streamer writes itself")
        if not MIN_RECORD_TYPE <= kind <= MAX_RECORD_TYPE:
            raise InvalidArgument(f"tlv_records: type {kind} is reserved: own records have types from {MIN_RECORD_TYPE}")
        if types.count(kind) > 1:
            raise InvalidArgument(f"tlv_records: type {kind} is there twice")
    size = sum(len(value) for _, value in records)
    if size > MAX_RECORDS_BYTES:
        raise InvalidArgument(f"tlv_records have {size} bytes together: at most {MAX_RECORDS_BYTES} fit into a payment")


def check_request_id(request_id: str) -> None:
    """Raise InvalidArgument if it is too long to keep, or has characters that separate it from the key's number."""
    if len(request_id) > MAX_REQUEST_ID_CHARS:
        raise InvalidArgument(f"request_id has {len(request_id)} characters: at most {MAX_REQUEST_ID_CHARS}")
    if any(letter < " " for letter in request_id):
        raise InvalidArgument("request_id has control characters: letters, digits and punctuation are enough")


def default_payment_interval_ns(amount_msat: int, interval_ns: int, settings: StreamSettings) -> int:
    """The smallest multiple of interval that buys the minimum payment and is not too short."""
    for_money = -(-settings.min_payment_msat // amount_msat)
    for_time = -(-settings.min_payment_interval_ns // interval_ns)
    return interval_ns * max(for_money, for_time)


def terms_of(order: StreamOrder, now_ns: int, settings: StreamSettings, node: str, own_pubkey: bytes | None) -> Terms:
    """Check an order and fill in the defaults. Raises InvalidArgument with the field and a remedy."""
    check_destination(order.destination, own_pubkey)
    return _terms(order, _start(order, now_ns), now_ns, settings, node)


def _terms(order: StreamOrder, start_ns: int, now_ns: int, settings: StreamSettings, node: str) -> Terms:
    rate = _rate(order, settings)
    _check_end(order, start_ns, now_ns, rate, settings)
    terms = Terms(
        node=node,
        destination=order.destination,
        rate=rate,
        start_time_ns=start_ns,
        end_time_ns=order.end_time_ns,
        budget=order.budget,
        fee_floor_msat=settings.fee_floor_msat if order.fee_floor_msat is None else order.fee_floor_msat,
        fee_limit_ppm=settings.fee_limit_ppm if order.fee_limit_ppm is None else order.fee_limit_ppm,
        min_payment_msat=settings.min_payment_msat,
        min_payment_interval_ns=settings.min_payment_interval_ns,
        max_payment_msat=settings.max_payment_msat if order.max_payment_msat is None else order.max_payment_msat,
        catch_up_ns=_catch_up(order, settings),
        ttl_ns=order.ttl_ns,
        max_open_payments=settings.max_open_payments if order.max_open_payments is None else order.max_open_payments,
        group=order.group,
        labels=tuple(sorted(order.labels)),
        records=tuple(sorted(order.records)),
        token=order.token,
    )
    _check_limits(terms)
    _check_texts(terms)
    if terms.budget is not None:
        _check_budget(terms, terms.budget)
    return terms


def order_of(terms: Terms) -> StreamOrder:
    """The order that gives these terms again."""
    return StreamOrder(
        destination=terms.destination,
        amount_msat=terms.rate.amount_msat,
        interval_ns=terms.rate.interval_ns,
        node=terms.node,
        payment_interval_ns=terms.rate.payment_interval_ns,
        start_time_ns=terms.start_time_ns,
        end_time_ns=terms.end_time_ns,
        budget=terms.budget,
        fee_floor_msat=terms.fee_floor_msat,
        fee_limit_ppm=terms.fee_limit_ppm,
        max_payment_msat=terms.max_payment_msat,
        catch_up_ns=terms.catch_up_ns,
        catch_up_forever=terms.catch_up_ns is None,
        ttl_ns=terms.ttl_ns,
        max_open_payments=terms.max_open_payments,
        group=terms.group,
        labels=terms.labels,
        records=terms.records,
        token=terms.token,
    )


def changed_terms(terms: Terms, order: StreamOrder, now_ns: int, settings: StreamSettings) -> Terms:
    """Terms of an existing stream after a change: its start stays, and may lie in the past."""
    return _terms(order, terms.start_time_ns, now_ns, settings, terms.node)


def _rate(order: StreamOrder, settings: StreamSettings) -> Rate:
    amount, interval = order.amount_msat, order.interval_ns
    check_amount("amount_msat", amount)
    if interval < SHORTEST_INTERVAL_NS:
        raise InvalidArgument(
            f"interval is {format_duration(interval)}: at least {format_duration(SHORTEST_INTERVAL_NS)} is needed;"
            " a rate is a ratio, so write for example ten times the amount for ten times the interval"
        )
    if interval > LONGEST_INTERVAL_NS:
        raise InvalidArgument(f"interval is {format_duration(interval)}: at most {format_duration(LONGEST_INTERVAL_NS)}")
    if exceeds_max_rate(amount, interval):
        raise InvalidArgument(
            f"rate {format_amount(amount)} per {format_duration(interval)} is absurd: more than a million sat per second is not paid"
        )
    if order.payment_interval_ns is None:
        payment_interval = default_payment_interval_ns(amount, interval, settings)
        if payment_interval > LONGEST_INTERVAL_NS:
            raise InvalidArgument(
                f"rate {format_amount(amount)} per {format_duration(interval)} is too small: the minimum payment of"
                f" {format_amount(settings.min_payment_msat)} would fall due every {format_duration(payment_interval)}"
            )
        return Rate(amount, interval, payment_interval)
    return Rate(amount, interval, _checked_payment_interval(order, order.payment_interval_ns, settings))


def _checked_payment_interval(order: StreamOrder, given_ns: int, settings: StreamSettings) -> int:
    if not settings.min_payment_interval_ns <= given_ns <= LONGEST_INTERVAL_NS:
        raise InvalidArgument(
            f"payment_interval is {format_duration(given_ns)}: from {format_duration(settings.min_payment_interval_ns)}"
            f" to {format_duration(LONGEST_INTERVAL_NS)}"
        )
    buys = given_ns * order.amount_msat // order.interval_ns
    if buys < settings.min_payment_msat:
        default = default_payment_interval_ns(order.amount_msat, order.interval_ns, settings)
        raise InvalidArgument(
            f"payment_interval {format_duration(given_ns)} buys {format_amount(buys)}, less than the minimum payment of"
            f" {format_amount(settings.min_payment_msat)}: leave it out, or take {format_duration(default)}"
        )
    if buys > MAX_MSAT:
        raise InvalidArgument("payment_interval buys more than all bitcoin there is")
    return given_ns


def _start(order: StreamOrder, now_ns: int) -> int:
    if order.start_time_ns is None:
        return now_ns
    if order.start_time_ns < now_ns - PAST_START_NS:
        raise InvalidArgument("start_time is in the past: leave it out to start now")
    return max(order.start_time_ns, now_ns)


def _check_end(order: StreamOrder, start_ns: int, now_ns: int, rate: Rate, settings: StreamSettings) -> None:
    if order.end_time_ns is None:
        return
    if order.end_time_ns <= now_ns:
        raise InvalidArgument("end_time is in the past")
    if order.end_time_ns <= start_ns:
        raise InvalidArgument("end_time is not after start_time")
    total = (order.end_time_ns - start_ns) * rate.amount_msat // rate.interval_ns
    if total < settings.min_payment_msat:
        raise InvalidArgument(
            f"until end_time the stream would pay {format_amount(total)}, less than the minimum payment of"
            f" {format_amount(settings.min_payment_msat)}: nothing could be paid"
        )


def _catch_up(order: StreamOrder, settings: StreamSettings) -> int | None:
    if order.catch_up_forever:
        return None
    if order.catch_up_ns is None:
        return settings.catch_up_ns
    if order.catch_up_ns < 0:
        raise InvalidArgument("catch_up is negative")
    return order.catch_up_ns


def _check_limits(terms: Terms) -> None:
    check_amount("fee_floor_msat", terms.fee_floor_msat, 0)
    if not 0 <= terms.fee_limit_ppm <= MAX_FEE_PPM:
        raise InvalidArgument(f"fee_limit_ppm is {terms.fee_limit_ppm}: from 0 to {MAX_FEE_PPM:,} (the whole amount again)")
    if fee_limit_msat(terms.min_payment_msat, terms.fee_floor_msat, terms.fee_limit_ppm) == 0:
        raise InvalidArgument(
            "fee_floor_msat and fee_limit_ppm allow no fee at all: lnd reads 0 as free routes only; set a floor of 1 msat"
        )
    if terms.max_payment_msat is not None:
        check_amount("max_payment_msat", terms.max_payment_msat, terms.min_payment_msat)
    if not 1 <= terms.max_open_payments <= MAX_OPEN_PAYMENTS:
        raise InvalidArgument(f"max_open_payments is {terms.max_open_payments}: from 1 to {MAX_OPEN_PAYMENTS}")
    if terms.ttl_ns is not None and not SECOND_NS <= terms.ttl_ns <= LONGEST_INTERVAL_NS:
        raise InvalidArgument(f"ttl is {format_duration(terms.ttl_ns)}: from 1s to {format_duration(LONGEST_INTERVAL_NS)}")


def _check_texts(terms: Terms) -> None:
    check_records(terms.records)
    if len(terms.token) > MAX_TOKEN_BYTES:
        raise InvalidArgument(f"token has {len(terms.token)} bytes: at most {MAX_TOKEN_BYTES}")
    _check_text("group", terms.group, MAX_GROUP_BYTES)
    if len(terms.labels) > MAX_LABELS:
        raise InvalidArgument(f"labels: {len(terms.labels)} are too many: at most {MAX_LABELS}")
    for key, value in terms.labels:
        if not key or any(letter.isspace() or letter == "=" for letter in key):
            raise InvalidArgument(f"labels: {key!r} is no name: letters without spaces and =")
        _check_text("labels: a name", key, MAX_LABEL_BYTES)
        _check_text(f"labels: {key}", value, MAX_LABEL_BYTES)


def _check_text(name: str, text: str, most_bytes: int) -> None:
    """Lists and filters show and name it, so it has a bound, no spaces and nothing that a terminal takes for a command."""
    size = len(text.encode())
    if size > most_bytes:
        raise InvalidArgument(f"{name} has {size} bytes: at most {most_bytes}")
    if any(letter.isspace() for letter in text):
        raise InvalidArgument(f"{name} is {text!r}: no filter could name it; write it without spaces")
    if not text.isprintable():
        raise InvalidArgument(f"{name} is {text!r}: it has characters that cannot be shown; write it without them")


def _check_budget(terms: Terms, budget: BudgetTerms) -> None:
    check_amount("budget.amount_msat", budget.amount_msat)
    if budget.period_ns is not None and not SECOND_NS <= budget.period_ns <= LONGEST_INTERVAL_NS:
        raise InvalidArgument(
            f"budget.period is {format_duration(budget.period_ns)}: 1s to {format_duration(LONGEST_INTERVAL_NS)}, or total"
        )
    amount = terms.rate.payment_interval_ns * terms.rate.amount_msat // terms.rate.interval_ns
    if terms.max_payment_msat is not None:
        amount = min(amount, terms.max_payment_msat)
    fee = fee_limit_msat(amount, terms.fee_floor_msat, terms.fee_limit_ppm)
    if budget.amount_msat < amount + fee:
        raise InvalidArgument(
            f"budget of {format_amount(budget.amount_msat)} is smaller than one payment:"
            f" {format_amount(amount)} and a fee limit of {format_amount(fee)}"
        )
