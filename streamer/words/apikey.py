"""A key of the API: what it may be allowed to do, and what bounds it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Scope(StrEnum):
    """A permission of a key. ADMIN includes all others; no other includes another."""

    INVOICES_READ = "invoices:read"
    INVOICES_WRITE = "invoices:write"
    PAYMENTS_READ = "payments:read"
    PAYMENTS_WRITE = "payments:write"
    STREAMS_READ = "streams:read"
    STREAMS_WRITE = "streams:write"
    METERS_READ = "meters:read"
    METERS_WRITE = "meters:write"
    ADMIN = "admin"


@dataclass(slots=True, frozen=True)
class BudgetTerms:
    """amount_msat per period, amounts and fees together; period_ns None is the total."""

    amount_msat: int
    period_ns: int | None


@dataclass(slots=True)
class ApiKey:
    """A key of the API: what it may do, and spend. Nothing of it changes but revoke_time_ns.

    number is never given again; 0 is the key in admin.key, which the journal does not keep. digest
    is of the key itself, which nobody keeps. destinations empty: it may pay anybody. max_streams
    None: as many as the daemon allows. Times are 0 for never.
    """

    number: int
    id: str
    name: str
    scopes: frozenset[Scope]
    digest: bytes = field(default=b"", repr=False)
    budget: BudgetTerms | None = None
    destinations: frozenset[bytes] = frozenset()
    max_streams: int | None = None
    create_time_ns: int = 0
    expire_time_ns: int = 0
    revoke_time_ns: int = 0

    @property
    def admin(self) -> bool:
        """May do everything, and see what others own."""
        return Scope.ADMIN in self.scopes

    def ended(self, now_ns: int) -> bool:
        """Revoked, or expired by now."""
        return bool(self.revoke_time_ns) or 0 < self.expire_time_ns <= now_ns


ADMIN = ApiKey(0, "admin", "admin", frozenset({Scope.ADMIN}))
"""The key in admin.key."""
