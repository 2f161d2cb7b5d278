"""Streams as they were written before they kept spans: one pair for all that was impossible, and
one sum of what was carried.

What a sum does not tell is where its time lay: it is put right before the moment up to which all
was counted, where the next plan finds it as it would have found the sum.
"""

from __future__ import annotations

from typing import Any

from streamer.words.model import Account, StreamState
from streamer.words.reasons import Reason

_BUDGETS = frozenset({Reason.BUDGET_PERIOD, Reason.KEY_BUDGET_SPENT})


def bring_up(read: dict[str, Any], account: Account, row_ended_ns: int) -> None:
    """Give the parsed text of a stream what today's has, and its account. row_ended_ns: when its
    pair ended (0: it goes on).
    """
    spans = []
    carried_ns, began_ns = read.pop("carried_outage_ns"), account.failing_since_ns
    if carried_ns:
        spans.append([account.counted_until_ns - carried_ns, account.counted_until_ns])
    if began_ns and row_ended_ns:
        # what lies before is carried, or was counted by a plan
        spans.append([max(began_ns, account.counted_until_ns), row_ended_ns])
        account.failing_since_ns = began_ns = 0
    reason = Reason(read["reason"]) if read["state"] == StreamState.STALLED else Reason.NONE
    short = reason if reason in _BUDGETS else Reason.NONE
    doubted = reason is Reason.IN_DOUBT
    failed = bool(reason) and not doubted and not short
    spans = [span for span in spans if span[1] > span[0]]
    if not account.streak:
        account.failing_since_ns = 0
    read.update(
        spans=spans,
        stretches=[],
        doubt_since_ns=(began_ns or read["state_time_ns"]) if doubted else 0,
        short_of=short,
        short_since_ns=began_ns if short else 0,
        short_until_ns=account.next_attempt_ns if short else 0,
        stalled_by=reason if failed else Reason.NONE,
        failing=reason if failed else Reason.TIMEOUT if account.streak else Reason.NONE,
    )
