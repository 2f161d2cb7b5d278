"""Streams, payments and facts to store, plain ones and strange ones."""

from __future__ import annotations

from hypothesis import strategies as st

from streamer.words.model import (
    Account,
    BudgetTerms,
    Mark,
    Payment,
    PaymentState,
    Rate,
    Segment,
    Stream,
    StreamState,
    Terms,
)
from streamer.words.reasons import Reason

NOW = 1_800_000_000_000_000_000
DESTINATION = bytes.fromhex("02" + "ab" * 32)


def a_stream(key: int = 1, **changes: object) -> Stream:
    terms = Terms(
        node="main",
        destination=DESTINATION,
        rate=Rate(1_000, 10**9, 10**9),
        start_time_ns=NOW,
        end_time_ns=None,
        budget=None,
        fee_floor_msat=5_000,
        fee_limit_ppm=10_000,
        min_payment_msat=1_000,
        min_payment_interval_ns=10**9,
        max_payment_msat=None,
        catch_up_ns=None,
        ttl_ns=None,
        max_open_payments=1,
        group="",
        labels=(),
        records=(),
        token=b"t" * 16,
    )
    made = Stream(
        id=f"st_{key:032x}",
        key=key,
        terms=terms,
        create_time_ns=NOW,
        state=StreamState.ACTIVE,
        reason=Reason.NONE,
        state_time_ns=NOW,
    )
    made.segments = [Segment(0, 0, terms.rate)]
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def a_payment(stream: Stream, row: int, seq: int, **changes: object) -> Payment:
    made = Payment(
        row=row,
        owner=stream.id,
        stream_key=stream.key,
        seq=seq,
        node="main",
        destination=DESTINATION,
        payment_hash=row.to_bytes(32, "big"),
        amount_msat=1_000,
        fee_limit_msat=5_000,
        cltv_limit=288,
        timeout_seconds=30,
        records=b"\x01\x02",
        due_ns=NOW + seq,
        planned_ns=NOW + row,
        bought_until_ns=seq * 10**9,
        daemon_period_ns=NOW,
    )
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def a_single(row: int, **changes: object) -> Payment:
    return a_payment(a_stream(0, id=f"pay_{row:032x}"), row, 0, **changes)


HUGE = 2**63 - 1
integers = st.integers(-HUGE - 1, HUGE)
amounts = st.integers(0, HUGE)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
rates = st.builds(Rate, amounts, amounts, amounts)
accounts = st.builds(
    Account,
    seq=amounts,
    bought_until_ns=integers,
    due_ns=integers,
    settled_msat=amounts,
    fee_msat=amounts,
    written_off_msat=integers,
    settled_count=amounts,
    failed_count=amounts,
    streak=amounts,
    failing_since_ns=integers,
    owed_msat=integers,
    next_attempt_ns=integers,
    counted_until_ns=integers,
    probe_cap_msat=integers,
    period_start_ns=integers,
    period_spent_msat=integers,
)
terms = st.builds(
    Terms,
    node=texts,
    destination=st.binary(max_size=40),
    rate=rates,
    start_time_ns=integers,
    end_time_ns=st.none() | integers,
    budget=st.none() | st.builds(BudgetTerms, amounts, st.none() | amounts),
    fee_floor_msat=integers,
    fee_limit_ppm=integers,
    min_payment_msat=integers,
    min_payment_interval_ns=integers,
    max_payment_msat=st.none() | integers,
    catch_up_ns=st.none() | integers,
    ttl_ns=st.none() | integers,
    max_open_payments=integers,
    group=texts,
    labels=st.lists(st.tuples(texts, texts), max_size=3).map(tuple),
    records=st.lists(st.tuples(amounts, st.binary(max_size=20)), max_size=3).map(tuple),
    token=st.binary(max_size=20),
)
spans = st.lists(st.tuples(integers, integers), max_size=3).map(tuple)
streams = st.builds(
    Stream,
    id=st.just("st_00"),
    key=st.integers(1, HUGE),
    terms=terms,
    create_time_ns=integers,
    state=st.sampled_from(StreamState),
    reason=st.sampled_from(Reason),
    state_time_ns=integers,
    expire_time_ns=integers,
    segments=st.lists(st.builds(Segment, integers, integers, rates), max_size=4),
    skipped_ns=integers,
    skipped_msat=integers,
    paused_ns=integers,
    paused_at_ns=integers,
    dropped_msat=integers,
    spans=spans,
    stretches=spans,
    doubt_since_ns=integers,
    short_of=st.sampled_from(Reason),
    short_since_ns=integers,
    short_until_ns=integers,
    stalled_by=st.sampled_from(Reason),
    failing=st.sampled_from(Reason),
    written_off_fee_msat=amounts,
    refunded_msat=amounts,
    last_failure=st.text(max_size=40),
    ends_as=st.none() | st.sampled_from(StreamState),
    account=accounts,
)
ends = {
    "state": st.sampled_from(PaymentState),
    "mark": st.sampled_from(Mark),
    "accepted": st.booleans(),
    "settled_msat": integers,
    "fee_msat": integers,
    "reason": st.sampled_from(Reason),
    "message": texts,
    "end_ns": integers,
    "index": amounts,
}
payments = st.builds(
    Payment,
    row=st.integers(1, HUGE),
    owner=st.just("st_00"),
    stream_key=st.just(1),
    seq=st.integers(1, HUGE),
    node=texts,
    destination=st.binary(max_size=40),
    payment_hash=st.binary(max_size=32),
    amount_msat=amounts,
    fee_limit_msat=amounts,
    cltv_limit=integers,
    timeout_seconds=integers,
    records=st.binary(max_size=200),
    due_ns=integers,
    planned_ns=integers,
    bought_until_ns=integers,
    skip_ns=integers,
    skip_msat=integers,
    probe=st.booleans(),
    period_start_ns=integers,
    daemon_period_ns=integers,
    **ends,
)


def same(one: Payment, other: Payment) -> bool:
    """Payments compare by identity; this compares what they say."""
    return all(
        getattr(one, name) == getattr(other, name)
        and type(getattr(one, name)) is type(getattr(other, name))
        for name in Payment.__slots__
    )
