"""What the next payment of a stream buys, and what time is skipped before: one decision, no effects."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from streamer.core.ledger import Budget, fee_limit_msat, largest_amount_msat
from streamer.core.outages import Outages, union_ns
from streamer.core.schedule import buy_until_ns, moment_ns, price_msat, remove_time
from streamer.core.streamtime import covered_ns, end_ns, origin_ns, stream_now_ns
from streamer.model import Segment, Stream


class Nothing(Enum):
    """Why no payment can be made."""

    ENDED = "all is bought up to the end"
    NO_ROOM = "not even the minimum payment fits into the stream's budget"


@dataclass(slots=True)
class Purchase:
    """amount_msat buys stream time up to until_ns, after skip_ns (worth skip_msat) was taken out."""

    amount_msat: int
    until_ns: int
    skip_ns: int
    skip_msat: int
    segments: list[Segment]


def impossible_ns(stream: Stream, now_ns: int, outages: tuple[Outages, ...]) -> int:
    """The part of the gap in which paying was impossible and which no plan has counted yet."""
    account = stream.account
    covered_at_ns = origin_ns(stream) + covered_ns(stream)
    from_ns = max(account.counted_until_ns, covered_at_ns)
    spans = [span for kept in outages for span in kept.overlapping(from_ns, now_ns)]
    if account.failing_since_ns:
        failing = (max(from_ns, account.failing_since_ns), min(now_ns, account.failing_until_ns or now_ns))
        spans += [failing] if failing[1] > failing[0] else []
    return stream.carried_outage_ns + union_ns(spans)


def skip_ns(stream: Stream, gap_ns: int, now_ns: int, outages: tuple[Outages, ...]) -> int:
    """max(0, min(outage, gap − catch_up)): DESIGN.md, section 4, Catch-up. gap_ns: from covered to now, or the end."""
    catch_up_ns = stream.terms.catch_up_ns
    if catch_up_ns is None or gap_ns <= catch_up_ns:
        return 0
    return max(0, min(impossible_ns(stream, now_ns, outages), gap_ns - catch_up_ns))


def cap_msat(stream: Stream, largest_spendable_msat: int | None) -> int | None:
    """The largest amount that one payment of stream may have now; None: unknown, no bound."""
    terms, probe_cap = stream.terms, stream.account.probe_cap_msat
    cap = terms.max_payment_msat
    if cap is None and largest_spendable_msat is not None:
        cap = largest_spendable_msat // 2
    if probe_cap:
        cap = probe_cap if cap is None else min(cap, probe_cap)
    return None if cap is None else max(cap, terms.min_payment_msat)


def buy(
    stream: Stream, now_ns: int, probe: bool, cap_msat: int | None, room_msat: int | None, outages: tuple[Outages, ...]
) -> Purchase | Nothing:
    """What to buy at now_ns.

    probe: of a stalled stream, buys no more than it must, and skips nothing. cap_msat bounds the
    amount; room_msat is what the stream's own budget holds, fee limit included (None: no bound).
    """
    terms, segments = stream.terms, stream.segments
    covered = covered_ns(stream)
    reached = covered if probe else stream_now_ns(stream, now_ns)
    end = end_ns(stream, now_ns)
    skip = 0 if probe else skip_ns(stream, (reached if end is None else min(reached, end)) - covered, now_ns, outages)
    skip_msat = 0
    if skip:
        skip_msat = price_msat(segments, covered + skip) - price_msat(segments, covered)
        segments = remove_time(segments, covered, skip)
        reached -= skip
        end = None if end is None else end - skip
    paid = stream.account.settled_msat + stream.reserved_msat
    until = buy_until_ns(segments, paid, max(reached, covered), terms.min_payment_msat)
    left: int | None = None
    if end is not None:
        left = price_msat(segments, max(end, covered)) - paid
        if until > end or price_msat(segments, end) - price_msat(segments, until) < terms.min_payment_msat:
            until = end
        if left < terms.min_payment_msat:
            return Nothing.ENDED
    wanted = price_msat(segments, until) - paid
    amount = _bounded(wanted, left, cap_msat, room_msat, stream)
    if amount < terms.min_payment_msat:
        return Nothing.NO_ROOM
    if amount != wanted:
        until = moment_ns(segments, paid + amount)
    return Purchase(amount, until, skip, skip_msat, segments)


@dataclass(slots=True)
class Levels:
    """What bounds the money of one payment: the stream's budget, its API key's, and the whole of the daemon's spend limit."""

    own: Budget | None
    key: Budget | None
    spend_limit_msat: int


def buy_within(
    stream: Stream, now_ns: int, probe: bool, cap_msat: int | None, levels: Levels, outages: tuple[Outages, ...]
) -> Purchase | Nothing:
    """What to buy at now_ns within all levels: buy, with the room of the API key as another bound of the amount.

    A payment that not even a fresh period of the spend limit holds is made smaller: it would stop sending at every start.
    """
    terms, room_msat = stream.terms, None if levels.own is None else levels.own.room_msat()
    if levels.key is not None:
        most = largest_amount_msat(levels.key.room_msat(), terms.fee_floor_msat, terms.fee_limit_ppm)
        cap_msat = most if cap_msat is None else min(cap_msat, most)
    bought = buy(stream, now_ns, probe, cap_msat, room_msat, outages)
    whole = levels.spend_limit_msat
    if (
        isinstance(bought, Nothing)
        or bought.amount_msat + fee_limit_msat(bought.amount_msat, terms.fee_floor_msat, terms.fee_limit_ppm) <= whole
    ):
        return bought
    most = max(terms.min_payment_msat, largest_amount_msat(whole, terms.fee_floor_msat, terms.fee_limit_ppm))
    return buy(stream, now_ns, probe, most if cap_msat is None else min(cap_msat, most), room_msat, outages)


def short(stream: Stream, budget: Budget | None) -> bool:
    """Whether not even the minimum payment of stream fits into budget; never if there is none."""
    terms = stream.terms
    return (
        budget is not None and largest_amount_msat(budget.room_msat(), terms.fee_floor_msat, terms.fee_limit_ppm) < terms.min_payment_msat
    )


def _bounded(wanted: int, left: int | None, cap: int | None, room: int | None, stream: Stream) -> int:
    """wanted within the cap and the budget, such that no remainder below the minimum stays behind."""
    terms, minimum, amount = stream.terms, stream.terms.min_payment_msat, wanted
    total = terms.budget is not None and terms.budget.period_ns is None
    largest = None if room is None else largest_amount_msat(room, terms.fee_floor_msat, terms.fee_limit_ppm)
    bound = min((most for most in (cap, None if total else largest) if most is not None), default=amount)
    if amount > bound:
        amount = bound
        if left is not None and left >= 2 * minimum and 0 < left - amount < minimum:
            amount = left - minimum
    if room is None or largest is None:
        return amount
    if total and amount < largest and largest_amount_msat(room - amount, terms.fee_floor_msat, terms.fee_limit_ppm) < minimum:
        amount = min(bound for bound in (largest, cap, left) if bound is not None)
    return min(amount, largest)
