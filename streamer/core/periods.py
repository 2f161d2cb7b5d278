"""Our time has followed the wall clock: what becomes of the periods of budgets.

A machine that starts two days ahead begins periods in a future that it invents. Left where they are
when the clock is put back, they last until that future is over: a budget of an hour would starve
its streams for two days, and the spend limit, which latches, would count one hour for that long and
stop all sending. Begun anew they would pay a second time what was paid just now.

So the period that our time was in becomes the period of the corrected time, and what was spent in
it stays spent; with what the true one had spent before, if an earlier run spent that and this one
still knows. A period on the grid of the calendar ends with the calendar, one that keeps no grid
ends as much earlier as our time moved. Nobody waits longer than until then.

Forwards the same: what this run has spent was spent in the period of the corrected time, as far as
it may have been: of the period before, only what was spent near its end (`Period.by_left`). What an
earlier run spent in a period that is over is over: a machine that wakes
up in the evening before has not spent this day's budget.

Reserves go with the money: open payments are written into the period in which they count now, in
the same commit as all the rest, and so a crash changes nothing. What has ended keeps the period
that was written: a refund or a late settlement of it finds the present one only in this run
(`Budget.merged`), and after a crash none; nor does a late settlement of one that had failed, if
only a part of its period is in the present one. Two things nobody can know. What an earlier run had
spent in the true period is forgotten after a crash in the invented one; and which of two invented
periods the true one has a part of, both count. The first can pay one budget more than allowed in
that one period; the second only waits for its end.
"""

from __future__ import annotations

from collections.abc import Iterable

from streamer.core.book import Book
from streamer.core.budgets import Budgets
from streamer.core.timeshift import Shift
from streamer.words.model import Facts, Stream
from streamer.words.reasons import Reason


def shift_periods(books: Iterable[Book], budgets: Budgets, shift: Shift, facts: Facts) -> None:
    """Move the periods of all budgets, the reserves of all open payments, and the waits for
    renewals. To be asked before shift_book.
    """
    books = list(books)
    payments = [payment for book in books for payment in book.payments.values()]
    facts.restamped += budgets.move(shift.by_ns, shift.after_ns, shift.since_ns, payments)
    facts.spends += budgets.spends()
    for book in books:
        for stream in book.streams.values():
            if budgets.write_account(stream):
                facts.accounts.append(stream)
            if stream.short_of:
                _renew_earlier(book, stream, shift.after_ns, facts)


def _renew_earlier(book: Book, stream: Stream, now_ns: int, facts: Facts) -> None:
    """A stream that waits for a renewal waits for that of its new period: the other may be days
    away.
    """
    of_key = stream.short_of is Reason.KEY_BUDGET_SPENT
    budget = (
        book.budgets.of_key(stream.api_key, now_ns) if of_key else book.budgets.own(stream, now_ns)
    )
    end_ns = None if budget is None else budget.end_ns()
    if end_ns is not None and end_ns < stream.short_until_ns:
        stream.short_until_ns = end_ns
        facts.streams.append(stream)
        book.schedule(stream)
