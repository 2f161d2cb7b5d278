"""What the next payment of a stream buys, and what time is skipped before: one decision, no
effects.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from streamer.core.impossible import Sources, outage_ns
from streamer.core.ledger import Budget, fee_limit_msat, largest_amount_msat
from streamer.core.schedule import buy_until_ns, moment_ns, price_msat, remove_time
from streamer.core.streamtime import covered_ns, end_ns, stream_now_ns
from streamer.words.model import Segment, Stream


class Nothing(Enum):
    """Why no payment can be made."""

    ENDED = "all is bought up to the end"
    NO_ROOM = "not even the minimum payment fits into the stream's budget"


@dataclass(slots=True)
class Purchase:
    """amount_msat buys stream time up to until_ns, after skip_ns (worth skip_msat) was taken
    out.
    """

    amount_msat: int
    until_ns: int
    skip_ns: int
    skip_msat: int
    segments: list[Segment]


def skip_ns(stream: Stream, gap_ns: int, now_ns: int, sources: Sources) -> int:
    """max(0, min(outage, gap − catch_up)): docs/streams.md, When paying was impossible. gap_ns:
    from covered to now, or the end.

    Neither bound alone will do. With a catch-up of 5 minutes, a daemon that was away for 2 seconds
    while streams had waited in our queue for 6 minutes skips 2 seconds of them, not a minute; and
    an outage of an hour of which 58 minutes were bought before skips nothing, though it was long.
    """
    catch_up_ns = stream.terms.catch_up_ns
    if catch_up_ns is None or gap_ns <= catch_up_ns:
        return 0
    return max(0, min(outage_ns(stream, now_ns, sources), gap_ns - catch_up_ns))


def skip_at_end(stream: Stream, now_ns: int, sources: Sources) -> Purchase | None:
    """What a stream skips that ends at its end_time: as much as a plan would there, though nothing
    is bought any more.
    """
    end, covered = end_ns(stream, now_ns), covered_ns(stream)
    reached = (
        stream_now_ns(stream, now_ns) if end is None else min(stream_now_ns(stream, now_ns), end)
    )
    skip = skip_ns(stream, reached - covered, now_ns, sources)
    return _after_skip(stream, covered, skip) if skip else None


def _after_skip(stream: Stream, covered: int, skip: int) -> Purchase:
    msat = price_msat(stream.segments, covered + skip) - price_msat(stream.segments, covered)
    return Purchase(0, covered, skip, msat, remove_time(stream.segments, covered, skip))


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
    stream: Stream,
    now_ns: int,
    probe: bool,
    cap_msat: int | None,
    room_msat: int | None,
    sources: Sources,
) -> Purchase | Nothing:
    """What to buy at now_ns.

    probe: of a stalled stream, buys no more than it must, and skips nothing. cap_msat bounds the
    amount; room_msat is what the stream's own budget holds, fee limit included (None: no bound).
    """
    terms, segments = stream.terms, stream.segments
    covered = covered_ns(stream)
    # a probe buys a step from the covered moment and leaves the gap as it is: paying is possible
    # again when one has settled, and only then it is known how much of the gap was impossible
    reached = covered if probe else stream_now_ns(stream, now_ns)
    end = end_ns(stream, now_ns)
    # the time after an end was not ordered: with a catch-up of 10 s, an end at 100 s and a node
    # that is away from 0 to 500 s, 90 s are skipped and 10 s paid, and not nothing
    skip = (
        0
        if probe
        else skip_ns(
            stream, (reached if end is None else min(reached, end)) - covered, now_ns, sources
        )
    )
    skip_msat = 0
    if skip:
        after = _after_skip(stream, covered, skip)
        skip_msat, segments = after.skip_msat, after.segments
        # in stream time all that comes after the skip moves up: 100 covered, 700 now, an end at
        # 1,000, and 300 skipped make 400 now and an end at 700; at the wall's clock neither has
        # moved
        reached -= skip
        end = None if end is None else end - skip
    # and not with what is owed: so what failed is bought again by itself, and a late settlement
    # makes this payment smaller
    paid = stream.account.settled_msat + stream.reserved_msat
    until = buy_until_ns(segments, paid, max(reached, covered), terms.min_payment_msat)
    left: int | None = None
    if end is not None:
        left = price_msat(segments, max(end, covered)) - paid
        # a rest below the minimum payment could never be paid by itself
        if (
            until > end
            or price_msat(segments, end) - price_msat(segments, until) < terms.min_payment_msat
        ):
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
    """What bounds the money of one payment: the stream's budget, its turn in a round of its API
    key, and the whole of the spend limit.
    """

    own: Budget | None
    turn_msat: int | None
    spend_limit_msat: int


def buy_within(
    stream: Stream, now_ns: int, probe: bool, cap_msat: int | None, levels: Levels, sources: Sources
) -> Purchase | Nothing:
    """What to buy at now_ns within all levels: buy, with the turn at the budget of the API key as
    another bound of the amount.

    A payment that not even a fresh period of the spend limit holds is made smaller: it would stop
    sending at every start.
    """
    terms, room_msat = stream.terms, None if levels.own is None else levels.own.room_msat()
    if levels.turn_msat is not None:
        most = largest_amount_msat(levels.turn_msat, terms.fee_floor_msat, terms.fee_limit_ppm)
        cap_msat = most if cap_msat is None else min(cap_msat, most)
    bought = buy(stream, now_ns, probe, cap_msat, room_msat, sources)
    whole = levels.spend_limit_msat
    if (
        isinstance(bought, Nothing)
        or bought.amount_msat
        + fee_limit_msat(bought.amount_msat, terms.fee_floor_msat, terms.fee_limit_ppm)
        <= whole
    ):
        return bought
    most = max(
        terms.min_payment_msat,
        largest_amount_msat(whole, terms.fee_floor_msat, terms.fee_limit_ppm),
    )
    return buy(
        stream, now_ns, probe, most if cap_msat is None else min(cap_msat, most), room_msat, sources
    )


def short(stream: Stream, budget: Budget | None) -> bool:
    """Whether not even the minimum payment of stream fits into budget; never if there is none."""
    terms = stream.terms
    return (
        budget is not None
        and largest_amount_msat(budget.room_msat(), terms.fee_floor_msat, terms.fee_limit_ppm)
        < terms.min_payment_msat
    )


def _bounded(
    wanted: int, left: int | None, cap: int | None, room: int | None, stream: Stream
) -> int:
    """wanted within the cap and the budget, such that no remainder below the minimum stays
    behind.
    """
    terms, minimum, amount = stream.terms, stream.terms.min_payment_msat, wanted
    total = terms.budget is not None and terms.budget.period_ns is None
    largest = (
        None
        if room is None
        else largest_amount_msat(room, terms.fee_floor_msat, terms.fee_limit_ppm)
    )
    bound = amount if cap is None else cap
    if largest is not None and not total:
        bound = min(bound, largest)
    if amount > bound:
        amount = bound
        # 3,500 left and a bound of 3,000, with a minimum of 1,000: 500 would stay for ever, so
        # 2,500 now and 1,000 then; but not if a total budget holds less than the cap, and no 1,000
        # then beside the fees
        spent = total and largest is not None and largest < amount
        if left is not None and not spent and left >= 2 * minimum and 0 < left - amount < minimum:
            amount = left - minimum
    if room is None or largest is None:
        return amount
    # 2,099 of room and a fee limit of 100: 1,000 now would leave 1,099, even if the fee comes back,
    # and of these 999 could be paid, which is no payment; so 1,999 now
    if (
        total
        and amount < largest
        and largest_amount_msat(room - amount, terms.fee_floor_msat, terms.fee_limit_ppm) < minimum
    ):
        amount = min(bound for bound in (largest, cap, left) if bound is not None)
    return min(amount, largest)
