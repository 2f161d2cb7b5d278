"""What a stream will cost, by simple arithmetic on its terms, and what to be warned about."""

from __future__ import annotations

from streamer.core.ledger import PPM, fee_limit_msat
from streamer.core.streamtime import covered_ns, origin_ns
from streamer.service.orders import Forecast
from streamer.words.model import ENDED, Stream, Terms
from streamer.words.money import DAY_NS, LAST_MOMENT_NS, MAX_MSAT, SECOND_NS, format_amount

HOUR_NS = 3_600 * SECOND_NS
LARGE_FEE_SHARE = 2
"""A fee limit above half of the payment is worth a warning."""


def forecast(
    terms: Terms, now_ns: int, capacity_per_second: float = 0.0, wanted_per_second: float = 0.0
) -> Forecast:
    """Forecast of a stream with these terms.

    capacity (0: not measured yet) and wanted are the node's payments per second, without this
    stream. fee_msat_per_hour is the most that fees can take, by the fee limits; never more than
    all bitcoin there is.
    """
    rate = terms.rate
    amount, fee, parts = _payment(terms)
    per_hour = rate.amount_msat * HOUR_NS // rate.interval_ns
    fee_per_hour = fee * HOUR_NS // rate.payment_interval_ns
    return Forecast(
        msat_per_hour=per_hour,
        fee_msat_per_hour=min(fee_per_hour, MAX_MSAT),
        payments_per_day=parts * DAY_NS // rate.payment_interval_ns,
        runway_end_ns=_runway_end_ns(terms, max(terms.start_time_ns, now_ns), 0),
        warnings=tuple(
            _warnings(terms, amount // parts, fee // parts, capacity_per_second, wanted_per_second)
        ),
    )


def payments_per_second(terms: Terms) -> float:
    """How many payments a second this stream asks of its node."""
    return SECOND_NS / terms.rate.payment_interval_ns


def runway_end_ns(stream: Stream, now_ns: int) -> int | None:
    """When a total budget will be spent at the latest fees allowed, or the end; None: not in
    sight.
    """
    if stream.state in ENDED:
        return None
    spent = (
        stream.account.settled_msat
        + stream.account.fee_msat
        + stream.reserved_msat
        + stream.reserved_fee_msat
    )
    return _runway_end_ns(stream.terms, max(now_ns, origin_ns(stream) + covered_ns(stream)), spent)


def _payment(terms: Terms) -> tuple[int, int, int]:
    """(amount, fee limit, parts) of what falls due at once."""
    amount = terms.rate.payment_interval_ns * terms.rate.amount_msat // terms.rate.interval_ns
    parts = 1 if terms.max_payment_msat is None else max(1, -(-amount // terms.max_payment_msat))
    return (
        amount,
        fee_limit_msat(amount // parts, terms.fee_floor_msat, terms.fee_limit_ppm) * parts,
        parts,
    )


def _runway_end_ns(terms: Terms, from_ns: int, spent_msat: int) -> int | None:
    """When a total budget is spent if every payment from now on takes its whole fee limit: the
    earliest end.

    None beyond the year 9999: no calendar has such a moment.
    """
    ends = [] if terms.end_time_ns is None else [terms.end_time_ns]
    if terms.budget is not None and terms.budget.period_ns is None:
        amount, fee, _ = _payment(terms)
        payments = max(0, terms.budget.amount_msat - spent_msat) // max(1, amount + fee)
        ends.append(from_ns + payments * terms.rate.payment_interval_ns)
    return min((end for end in ends if end <= LAST_MOMENT_NS), default=None)


def _warnings(terms: Terms, amount: int, fee: int, capacity: float, wanted: float) -> list[str]:
    found = []
    total = wanted + payments_per_second(terms)
    if capacity and total > capacity:
        found.append(
            f"NODE_CAPACITY: this node manages {capacity:.3g} payments/s; all streams together want"
            f" {total:.3g}"
        )
    if fee * LARGE_FEE_SHARE > amount:
        found.append(
            f"FEE_SHARE: each payment of {format_amount(amount)} may cost up to"
            f" {format_amount(fee)} in fees; a longer payment_interval or a lower fee_floor_msat"
            " costs less"
        )
    budget = terms.budget
    if budget is not None and budget.period_ns is not None:
        wants = (
            (terms.rate.amount_msat * budget.period_ns // terms.rate.interval_ns)
            * (amount + fee)
            // max(1, amount)
        )
        if wants > budget.amount_msat:
            found.append(
                f"BUDGET: {format_amount(budget.amount_msat)} may not last a period, which can cost"
                f" {format_amount(wants)}; the stream then stalls until the budget renews"
            )
    if terms.fee_limit_ppm == PPM:
        found.append("FEE_LIMIT: fee_limit_ppm allows fees as large as the payment")
    return found
