"""Which budgets bound a payment: the daemon's spend limit and the stream's own, in one step."""

from __future__ import annotations

from streamer.core.ledger import Budget
from streamer.model import Payment, Spend, Stream

DAEMON = "daemon"


class Budgets:
    """The spend limit that all nodes share, and one budget for each stream that has terms for it."""

    def __init__(self, spend_limit: Budget) -> None:
        self.spend_limit = spend_limit
        self._own: dict[int, Budget] = {}

    def own(self, stream: Stream, now_ns: int) -> Budget | None:
        """The stream's budget in the period of now_ns; None if it has none."""
        terms = stream.terms.budget
        if terms is None:
            self._own.pop(stream.key, None)
            return None
        budget = self._own.get(stream.key)
        if budget is None:
            budget = self._own[stream.key] = Budget(terms.amount_msat, terms.period_ns)
            budget.begin(stream.account.period_start_ns, stream.account.period_spent_msat)
        budget.limit_msat, budget.period_ns = terms.amount_msat, terms.period_ns
        budget.roll(now_ns)
        return budget

    def forget(self, stream: Stream) -> None:
        """The stream's terms changed: its budget begins anew from its account."""
        self._own.pop(stream.key, None)

    def stamp(self, payment: Payment) -> None:
        """Write into a new payment the periods to which its reserves belong."""
        own = self._own.get(payment.stream_key)
        payment.period_start_ns = own.period_start_ns if own is not None else 0
        payment.daemon_period_ns = self.spend_limit.period_start_ns

    def reserve(self, payment: Payment) -> None:
        """Reserve amount and fee limit on every level whose present period is the payment's."""
        msat = payment.amount_msat + payment.fee_limit_msat
        own = self._own.get(payment.stream_key)
        if own is not None and own.period_ns is not None and payment.period_start_ns > own.period_start_ns:
            own.begin(payment.period_start_ns)
        if own is not None and payment.period_start_ns == own.period_start_ns:
            own.reserve(msat)
        if payment.daemon_period_ns == self.spend_limit.period_start_ns:
            self.spend_limit.reserve(msat)

    def release(self, payment: Payment, reserved_msat: int, spent_msat: int, stream: Stream | None) -> None:
        """End a reserve on every level: spent_msat was spent."""
        self.spend_limit.release(payment.daemon_period_ns, reserved_msat, spent_msat)
        own = self._own.get(payment.stream_key)
        if own is not None and stream is not None:
            own.release(payment.period_start_ns, reserved_msat, spent_msat)
            stream.account.period_start_ns, stream.account.period_spent_msat = own.period_start_ns, own.spent_msat

    def spend(self) -> Spend:
        """What the spend limit has spent, for the journal."""
        return Spend(DAEMON, self.spend_limit.period_start_ns, self.spend_limit.spent_msat)
