"""The closed list of reasons: one string each, the same in API, metrics, events, logs and docs."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why a stream is in its state, or why a payment failed. Documented in docs/reasons.md."""

    NONE = ""
    USER = "USER"
    END_TIME = "END_TIME"
    BUDGET_SPENT = "BUDGET_SPENT"
    BUDGET_PERIOD = "BUDGET_PERIOD"
    KEY_BUDGET_SPENT = "KEY_BUDGET_SPENT"
    KEY_REVOKED = "KEY_REVOKED"
    TTL_EXPIRED = "TTL_EXPIRED"
    NO_ROUTE = "NO_ROUTE"
    NO_LIQUIDITY = "NO_LIQUIDITY"
    RECEIVER_REJECTED = "RECEIVER_REJECTED"
    TIMEOUT = "TIMEOUT"
    IN_DOUBT = "IN_DOUBT"
    NODE_DOWN = "NODE_DOWN"
    NODE_REFUSED = "NODE_REFUSED"
    NO_SLOTS = "NO_SLOTS"
    RECEIVER_HOLDS = "RECEIVER_HOLDS"


class Halt(StrEnum):
    """Why sending is stopped. Each has its own exit, documented in docs/reasons.md."""

    OPERATOR = "OPERATOR"
    SPEND_LIMIT = "SPEND_LIMIT"
    STORE_FAILED = "STORE_FAILED"
    CLOCK = "CLOCK"
    NODE_CHANGED = "NODE_CHANGED"
    HASH_COLLISION = "HASH_COLLISION"
    RESTORED = "RESTORED"
    CREDENTIALS = "CREDENTIALS"
    RECOVERING = "RECOVERING"


DAEMON_HALTS = frozenset({Halt.OPERATOR, Halt.SPEND_LIMIT, Halt.STORE_FAILED, Halt.CLOCK})
"""The halts of the whole daemon; the others stop one node."""
