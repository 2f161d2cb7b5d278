"""Our journal beside the books of real nodes: what arrived, what the payer's lnd says, what a stream costs.

The receivers' settled HTLCs are the truth; nothing here asks the daemon. Each check names the payment
at which it fails.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable
from dataclasses import dataclass
from pathlib import Path

from streamer._proto.lnrpc import lightning_pb2 as ln
from streamer.money import MILLISECOND_NS
from streamer.nodes.keysend import STREAM_TYPE, decode_stream_record
from tests.e2e.house import journal
from tests.lnd.node import Lnd, Received

PAGE = 500
ENDED = ("SETTLED", "FAILED", "REFUSED", "WRITTEN_OFF")


@dataclass(frozen=True)
class Row:
    """A payment as the journal has it."""

    owner: str
    seq: int
    payment_hash: bytes
    amount_msat: int
    bought_until_ns: int
    state: str
    mark: str
    settled_msat: int

    @property
    def open(self) -> bool:
        return self.state not in ENDED


def rows(home: Path) -> list[Row]:
    """All payments of a daemon that has ended, oldest first."""
    wanted = "coalesce(s.id, p.owner), seq, payment_hash, amount_msat, bought_until_ns, p.state, mark, settled_msat"
    with journal(home) as connection:
        found = connection.execute(f"SELECT {wanted} FROM payments p LEFT JOIN streams s ON s.key = p.stream_key ORDER BY row")
        return [Row(*row) for row in found]


def arrived(receivers: Iterable[Lnd]) -> dict[bytes, Received]:
    """payment hash → the one settled HTLC with it; fails if a hash was settled twice, wherever."""
    htlcs = [htlc for receiver in receivers for htlc in receiver.received() if STREAM_TYPE in htlc.custom_records]
    twice = [digest.hex() for digest, count in Counter(htlc.payment_hash for htlc in htlcs).items() if count > 1]
    assert not twice, f"paid twice: {twice}"
    return {htlc.payment_hash: htlc for htlc in htlcs}


def check_arrived(home: Path, receivers: Iterable[Lnd], before: Container[bytes] = ()) -> int:
    """Payment by payment: what the journal calls settled is what arrived, with its amount and seq, once; how many.

    What had arrived before, by hash, is another daemon's affair.
    """
    found = {payment_hash: htlc for payment_hash, htlc in arrived(receivers).items() if payment_hash not in before}
    payments = rows(home)
    assert len({(row.owner, row.seq) for row in payments}) == len(payments)
    for row in payments:
        htlc = found.pop(row.payment_hash, None)
        assert (htlc is not None) == (row.state == "SETTLED"), (row, htlc)
        if htlc is not None:
            record = decode_stream_record(htlc.custom_records[STREAM_TYPE])
            assert (htlc.amt_msat, record.seq, record.amount_msat) == (row.settled_msat, row.seq, row.amount_msat), (row, record)
    assert not found, f"paid, and not in the journal: {list(found.values())}"
    return sum(row.state == "SETTLED" for row in payments)


def check_conservation(home: Path, amount_msat: int, interval_ms: int) -> None:
    """For each stream, all of this one rate: settled, reserved and owed are the price of the time bought, to the msat."""
    interval_ns = interval_ms * MILLISECOND_NS
    with journal(home) as connection:
        owed = dict(connection.execute("SELECT s.id, a.owed_msat FROM streams s JOIN accounts a USING (key)"))
        settled = dict(connection.execute("SELECT s.id, a.settled_msat FROM streams s JOIN accounts a USING (key)"))
    by_owner: dict[str, list[Row]] = {owner: [] for owner in owed}
    for row in rows(home):
        by_owner[row.owner].append(row)
    for owner, payments in by_owner.items():
        assert sorted(row.seq for row in payments) == list(range(1, len(payments) + 1)), owner
        bought_until_ns = max((row.seq, row.bought_until_ns) for row in payments)[1] if payments else 0
        paid = sum(row.settled_msat for row in payments)
        reserved = sum(row.amount_msat for row in payments if row.open)
        price = bought_until_ns * amount_msat // interval_ns
        assert (paid + reserved + owed[owner], paid) == (price, settled[owner]), (owner, paid, reserved, owed[owner], price)


def orphans(home: Path) -> dict[bytes, str]:
    """payment hash → "stream.seq" of all that the journal calls orphans."""
    return {row.payment_hash: f"{row.owner}.{row.seq}" for row in rows(home) if row.open and row.mark == "orphan"}


def in_flight_without_htlc(lnd: Lnd) -> set[bytes]:
    """The payments that lnd's own list calls IN_FLIGHT, and of which no channel has an HTLC."""
    pending = {htlc.hash_lock for channel in lnd.channels() for htlc in channel.pending_htlcs}
    return {payment_hash for payment_hash, status in sent(lnd).items() if status == ln.Payment.IN_FLIGHT} - pending


def sent(lnd: Lnd) -> dict[bytes, int]:
    """payment hash → status of every payment in lnd's own list."""
    found: dict[bytes, int] = {}
    offset = 0
    while True:
        page = lnd.rpc("ListPayments", ln.ListPaymentsRequest(include_incomplete=True, index_offset=offset, max_payments=PAGE))
        found |= {bytes.fromhex(payment.payment_hash): payment.status for payment in page.payments}
        if not page.payments:
            return found
        offset = page.last_index_offset


def counted(receivers: Iterable[Lnd]) -> int:
    """How many keysends have come in, by the newest invoice of each receiver; cheap, and a few may still be open."""
    request = ln.ListInvoiceRequest(num_max_invoices=1, reversed=True)
    return sum(page.last_index_offset for page in (receiver.rpc("ListInvoices", request) for receiver in receivers))
