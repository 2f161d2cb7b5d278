"""Which budgets bound a payment: the daemon's spend limit, its API key's and the stream's own, in one step."""

from __future__ import annotations

from collections.abc import Iterable

from streamer.core.ledger import Budget
from streamer.model import ApiKey, Payment, Spend, Stream
from streamer.money import format_amount

DAEMON = "daemon"
KEY_SCOPE = "key."
"""Spends whose scope starts with this are those of the API key with the number that follows."""


class Budgets:
    """The spend limit that all nodes share, one budget for each API key, and one for each stream, that has terms for it."""

    def __init__(self, spend_limit: Budget) -> None:
        self.spend_limit = spend_limit
        self._own: dict[int, Budget] = {}
        self._keys: dict[int, Budget] = {}
        self._owners: dict[int, ApiKey] = {}
        self._moved: set[int] = set()

    # -- keys -----------------------------------------------------------------------------------

    def add_key(self, key: ApiKey) -> None:
        """Bound what a key may spend from now on, if it has a budget; it keeps it when it is revoked, and then pays nothing more."""
        self._owners[key.number] = key
        if key.budget is not None:
            self._keys[key.number] = Budget(key.budget.amount_msat, key.budget.period_ns)

    def restore(self, keys: Iterable[ApiKey], spends: Iterable[Spend]) -> None:
        """Take the keys of the journal with what they have spent; open payments are then taken back as they come."""
        for key in keys:
            self.add_key(key)
        for spend in spends:
            budget = self._keys.get(int(spend.scope.removeprefix(KEY_SCOPE))) if spend.scope.startswith(KEY_SCOPE) else None
            if budget is not None:
                budget.begin(spend.period_start_ns, spend.spent_msat)

    def key_ended(self, number: int, now_ns: int) -> bool:
        """True if the API key was revoked, or has expired; the admin's never has."""
        key = self._owners.get(number)
        return key is not None and key.ended(now_ns)

    def of_key(self, number: int, now_ns: int) -> Budget | None:
        """The budget of an API key in the period of now_ns; None if it has none."""
        budget = self._keys.get(number)
        if budget is not None:
            budget.roll(now_ns)
        return budget

    def key_shortage(self, number: int, msat: int, now_ns: int) -> str:
        """Why an API key cannot spend msat now, in words; empty if it can."""
        budget = self.of_key(number, now_ns)
        if budget is None or msat <= budget.room_msat():
            return ""
        left, size = format_amount(max(0, budget.room_msat())), format_amount(budget.limit_msat)
        later = "it is a total, and does not renew" if budget.period_ns is None else "try again when its period is over"
        return f"{left} are left of this key's budget of {size}, and {format_amount(msat)} are needed (amount and fee limit): {later}"

    # -- all levels -----------------------------------------------------------------------------

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
        own, key = self._own.get(payment.stream_key), self._keys.get(payment.api_key)
        payment.period_start_ns = own.period_start_ns if own is not None else 0
        payment.key_period_ns = key.period_start_ns if key is not None else 0
        payment.daemon_period_ns = self.spend_limit.period_start_ns

    def stamp_adopted(self, payment: Payment, stream: Stream, now_ns: int) -> None:
        """The same for a payment that the journal lacked: the periods in which it was made (planned_ns), not that of now."""
        moment = min(payment.planned_ns, now_ns)
        own, key = self.own(stream, now_ns), self.of_key(payment.api_key, now_ns)
        self.spend_limit.roll(now_ns)
        payment.period_start_ns = own.period_of(moment) if own is not None else 0
        payment.key_period_ns = key.period_of(moment) if key is not None else 0
        payment.daemon_period_ns = self.spend_limit.period_of(moment)

    def reserve(self, payment: Payment) -> None:
        """Reserve amount and fee limit on every level whose present period is the payment's."""
        msat = payment.amount_msat + payment.fee_limit_msat
        _reserve(self._own.get(payment.stream_key), payment.period_start_ns, msat)
        _reserve(self._keys.get(payment.api_key), payment.key_period_ns, msat)
        if payment.daemon_period_ns == self.spend_limit.period_start_ns:
            self.spend_limit.reserve(msat)

    def release(self, payment: Payment, reserved_msat: int, spent_msat: int, stream: Stream | None) -> None:
        """End a reserve on every level: spent_msat was spent."""
        self.spend_limit.release(payment.daemon_period_ns, reserved_msat, spent_msat)
        key = self._keys.get(payment.api_key)
        if key is not None:
            key.release(payment.key_period_ns, reserved_msat, spent_msat)
            self._moved.add(payment.api_key)
        own = self._own.get(payment.stream_key)
        if own is not None and stream is not None:
            own.release(payment.period_start_ns, reserved_msat, spent_msat)
            stream.account.period_start_ns, stream.account.period_spent_msat = own.period_start_ns, own.spent_msat

    def spend(self) -> Spend:
        """What the spend limit has spent, for the journal."""
        return Spend(DAEMON, self.spend_limit.period_start_ns, self.spend_limit.spent_msat)

    def spends(self) -> list[Spend]:
        """What the spend limit has spent, and the keys since the last call: for the commit that has the ends of these payments."""
        found = [self.spend()]
        for number in self._moved:
            budget = self._keys[number]
            found.append(Spend(f"{KEY_SCOPE}{number}", budget.period_start_ns, budget.spent_msat))
        self._moved.clear()
        return found


def _reserve(budget: Budget | None, period_start_ns: int, msat: int) -> None:
    """Reserve in that period, if the budget is in it; a later period than the journal knew begins with its first payment."""
    if budget is None:
        return
    if budget.period_ns is not None and period_start_ns > budget.period_start_ns:
        budget.begin(period_start_ns)
    if period_start_ns == budget.period_start_ns:
        budget.reserve(msat)
