"""Our journal beside the books of real nodes: what arrived, what the payer's lnd says, what a
stream costs.

The receivers' settled HTLCs are the truth, as far as the money in their channels bears them out;
nothing here asks the daemon. Each check names the payment at which it fails.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from streamer._proto.lnrpc import lightning_pb2 as ln
from streamer.core.keysend import STREAM_TYPE, decode_stream_record
from streamer.words.money import MILLISECOND_NS, MSAT_PER_SAT, SECOND_NS
from tests.e2e.house import journal
from tests.lnd.node import Lnd, Received
from tests.lnd.process import until

PAGE = 500
ENDED = ("SETTLED", "FAILED", "REFUSED", "WRITTEN_OFF")
ENDS: dict[str, tuple[int | None, ...]] = {
    "SETTLED": (ln.Payment.SUCCEEDED,),
    "FAILED": (ln.Payment.FAILED, None),
    "REFUSED": (None,),
}
"""What lnd calls a payment of ours that has ended; None: it does not know it, because it was never
executed.
"""


@dataclass(frozen=True)
class Row:
    """A payment as the journal has it."""

    owner: str
    seq: int
    payment_hash: bytes
    amount_msat: int
    fee_limit_msat: int
    bought_until_ns: int
    state: str
    mark: str
    settled_msat: int
    message: str
    planned_ns: int
    end_ns: int

    @property
    def open(self) -> bool:
        return self.state not in ENDED


def rows(home: Path) -> list[Row]:
    """All payments of a daemon that has ended, oldest first."""
    wanted = (
        "coalesce(s.id, p.owner), seq, payment_hash, amount_msat, fee_limit_msat, bought_until_ns,"
        " p.state, mark, settled_msat, message, planned_ns, end_ns"
    )
    with journal(home) as connection:
        found = connection.execute(
            f"SELECT {wanted} FROM payments p LEFT JOIN streams s ON s.key = p.stream_key ORDER"
            " BY row"
        )
        return [Row(*row) for row in found]


def arrived(receivers: Iterable[Lnd]) -> dict[bytes, Received]:
    """payment hash → the one settled HTLC with it, or one that was given back; fails if a hash was
    paid twice, wherever.
    """
    htlcs = [
        htlc
        for receiver in receivers
        for htlc in receiver.received()
        if STREAM_TYPE in htlc.custom_records
    ]
    kept = [htlc for htlc in htlcs if not htlc.given_back]
    twice = [
        digest.hex()
        for digest, count in Counter(htlc.payment_hash for htlc in kept).items()
        if count > 1
    ]
    assert not twice, f"paid twice: {twice}"
    return {htlc.payment_hash: htlc for htlc in [*htlcs, *kept]}


def check_arrived(
    home: Path, payer: Lnd, receivers: Iterable[Lnd], before: Container[bytes] = ()
) -> int:
    """Payment by payment: what the journal calls settled is what arrived, with its amount and seq,
    once; how many.

    What had arrived before, by hash, is another daemon's affair. Of an HTLC that was given back the
    payer's lnd may say either: that it failed, or, with the preimage in its hands, that it
    succeeded.
    """
    found = {
        payment_hash: htlc
        for payment_hash, htlc in arrived(receivers).items()
        if payment_hash not in before
    }
    payments = rows(home)
    assert len({(row.owner, row.seq) for row in payments}) == len(payments)
    for row in payments:
        htlc = found.pop(row.payment_hash, None)
        settled, failed = row.state == "SETTLED", row.state == "FAILED"
        assert settled == (htlc is not None) or (htlc is not None and htlc.given_back and failed), (
            story(payer, row, htlc)
        )
        if htlc is not None and settled:
            record = decode_stream_record(htlc.custom_records[STREAM_TYPE])
            assert (htlc.amt_msat, record.seq, record.amount_msat) == (
                row.settled_msat,
                row.seq,
                row.amount_msat,
            ), (row, record)
    assert not found, f"paid, and not in the journal: {list(found.values())}"
    return sum(row.state == "SETTLED" for row in payments)


def check_payer(home: Path, payer: Lnd) -> None:
    """The payer's lnd has come to the same end of each payment as the journal."""
    said = sent(payer)
    for row in rows(home):
        wanted = ENDS.get(row.state, (ln.Payment.IN_FLIGHT,))
        assert said.get(row.payment_hash) in wanted, story(payer, row, None)


def check_money(receiver: Lnd) -> None:
    """What the receiver's books hold is what is in each of its channels, that held nothing of its
    own in the beginning.
    """
    booked_msat: Counter[int] = Counter()
    for htlc in receiver.received():
        booked_msat[htlc.chan_id] += 0 if htlc.given_back else htlc.amt_msat
    booked_sat = {
        channel: msat // MSAT_PER_SAT
        for channel, msat in booked_msat.items()
        if msat >= MSAT_PER_SAT
    }
    until(
        f"in the channels of {receiver.name} are {booked_sat} sat",
        lambda: receiver.money_sat() == booked_sat,
    )


def story(payer: Lnd, row: Row, htlc: Received | None) -> str:
    """All that is known of one payment, with times, for whoever has to find out what happened to
    it.
    """
    lines = [
        f"payment {row.payment_hash.hex()}",
        f"the journal: {row}, planned {clock(row.planned_ns)}, ended {clock(row.end_ns)}",
    ]
    lines += [f"the receiver: {htlc}"]
    for payment in listed(payer):
        if payment.payment_hash == row.payment_hash.hex():
            status, reason = (
                ln.Payment.PaymentStatus.Name(payment.status),
                ln.PaymentFailureReason.Name(payment.failure_reason),
            )
            lines.append(
                f"lnd: {status}, {reason}, index {payment.payment_index}, created"
                f" {clock(payment.creation_time_ns)}"
            )
            lines += [_attempt(attempt) for attempt in payment.htlcs]
    return "\n".join(lines)


def clock(time_ns: int) -> str:
    """The time of day as in lnd's log."""
    seconds, rest_ns = divmod(time_ns, SECOND_NS)
    return f"{time.strftime('%H:%M:%S', time.localtime(seconds))}.{rest_ns // MILLISECOND_NS:03}"


def _attempt(attempt: ln.HTLCAttempt) -> str:
    status, code = (
        ln.HTLCAttempt.HTLCStatus.Name(attempt.status),
        ln.Failure.FailureCode.Name(attempt.failure.code),
    )
    channel = attempt.route.hops[0].chan_id if attempt.route.hops else 0
    times = f"{clock(attempt.attempt_time_ns)} to {clock(attempt.resolve_time_ns)}"
    return (
        f"attempt {attempt.attempt_id} over {channel}: {status}, {code} of hop"
        f" {attempt.failure.failure_source_index}, {times}"
    )


def check_conservation(home: Path, amount_msat: int, interval_ms: int) -> None:
    """For each stream, all of this one rate: settled, reserved and owed are the price of the time
    bought, to the msat.
    """
    interval_ns = interval_ms * MILLISECOND_NS
    with journal(home) as connection:
        owed = dict(
            connection.execute(
                "SELECT s.id, a.owed_msat FROM streams s JOIN accounts a USING (key)"
            )
        )
        settled = dict(
            connection.execute(
                "SELECT s.id, a.settled_msat FROM streams s JOIN accounts a USING (key)"
            )
        )
    by_owner: dict[str, list[Row]] = {owner: [] for owner in owed}
    for row in rows(home):
        by_owner[row.owner].append(row)
    for owner, payments in by_owner.items():
        assert sorted(row.seq for row in payments) == list(range(1, len(payments) + 1)), owner
        bought_until_ns = (
            max((row.seq, row.bought_until_ns) for row in payments)[1] if payments else 0
        )
        # what was written off stays paid for the stream, even if the budgets have it back
        paid = sum(
            row.amount_msat if row.state == "WRITTEN_OFF" else row.settled_msat for row in payments
        )
        reserved = sum(row.amount_msat for row in payments if row.open)
        price = bought_until_ns * amount_msat // interval_ns
        assert (paid + reserved + owed[owner], paid) == (price, settled[owner]), (
            owner,
            paid,
            reserved,
            owed[owner],
            price,
        )


def orphans(home: Path) -> dict[bytes, str]:
    """payment hash → "stream.seq" of all that the journal calls orphans."""
    return {
        row.payment_hash: f"{row.owner}.{row.seq}"
        for row in rows(home)
        if row.open and row.mark == "orphan"
    }


def in_flight_without_htlc(lnd: Lnd) -> set[bytes]:
    """The payments that lnd's own list calls IN_FLIGHT, and of which no channel has an HTLC."""
    pending = {htlc.hash_lock for channel in lnd.channels() for htlc in channel.pending_htlcs}
    return {
        payment_hash for payment_hash, status in sent(lnd).items() if status == ln.Payment.IN_FLIGHT
    } - pending


def sent(lnd: Lnd) -> dict[bytes, int]:
    """payment hash → status of every payment in lnd's own list."""
    return {bytes.fromhex(payment.payment_hash): payment.status for payment in listed(lnd)}


def listed(lnd: Lnd) -> Iterator[ln.Payment]:
    """Every payment in lnd's own list, oldest first."""
    offset = 0
    while (
        page := lnd.rpc(
            "ListPayments",
            ln.ListPaymentsRequest(include_incomplete=True, index_offset=offset, max_payments=PAGE),
        )
    ).payments:
        yield from page.payments
        offset = page.last_index_offset


def counted(receivers: Iterable[Lnd]) -> int:
    """How many keysends have come in, by the newest invoice of each receiver; cheap, and a few may
    still be open.
    """
    request = ln.ListInvoiceRequest(num_max_invoices=1, reversed=True)
    return sum(
        page.last_index_offset
        for page in (receiver.rpc("ListInvoices", request) for receiver in receivers)
    )
