"""What can go wrong, on command: each method is one thing that happened to a real node.

Every method takes effect at the moment that `sync` brings the network to; whoever drives the model
on a clock passes it (see drive.py).
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from streamer.simulator.network.books import Failure, PaymentRecord, Status
from streamer.simulator.network.lightning_node import CallFate, CallFault, LightningNode, Wallet
from streamer.simulator.network.network import Network
from streamer.words.money import MILLISECOND_NS

RESTART_STEPS = (
    (1_200 * MILLISECOND_NS, Wallet.UNLOCKED),
    (2_800 * MILLISECOND_NS, Wallet.RPC_ACTIVE),
    (4_300 * MILLISECOND_NS, Wallet.SERVER_ACTIVE),
)
"""When a killed lnd 0.21.2-beta listens again, and when it comes to which state (tried)."""

REVOKED_TEXT = "verification failed: signature mismatch after caveat verification"
"""What lnd says to a macaroon whose root key is gone."""


@dataclass(slots=True)
class History:
    """A node's payments at one moment, to be restored later as a database would be."""

    payments: dict[bytes, PaymentRecord]
    last_index: int


class Faults:
    """The switches of a network, by node name."""

    def __init__(self, network: Network, sync: Callable[[], None]) -> None:
        self._network = network
        self._sync = sync

    def _at(self, name: str) -> LightningNode:
        self._sync()
        return self._network.named[name]

    # -- away and back -----------------------------------------------------------------------

    def take_down(self, name: str, orphan_rate: float = 0.0) -> None:
        """The node stops; its clients are cut. Of its open payments about orphan_rate become
        orphans.
        """
        node = self._at(name)
        self._stop(node)
        for flight in list(node.flights.values()):
            # what a receiver holds has left this node for good, and cannot vanish
            if flight not in flight.receiver.held and self._network.rng.random() < orphan_rate:
                self._network.orphan(flight)

    def bring_up(self, name: str, wallet: Wallet = Wallet.SERVER_ACTIVE) -> None:
        """The node listens again, in this state; with SERVER_ACTIVE its channels are active."""
        self._enter(self._at(name), wallet)

    def restart(self, name: str, orphan_rate: float = 0.33) -> None:
        """The node is killed and comes back by itself after 4.3 s, through lnd's states."""
        self.take_down(name, orphan_rate)
        node, now = self._network.named[name], self._network.now_ns
        for delay, wallet in RESTART_STEPS:
            self._network.at(now + delay, partial(self._enter, node, wallet))

    def offline_for(self, name: str, duration_ns: int) -> None:
        """The node is away for so long, and back by itself; nothing is orphaned."""
        self.take_down(name)
        node = self._network.named[name]
        self._network.at(
            self._network.now_ns + duration_ns, partial(self._enter, node, Wallet.SERVER_ACTIVE)
        )

    def set_wallet(self, name: str, wallet: Wallet) -> None:
        """The node listens but its wallet is in this state (locked, starting)."""
        node = self._at(name)
        self._stop(node)
        self._enter(node, wallet)

    def freeze(self, name: str) -> None:
        """The process is stopped (SIGSTOP): connections stay, calls wait, HTLCs hang."""
        self._at(name).frozen = True

    def thaw(self, name: str) -> None:
        """It goes on: what waited is executed, whoever is gone by now."""
        node = self._at(name)
        node.frozen = False
        while node.inbox:
            node.inbox.popleft()()
        for watcher in list(node.on_thaw):
            watcher()
        self._unstick(node)

    def cut_connections(self, name: str) -> None:
        """Every client of the node is cut; the node itself goes on."""
        self._cut(self._at(name), "connection reset by peer")

    def disable_channels(self, one: str, two: str, *, disabled: bool = True) -> None:
        """The channels between two nodes become inactive (or active again); both nodes stay up."""
        first, second = self._at(one), self._network.named[two]
        for side in first.sides_to.get(second.pubkey, ()):
            side.channel.disabled = disabled

    def drain(self, one: str, two: str) -> None:
        """All that one could send to two belongs to two now: the liquidity is gone."""
        first, second = self._at(one), self._network.named[two]
        for side in first.sides_to.get(second.pubkey, ()):
            moved = max(0, side.balance_msat - side.reserve_msat)
            side.balance_msat -= moved
            side.other.balance_msat += moved

    def close_channels(self, one: str, two: str, count: int = 0, *, forced: bool = False) -> None:
        """One closes its channels with two: the oldest count of them, or (0) all; forced: without
        asking two.
        """
        first, second = self._at(one), self._network.named[two]
        sides = [side for side in first.sides_to.get(second.pubkey, ()) if not side.channel.closing]
        for side in sides[: count or None]:
            side.close(forced=forced)

    # -- receivers ---------------------------------------------------------------------------

    def set_keysend(self, name: str, *, accepted: bool) -> None:
        """Whether the node takes keysends; if not, they fail with INCORRECT_PAYMENT_DETAILS."""
        self._at(name).keysend = accepted

    def hold(self, name: str) -> None:
        """From now on the node keeps each HTLC that reaches it."""
        self._at(name).holding = True

    def release(self, name: str, *, settle: bool = True) -> None:
        """The node stops holding; what it held settles, or fails as lnd's held keysends do."""
        node = self._at(name)
        node.holding = False
        held, node.held = node.held, []
        for flight in held:
            if flight.done:
                continue
            if settle:
                self._network.conclude(flight)
            else:
                self._network.fail(flight, Failure.INCORRECT_PAYMENT_DETAILS)

    # -- calls and answers -------------------------------------------------------------------

    def fail_randomly(self, name: str, rate: float, *failures: Failure) -> None:
        """Of the payments from or to the node, this share fails with one of failures; 0 ends it."""
        node = self._at(name)
        node.failure_rate = rate
        if failures:
            node.failures = failures

    def refuse(self, name: str, text: str) -> None:
        """Each send call is answered UNKNOWN with this text; "" ends it."""
        self._at(name).refuse_text = text

    def reject_credentials(self, name: str, text: str = REVOKED_TEXT) -> None:
        """Each call is answered UNKNOWN with this text, as with a macaroon that is revoked; "" ends
        it.
        """
        self._at(name).credentials_text = text

    def lose_calls(self, name: str, count: int, fate: CallFate, late_ns: int = 0) -> None:
        """The next count send calls are cut, and executed never, at once, or late_ns later (a
        ghost).
        """
        self._at(name).call_fault = CallFault(fate, count, late_ns)

    # -- history -----------------------------------------------------------------------------

    def forget(self, name: str) -> None:
        """All ended payments are deleted, as `lncli deletepayments --all` does."""
        node = self._at(name)
        for payment_hash, record in list(node.payments.items()):
            if record.status is not Status.IN_FLIGHT:
                del node.payments[payment_hash]

    def history(self, name: str) -> History:
        """A copy of the node's payments, for restore."""
        node = self._at(name)
        payments = {
            payment_hash: copy.copy(record) for payment_hash, record in node.payments.items()
        }
        for record in payments.values():
            record.calls = []
        return History(payments, node.last_index)

    def restore(self, name: str, history: History) -> None:
        """The node gets an old database back: later payments are unknown, indexes come again."""
        node = self._at(name)
        self._cut(node, "connection reset by peer")
        node.payments, node.last_index = dict(history.payments), history.last_index

    # -- inside ------------------------------------------------------------------------------

    def _stop(self, node: LightningNode) -> None:
        node.up = node.listening = node.frozen = False
        node.inbox.clear()
        self._cut(node, "connection refused")

    @staticmethod
    def _cut(node: LightningNode, text: str) -> None:
        for watcher in list(node.on_down):
            watcher(text)

    def _enter(self, node: LightningNode, wallet: Wallet) -> None:
        node.listening, node.wallet = True, wallet
        node.up = wallet is Wallet.SERVER_ACTIVE
        for watcher in list(node.on_listen):
            watcher()
        if node.up:
            node.up_since_ns = self._network.now_ns
            self._network.resolve_orphans(node)
            self._unstick(node)

    def _unstick(self, node: LightningNode) -> None:
        stuck, node.stuck = node.stuck, []
        for flight in stuck:
            self._network.retry(flight)
