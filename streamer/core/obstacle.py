"""The one answer to "why is nothing paid?": of all that keeps a payment from going, the obstacle
that counts.

Whoever may send asks here, and so does whoever shows why nothing is sent: the gates before a plan
and before a call, status, lists, `stream show`, refusals and outages. So what is said is what
holds, and nothing is held of which nobody says why.

Several obstacles may stand at once; the first of this order counts. What comes later would keep
nothing if it were alone that was lifted, so a person is told of what is to be done first:

1. the stream wants nothing: it has not begun, is paused, or has ended;
2. the daemon: it is stopping; its switch (the halts in the order of `switch.ORDER`);
3. the node: its switch, but for RECOVERING; the connection, or what is asked on it first; channels
that cannot pay;
4. the clock, while nobody knows whether it is right: as a rule a node that does not answer is the
reason;
5. the stream: doubt, a budget, a row of failures (the order of its reasons), its receiver, payments
of its own, its turn.

Room at the node (window, pace) is no obstacle: who has no other goes as soon as there is some, the
earliest due first. Nothing here changes anything. A stream is judged as it is after time took
effect on it (Book.tick), which every turn of the engine sees to.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from streamer.core.budgets import Budgets
from streamer.core.buying import Levels, Nothing, Purchase, short
from streamer.core.gate import Gate
from streamer.core.ledger import fee_limit_msat
from streamer.core.rounds import Rounds
from streamer.core.shared import Shared
from streamer.core.switch import Switch
from streamer.words.model import ENDED, Payment, Single, Stream, StreamState
from streamer.words.money import format_amount
from streamer.words.reasons import Halt, Reason

WHY = {
    Reason.NO_ROUTE: (
        "no route to the receiver was found: it is offline, not in the graph, too expensive for the"
        " fee limit, or a channel on the way wants larger payments"
    ),
    Reason.NO_LIQUIDITY: (
        "no channel could carry the payment: too little outbound balance, or the peer is offline"
    ),
    Reason.RECEIVER_REJECTED: "the receiver refuses the payment: keysend is probably off there",
    Reason.TIMEOUT: "payments did not get through in time",
    Reason.IN_DOUBT: (
        "the ends of too many payments are unknown; they are asked for until the node tells"
    ),
    Reason.NODE_DOWN: "the node was not usable",
    Reason.NODE_REFUSED: "the node refuses the payment itself",
    Reason.NO_SLOTS: "all HTLC slots of the channels are taken",
    Reason.RECEIVER_HOLDS: "the receiver keeps payments open without settling them",
    Reason.BUDGET_PERIOD: "the budget of this period is spent",
    Reason.KEY_BUDGET_SPENT: "the budget of its API key is spent",
}
"""Each reason of a stream or a payment that waits or failed, in words."""

STOPPING = "STOPPING"
"""The reason of what is refused while the daemon ends."""


class ObstacleKind(StrEnum):
    """What stands in the way, in the order in which it counts."""

    NOT_BEGUN = "NOT_BEGUN"
    PAUSED = "PAUSED"
    CLOSING = "CLOSING"
    ENDED = "ENDED"
    STOPPING = "STOPPING"
    DAEMON_HALT = "DAEMON_HALT"
    NODE_HALT = "NODE_HALT"
    NODE = "NODE"
    CLOCK = "CLOCK"
    DOUBT = "DOUBT"
    BUDGET = "BUDGET"
    KEY_BUDGET = "KEY_BUDGET"
    FAILING = "FAILING"
    RECEIVER = "RECEIVER"
    OPEN = "OPEN"
    RESERVED = "RESERVED"
    TURN = "TURN"
    AHEAD = "AHEAD"
    SLOTS = "SLOTS"
    BUSY = "BUSY"
    BOUGHT = "BOUGHT"
    SPEND_LIMIT = "SPEND_LIMIT"


@dataclass(slots=True, frozen=True)
class Obstacle:
    """One thing that keeps a payment from going.

    reason: of the closed list, empty if there is none for it (a payment that is not due yet fails
    nobody). text: why, in words. remedy: what a person can do, where text does not say so.
    since_ns, until_ns: when it began (0: nobody says), and when it ends by time alone (None: by
    something else).
    """

    kind: ObstacleKind
    reason: Reason | Halt | str
    text: str
    remedy: str = ""
    since_ns: int = 0
    until_ns: int | None = None

    @property
    def halt(self) -> bool:
        """Whether a switch is what stops it, of the daemon or of a node."""
        return self.kind in (ObstacleKind.DAEMON_HALT, ObstacleKind.NODE_HALT)

    @property
    def words(self) -> str:
        """The text with the reason before it, if that is one of sending: so it is said by status
        and by refusals.
        """
        return f"sending is stopped ({self.reason}): {self.text}" if self.halt else self.text


class Reach(Protocol):
    """What is known of the connection to a node (link.py)."""

    @property
    def up(self) -> bool:
        """Connected, checked and recovered."""

    @property
    def blocked(self) -> Reason | None:
        """Why no channel can pay, though the node is connected."""

    @property
    def problem(self) -> str:
        """Why it is not up, or blocked, in words; empty if it is neither, or is being asked about
        its open payments.
        """


class Place(Protocol):
    """What a stream's book tells of it (book.py)."""

    budgets: Budgets
    rounds: Rounds
    gate: Gate

    def due_ns(self, stream: Stream) -> int | None:
        """When the next payment of stream is due; None while it waits for something else."""

    def may_open_another(self, stream: Stream) -> bool:
        """Whether its open payments leave it a place."""

    def next_purchase(self, stream: Stream, now_ns: int) -> tuple[Purchase | Nothing, Levels]:
        """What stream buys if it is planned now, and what bounds it."""


# -- above the streams ----------------------------------------------------------------------------


def of_daemon(shared: Shared) -> Obstacle | None:
    """What stops the whole daemon from sending: its switch."""
    return None if shared.switch.sending else _halted(shared.switch, ObstacleKind.DAEMON_HALT)


def halts_of_daemon(shared: Shared) -> list[Obstacle]:
    """All that the daemon's switch has, for lists: what counts is the first."""
    return [
        Obstacle(ObstacleKind.DAEMON_HALT, halt, text) for halt, text in shared.switch.in_order()
    ]


def of_clock(shared: Shared) -> Obstacle | None:
    """The clock, while it is not known to be right: nothing is paid by a guess."""
    return None if shared.time_known else CLOCK_UNKNOWN


def of_node(switch: Switch, link: Reach) -> Obstacle | None:
    """What keeps a node from paying anything new; none of the daemon's obstacles."""
    return of_connection(switch, link) or _blocked(link)


def of_connection(switch: Switch, link: Reach) -> Obstacle | None:
    """What keeps a node from being handed a payment that is durable already: it is stopped, or not
    up.

    A daemon that is stopping hands over what it has planned. So does one whose channels were found
    unable meanwhile: lnd says the same, and the payment fails without blame.

    RECOVERING holds from the start until the first connection is checked: while that cannot be
    made, the reason for that says more.
    """
    if switch.sending and link.up:
        return None
    halts = switch.in_order()
    if halts and (halts[0][0] is not Halt.RECOVERING or not link.problem):
        return Obstacle(
            ObstacleKind.NODE_HALT if halts[0][0] is not Halt.RECOVERING else ObstacleKind.NODE,
            *halts[0],
        )
    return Obstacle(ObstacleKind.NODE, Reason.NODE_DOWN, link.problem or "not reached yet")


def to_plan(shared: Shared, switch: Switch, link: Reach, stopping: bool) -> Obstacle | None:
    """What keeps a node from making any new payment, and from sending one again; its streams may
    have obstacles of their own.
    """
    if stopping:
        return IS_STOPPING
    return of_daemon(shared) or of_node(switch, link) or of_clock(shared)


CLOCK_UNKNOWN = Obstacle(
    ObstacleKind.CLOCK,
    Halt.CLOCK,
    "the clock is not known to be right",
    "`streamer status` says what is awaited",
)
IS_STOPPING = Obstacle(
    ObstacleKind.STOPPING, STOPPING, "streamer is stopping: call again when it is back"
)


def _halted(switch: Switch, kind: ObstacleKind) -> Obstacle:
    halt, text = switch.in_order()[0]
    return Obstacle(kind, halt, text)


def _blocked(link: Reach) -> Obstacle | None:
    if not link.problem and link.blocked is None:
        return None
    return Obstacle(ObstacleKind.NODE, link.blocked or Reason.NODE_DOWN, link.problem)


# -- a payment that is planned already, or ordered ------------------------------------------------


def of_payment(
    payment: Payment, stream: Stream | None, budgets: Budgets, now_ns: int
) -> Obstacle | None:
    """What keeps a payment from being handed to its node by its own: the state of its stream; that
    of its key, if it has no stream.
    """
    if stream is None:
        ended = budgets.key_ended(payment.api_key, now_ns)
        return (
            Obstacle(
                ObstacleKind.PAUSED, Reason.KEY_REVOKED, "its API key was revoked or has expired"
            )
            if ended
            else None
        )
    # PENDING: put back there by a clock that was ahead, with what it had planned
    return (
        None
        if stream.state in (StreamState.ACTIVE, StreamState.STALLED)
        else _idle(stream, stream.state)
    )


def of_single(order: Single, gate: Gate, budgets: Budgets, now_ns: int) -> Obstacle | None:
    """What refuses an order of a single payment, at a node that pays: it may else wait for its
    turn.
    """
    shortage = budgets.key_shortage(order.api_key, order.amount_msat + order.fee_limit_msat, now_ns)
    if shortage:
        return Obstacle(ObstacleKind.KEY_BUDGET, Reason.KEY_BUDGET_SPENT, shortage)
    refused = gate.refuses(order)
    if refused is Reason.RECEIVER_HOLDS:
        return Obstacle(ObstacleKind.RECEIVER, refused, HELD)
    return Obstacle(ObstacleKind.SLOTS, refused, NO_SHARE) if refused else None


HELD = (
    "the receiver holds a payment of this key open without settling it, and gets no other one of it"
    " until that ends: nothing was sent; `streamer payment list` shows it"
)
NO_SHARE = (
    "payments that receivers hold, or that are under way to receivers who have not settled one in"
    " time yet, take all the HTLC slots that this key, or all keys together, may have for that:"
    " nothing was sent; call again later: `streamer payment list` shows who holds"
)


# -- a stream --------------------------------------------------------------------------------------


def of_stream(stream: Stream, place: Place, above: Obstacle | None, now_ns: int) -> Obstacle | None:
    """What keeps stream from being paid now; None: it goes as soon as its node has room. above:
    what to_plan says of that node.
    """
    found = _wants_nothing(stream, place.budgets, now_ns) or above
    if found is not None:
        return found
    stalled = _stalled(stream, place, now_ns)
    if stalled is not None:
        return stalled
    return _waiting(stream, place, now_ns) or _unaffordable(stream, place, now_ns)


def _wants_nothing(stream: Stream, budgets: Budgets, now_ns: int) -> Obstacle | None:
    """Its state; and what time will make of that with the next look."""
    if stream.state is StreamState.PENDING:
        if now_ns < stream.terms.start_time_ns:
            return _idle(stream, stream.state)
    elif stream.state not in (StreamState.ACTIVE, StreamState.STALLED):
        return _idle(stream, stream.state)
    # noticed with the next look only, and a thousand streams at a time: nothing is bought meanwhile
    if stream.expire_time_ns and now_ns >= stream.expire_time_ns:
        return _paused(stream, Reason.TTL_EXPIRED, stream.expire_time_ns)
    key_end_ns = budgets.key_end_ns(stream.api_key)
    if key_end_ns is not None and now_ns >= key_end_ns:
        return _paused(stream, Reason.KEY_REVOKED, max(key_end_ns, stream.state_time_ns))
    return None


def _idle(stream: Stream, state: StreamState) -> Obstacle:
    since_ns = stream.state_time_ns
    if state is StreamState.PENDING:
        return Obstacle(
            ObstacleKind.NOT_BEGUN,
            Reason.NONE,
            "it has not begun",
            until_ns=stream.terms.start_time_ns,
        )
    if state is StreamState.CLOSING:
        return Obstacle(
            ObstacleKind.CLOSING,
            stream.reason,
            "it ends as soon as its open payment has ended",
            since_ns=since_ns,
        )
    if state in ENDED:
        return Obstacle(
            ObstacleKind.ENDED, stream.reason, "nothing more will be paid", since_ns=since_ns
        )
    return _paused(stream, stream.reason, since_ns)


def _paused(stream: Stream, reason: Reason, since_ns: int) -> Obstacle:
    if reason is Reason.KEY_REVOKED:
        how = "cancel it, and open another with a key that is good"
        return Obstacle(
            ObstacleKind.PAUSED,
            reason,
            "because its API key was revoked or has expired",
            how,
            since_ns,
        )
    why = "because nobody renewed it in time (ttl)" if reason is Reason.TTL_EXPIRED else ""
    return Obstacle(
        ObstacleKind.PAUSED, reason, why, f"`streamer stream resume {stream.id}` goes on", since_ns
    )


def _stalled(stream: Stream, place: Place, now_ns: int) -> Obstacle | None:
    """Doubt before a budget before a row of failures: the order of a stall's reasons
    (docs/streams.md).
    """
    since_ns = stream.state_time_ns
    if stream.doubt_since_ns:
        how = "`streamer payment list --in-doubt` shows them"
        return Obstacle(ObstacleKind.DOUBT, Reason.IN_DOUBT, WHY[Reason.IN_DOUBT], how, since_ns)
    if stream.short_of is Reason.BUDGET_PERIOD and stream.short_until_ns > now_ns:
        return _out_of_budget(stream, stream.short_until_ns)
    if stream.short_of is Reason.KEY_BUDGET_SPENT and place.rounds.turn(stream) is None:
        return _out_of_key_budget(stream, place)
    if stream.account.next_attempt_ns > now_ns:
        how = f"`streamer stream resume {stream.id}` tries now"
        return Obstacle(
            ObstacleKind.FAILING,
            stream.failing,
            failure(stream),
            how,
            since_ns,
            stream.account.next_attempt_ns,
        )
    return None


def failure(stream: Stream) -> str:
    """Why the payments of a stream fail: the reason of the row in words, and what the node said of
    the last one.
    """
    words = f" ({stream.last_failure})" if stream.last_failure else ""
    return WHY.get(stream.failing, f"payments fail ({stream.failing})") + words


def _out_of_budget(stream: Stream, until_ns: int | None) -> Obstacle:
    how = f"raise it with `streamer stream set {stream.id} --budget …`"
    return Obstacle(
        ObstacleKind.BUDGET,
        Reason.BUDGET_PERIOD,
        WHY[Reason.BUDGET_PERIOD],
        how,
        stream.state_time_ns,
        until_ns,
    )


def _out_of_key_budget(stream: Stream, place: Place) -> Obstacle:
    how = "goes on when it renews, or when money that is reserved comes back"
    until_ns = place.rounds.renewal_ns(stream)
    return Obstacle(
        ObstacleKind.KEY_BUDGET,
        Reason.KEY_BUDGET_SPENT,
        WHY[Reason.KEY_BUDGET_SPENT],
        how,
        stream.state_time_ns,
        until_ns,
    )


def _waiting(stream: Stream, place: Place, now_ns: int) -> Obstacle | None:
    """What an end, a turn or a moment lifts."""
    why, due_ns, called = (
        place.gate.why(stream),
        place.due_ns(stream),
        place.rounds.turn(stream) is not None,
    )
    if why is Reason.RECEIVER_HOLDS:
        return Obstacle(
            ObstacleKind.RECEIVER,
            why,
            "waits for its receiver, who keeps a payment open without settling it",
        )
    if not place.may_open_another(stream):
        sum_of = f"{stream.open_payments} open payment(s) of {format_amount(stream.reserved_msat)}"
        return Obstacle(ObstacleKind.OPEN, Reason.NONE, sum_of)
    if place.rounds.waits(stream):
        until_ns = place.rounds.goes_on_ns(stream) or place.rounds.renewal_ns(stream)
        return Obstacle(
            ObstacleKind.TURN, Reason.NONE, TURN, since_ns=due_ns or 0, until_ns=until_ns
        )
    if due_ns is not None and due_ns > now_ns and not called:
        return Obstacle(ObstacleKind.AHEAD, Reason.NONE, "it is paid ahead", until_ns=due_ns)
    if why is Reason.NO_SLOTS:
        return Obstacle(ObstacleKind.SLOTS, why, SLOTS_TAKEN, since_ns=due_ns or 0)
    if place.gate.place(stream) is not None:
        return Obstacle(ObstacleKind.BUSY, Reason.NONE, RECEIVER_BUSY, since_ns=due_ns or 0)
    return None


TURN = "waits for its turn at the budget of its API key, which is short"
SLOTS_TAKEN = (
    "payments that receivers hold, or that are under way to receivers who have not settled one in"
    f" time yet, take all the HTLC slots that they may have ({Reason.NO_SLOTS}); its receiver is"
    " one of those"
)
RECEIVER_BUSY = (
    "waits for the end of another payment to its receiver, who has as many under way as he may have"
)


def _unaffordable(stream: Stream, place: Place, now_ns: int) -> Obstacle | None:
    """The next payment of a stream that is due, as its plan will find it: there is none to make, or
    a budget does not hold it.
    """
    bought, levels = place.next_purchase(stream, now_ns)
    if bought is Nothing.ENDED:
        return Obstacle(
            ObstacleKind.BOUGHT,
            Reason.END_TIME,
            "all is bought up to its end",
            until_ns=stream.terms.end_time_ns,
        )
    own = levels.own
    if isinstance(bought, Nothing):
        if levels.turn_msat is not None and not short(stream, own):
            return _out_of_key_budget(stream, place)
        if own is not None and own.period_ns is not None:
            return _out_of_budget(stream, own.end_ns())
        text = "its budget is reserved by open payments, and waits for what of that comes back"
        return Obstacle(ObstacleKind.RESERVED, Reason.BUDGET_SPENT, text)
    msat = bought.amount_msat + fee_limit_msat(
        bought.amount_msat, stream.terms.fee_floor_msat, stream.terms.fee_limit_ppm
    )
    if not place.rounds.lets_buy(stream, msat, now_ns):
        return Obstacle(ObstacleKind.TURN, Reason.NONE, TURN, since_ns=place.due_ns(stream) or 0)
    if msat > place.budgets.spend_limit.room_at_msat(now_ns):
        return Obstacle(
            ObstacleKind.SPEND_LIMIT,
            Halt.SPEND_LIMIT,
            "its next payment does not fit into the spend limit of the daemon, and stops it",
        )
    return None
