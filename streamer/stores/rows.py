"""Payments and accounts as rows of plain columns, and back.

Written by hand because every payment passes here twice: a tuple of attributes costs a third of
what any general conversion does. Integers, exact str and bytearray only: for every other type
(bytes, bool, enums) sqlite3 first looks for an adapter, which costs more than the rest of the row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from zlib import crc32

from streamer.stores.schema import ACCOUNT_COLUMNS, INTENT_COLUMNS, STAMP_COLUMNS
from streamer.words.model import Account, Mark, Payment, PaymentState, Stream
from streamer.words.reasons import Reason

Row = tuple[Any, ...]

_ROW_ENDED = ACCOUNT_COLUMNS.index("failing_until_ns") - 1
"""Where that column is in a row of ACCOUNT_COLUMNS without the key."""
_STAMPS = tuple(INTENT_COLUMNS.index(name) for name in STAMP_COLUMNS)
_ACCOUNT_FIELDS = tuple(name for name in ACCOUNT_COLUMNS[1:] if name != "failing_until_ns")
FRESH = ("PLANNED", "", 0, 0, 0, "", "", 0, 0)
"""The END_COLUMNS of a payment that was only planned: the defaults of the table."""


def intent_row(payment: Payment) -> Row:
    """INTENT_COLUMNS of a payment. The owner is kept for single payments only: a stream's key names
    it.
    """
    destination, payment_hash, records = payment.destination, payment.payment_hash, payment.records
    return (
        payment.row,
        payment.stream_key,
        payment.seq,
        "" if payment.seq else payment.owner,
        payment.node,
        bytearray(destination),
        bytearray(payment_hash),
        payment.amount_msat,
        payment.fee_limit_msat,
        payment.cltv_limit,
        payment.timeout_seconds,
        bytearray(records),
        payment.due_ns,
        payment.planned_ns,
        payment.bought_until_ns,
        payment.skip_ns,
        payment.skip_msat,
        1 if payment.probe else 0,
        payment.period_start_ns,
        payment.daemon_period_ns,
        _crc(destination, payment_hash, records, payment.api_key, payment.key_period_ns),
        payment.api_key,
        payment.key_period_ns,
    )


def _crc(
    destination: bytes, payment_hash: bytes, records: bytes, api_key: int, key_period_ns: int
) -> int:
    """Of what the proof of the row does not cover; that of version 1, which had no keys, is the one
    without a key.
    """
    crc = crc32(records, crc32(payment_hash, crc32(destination)))
    return crc32(b"%d %d" % (api_key, key_period_ns), crc) if api_key or key_period_ns else crc


def stamp_row(payment: Payment) -> Row:
    """(row, *STAMP_COLUMNS) of a payment."""
    row = intent_row(payment)
    return (payment.row, *(row[place] for place in _STAMPS))


def end_row(payment: Payment) -> Row:
    """(row, *END_COLUMNS) of a payment."""
    message = payment.message
    return (
        payment.row,
        payment.state._value_,
        payment.mark._value_,
        1 if payment.accepted else 0,
        payment.settled_msat,
        payment.fee_msat,
        payment.reason._value_,
        plain(message) if message else "",
        payment.end_ns,
        payment.index,
    )


def invoice_row(payment: Payment) -> Row:
    """The row of invoice_payments of a payment of an invoice."""
    request, preimage = plain(payment.payment_request), payment.preimage
    crc = _invoice_crc(payment.payment_hash, request, preimage)
    return (payment.row, bytearray(payment.payment_hash), request, bytearray(preimage), crc)


def take_invoice(
    payment: Payment, payment_hash: bytes, request: str, preimage: bytes, crc: int
) -> None:
    """Give a payment what its row of invoice_payments says. Raises ValueError if that is not
    whole.
    """
    if payment_hash != payment.payment_hash or crc != _invoice_crc(payment_hash, request, preimage):
        raise ValueError("its invoice is not the one that was written")
    payment.payment_request, payment.preimage = request, preimage


def _invoice_crc(payment_hash: bytes, request: str, preimage: bytes) -> int:
    return crc32(preimage, crc32(request.encode(), crc32(payment_hash)))


def account_row(stream: Stream) -> Row:
    """ACCOUNT_COLUMNS of a stream."""
    account = stream.account
    return (
        stream.key,
        account.seq,
        account.bought_until_ns,
        account.due_ns,
        account.settled_msat,
        account.fee_msat,
        account.written_off_msat,
        account.owed_msat,
        account.settled_count,
        account.failed_count,
        account.streak,
        account.failing_since_ns,
        0,
        account.next_attempt_ns,
        account.counted_until_ns,
        account.probe_cap_msat,
        account.period_start_ns,
        account.period_spent_msat,
    )


def plain(text: str) -> str:
    """The text as SQLite can keep it: lone surrogates, which are not Unicode, become "?"."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def payment_from(row: Sequence[Any], stream_id: str) -> Payment:
    """The payment of (*INTENT_COLUMNS, *END_COLUMNS); stream_id "" for a single payment, which
    names itself.

    Raises ValueError if the row is not whole.
    """
    (
        number,
        stream_key,
        seq,
        owner,
        node,
        destination,
        payment_hash,
        amount_msat,
        fee_limit_msat,
        cltv_limit,
        timeout_seconds,
        records,
        due_ns,
        planned_ns,
        bought_until_ns,
        skip_ns,
        skip_msat,
        probe,
        period_start_ns,
        daemon_period_ns,
        crc,
        api_key,
        key_period_ns,
        state,
        mark,
        accepted,
        settled_msat,
        fee_msat,
        reason,
        message,
        end_ns,
        index,
    ) = row
    if _crc(destination, payment_hash, records, api_key, key_period_ns) != crc:
        raise ValueError("its destination, hash, records or key are not those that were written")
    return Payment(
        row=number,
        owner=stream_id if seq else owner,
        stream_key=stream_key,
        seq=seq,
        node=node,
        destination=destination,
        payment_hash=payment_hash,
        amount_msat=amount_msat,
        fee_limit_msat=fee_limit_msat,
        cltv_limit=cltv_limit,
        timeout_seconds=timeout_seconds,
        records=records,
        due_ns=due_ns,
        planned_ns=planned_ns,
        bought_until_ns=bought_until_ns,
        skip_ns=skip_ns,
        skip_msat=skip_msat,
        probe=bool(probe),
        period_start_ns=period_start_ns,
        daemon_period_ns=daemon_period_ns,
        api_key=api_key,
        key_period_ns=key_period_ns,
        state=PaymentState(state),
        mark=Mark(mark),
        accepted=bool(accepted),
        settled_msat=settled_msat,
        fee_msat=fee_msat,
        reason=Reason(reason),
        message=message,
        end_ns=end_ns,
        index=index,
    )


def account_from(row: Sequence[int]) -> Account:
    """The account of ACCOUNT_COLUMNS without the key."""
    return Account(
        **dict(zip(_ACCOUNT_FIELDS, (*row[:_ROW_ENDED], *row[_ROW_ENDED + 1 :]), strict=True))
    )


def row_ended_ns(row: Sequence[int]) -> int:
    """When the row of failures ended: written until streams had spans, 0 since."""
    return row[_ROW_ENDED]
