"""Which budgets bound a payment: the daemon's spend limit, its API key's and the stream's own, in
one step.
"""

from __future__ import annotations

from collections.abc import Iterable

from streamer.core.ledger import Budget
from streamer.words.model import ApiKey, Payment, Spend, Stream
from streamer.words.money import format_amount

DAEMON = "daemon"
KEY_SCOPE = "key."
"""Spends whose scope starts with this are those of the API key with the number that follows."""


class Budgets:
    """The spend limit that all nodes share, one budget for each API key, and one for each stream,
    that has terms for it.

    promised: what turns of rounds have of a key's room. freed: which of the keys that are watched
    have had an end of a reserve since.
    """

    def __init__(self, spend_limit: Budget) -> None:
        self.spend_limit = spend_limit
        self._own: dict[int, Budget] = {}
        self._keys: dict[int, Budget] = {}
        self._owners: dict[int, ApiKey] = {}
        self._moved: set[int] = set()
        self.promised: dict[int, int] = {}
        self.watched: set[int] = set()
        self.freed: set[int] = set()
        self.time_known = True

    # -- keys -----------------------------------------------------------------------------------

    def add_key(self, key: ApiKey) -> None:
        """Bound what a key may spend from now on, if it has a budget; it keeps it when it is
        revoked, and then pays nothing more.
        """
        self._owners[key.number] = key
        if key.budget is not None:
            self._keys[key.number] = Budget(key.budget.amount_msat, key.budget.period_ns)

    def restore(self, keys: Iterable[ApiKey], spends: Iterable[Spend]) -> None:
        """Take the keys of the journal with what they have spent; open payments are then taken back
        as they come.
        """
        for key in keys:
            self.add_key(key)
        for spend in spends:
            budget = (
                self._keys.get(int(spend.scope.removeprefix(KEY_SCOPE)))
                if spend.scope.startswith(KEY_SCOPE)
                else None
            )
            if budget is not None:
                budget.begin(spend.period_start_ns, spend.spent_msat)

    def all_keys(self) -> list[ApiKey]:
        """Every API key but the admin's, by number."""
        return [self._owners[number] for number in sorted(self._owners)]

    def key_ended(self, number: int, now_ns: int) -> bool:
        """True if the API key was revoked, or has expired; the admin's never has."""
        key = self._owners.get(number)
        return key is not None and key.ended(now_ns)

    def key_end_ns(self, number: int) -> int | None:
        """When the API key was revoked, or expires; None: never, as the admin's."""
        key = self._owners.get(number)
        return None if key is None else key.revoke_time_ns or key.expire_time_ns or None

    def of_key(self, number: int, now_ns: int) -> Budget | None:
        """The budget of an API key in the period of now_ns; None if it has none."""
        budget = self._keys.get(number)
        if budget is not None:
            self._roll(budget, now_ns)
        return budget

    def free_msat(self, number: int) -> int:
        """The room of a key's budget, as of_key last found it, that is promised to nobody. Raises
        KeyError if the key has none.
        """
        return self._keys[number].room_msat() - self.promised.get(number, 0)

    def key_shortage(self, number: int, msat: int, now_ns: int) -> str:
        """Why an API key cannot spend msat now, in words; empty if it can."""
        budget = self.of_key(number, now_ns)
        if budget is None or msat <= self.free_msat(number):
            return ""
        left, size = format_amount(max(0, self.free_msat(number))), format_amount(budget.limit_msat)
        later = (
            "it is a total, and does not renew"
            if budget.period_ns is None
            else "try again when its period is over"
        )
        return (
            f"{left} are left of this key's budget of {size}, and {format_amount(msat)} are needed"
            f" (amount and fee limit): {later}"
        )

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
        self._roll(budget, now_ns)
        return budget

    def _roll(self, budget: Budget, now_ns: int) -> None:
        """A wrong clock begins no period: one that is ahead would keep the next ones from ever
        beginning.
        """
        if self.time_known:
            budget.roll(now_ns)

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
        """The same for a payment that the journal lacked: the periods in which it was made
        (planned_ns), not that of now.
        """
        moment = min(payment.planned_ns, now_ns)
        own, key = self.own(stream, now_ns), self.of_key(payment.api_key, now_ns)
        self._roll(self.spend_limit, now_ns)
        payment.period_start_ns = own.period_of(moment) if own is not None else 0
        payment.key_period_ns = key.period_of(moment) if key is not None else 0
        payment.daemon_period_ns = self.spend_limit.period_of(moment)

    def reserve(self, payment: Payment) -> None:
        """Reserve amount and fee limit on every level whose present period is the payment's."""
        msat = payment.amount_msat + payment.fee_limit_msat
        _reserve(self._own.get(payment.stream_key), payment.period_start_ns, msat)
        _reserve(self._keys.get(payment.api_key), payment.key_period_ns, msat)
        if (
            self.spend_limit.present_of(payment.daemon_period_ns)
            == self.spend_limit.period_start_ns
        ):
            self.spend_limit.reserve(msat)

    def release(
        self, payment: Payment, reserved_msat: int, spent_msat: int, stream: Stream | None
    ) -> None:
        """End a reserve on every level: spent_msat was spent."""
        planned_ns = payment.planned_ns
        self.spend_limit.release(payment.daemon_period_ns, reserved_msat, spent_msat, planned_ns)
        key = self._keys.get(payment.api_key)
        if key is not None:
            key.release(payment.key_period_ns, reserved_msat, spent_msat, planned_ns)
            self._moved.add(payment.api_key)
            if payment.api_key in self.watched:
                self.freed.add(payment.api_key)
        own = self._own.get(payment.stream_key)
        if own is not None and stream is not None:
            own.release(payment.period_start_ns, reserved_msat, spent_msat, planned_ns)
            self.write_account(stream)

    def move(
        self, by_ns: int, now_ns: int, since_ns: int, payments: Iterable[Payment]
    ) -> list[Payment]:
        """Let all periods follow our time (Budget.move); those of the open payments whose reserves
        have got another period by that.

        payments: all that are open, with the moments of the time before.
        """
        payments = list(payments)
        parts = {id(budget): budget.move(by_ns, now_ns, since_ns) for budget in self._all()}
        restamped = [
            payment
            for payment in payments
            if self._restamp(payment, parts, payment.planned_ns >= since_ns, by_ns)
        ]
        for budget in self._all():
            budget.reserved_msat = 0
        for payment in payments:
            self.reserve(payment)
        self._moved.update(self._keys)
        return restamped

    def _all(self) -> list[Budget]:
        return [self.spend_limit, *self._keys.values(), *self._own.values()]

    def _restamp(
        self, payment: Payment, parts: dict[int, frozenset[int]], ours: bool, by_ns: int
    ) -> bool:
        """Write into payment the periods in which it counts now; whether one has changed. ours:
        this run has planned it.
        """
        planned_ns = payment.planned_ns + by_ns

        def stamp(budget: Budget | None, period_ns: int) -> int:
            if budget is None or budget.period_ns is None:
                return period_ns
            begun = ours and planned_ns >= budget.period_start_ns
            counts = period_ns > budget.period_start_ns or (
                begun and period_ns in parts[id(budget)]
            )
            return budget.period_start_ns if counts else budget.present_of(period_ns)

        before = payment.period_start_ns, payment.key_period_ns, payment.daemon_period_ns
        after = (
            stamp(self._own.get(payment.stream_key), before[0]),
            stamp(self._keys.get(payment.api_key), before[1]),
            stamp(self.spend_limit, before[2]),
        )
        payment.period_start_ns, payment.key_period_ns, payment.daemon_period_ns = after
        return after != before

    def write_account(self, stream: Stream) -> bool:
        """Keep what the stream's budget has spent in its account; False if it has none."""
        own = self._own.get(stream.key)
        if own is not None:
            stream.account.period_start_ns, stream.account.period_spent_msat = (
                own.period_start_ns,
                own.spent_msat,
            )
        return own is not None

    def spend(self) -> Spend:
        """What the spend limit has spent, for the journal."""
        return Spend(DAEMON, self.spend_limit.period_start_ns, self.spend_limit.spent_msat)

    def spends(self) -> list[Spend]:
        """What the spend limit has spent, and the keys since the last call: for the commit that has
        the ends of these payments.
        """
        found = [self.spend()]
        for number in self._moved:
            budget = self._keys[number]
            found.append(Spend(f"{KEY_SCOPE}{number}", budget.period_start_ns, budget.spent_msat))
        self._moved.clear()
        return found


def _reserve(budget: Budget | None, period_start_ns: int, msat: int) -> None:
    """Reserve in that period, if the budget is in it; a later period than the journal knew begins
    with its first payment.
    """
    if budget is None:
        return
    period_start_ns = budget.present_of(period_start_ns)
    if budget.period_ns is not None and period_start_ns > budget.period_start_ns:
        budget.go_on(period_start_ns)
    if period_start_ns == budget.period_start_ns:
        budget.reserve(msat)
