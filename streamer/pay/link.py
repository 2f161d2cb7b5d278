"""The connection to one node: kept, checked anew each time it is made, and given up when in doubt.

Identity, network and readiness are checked on every new connection (gRPC reconnects silently, so a
lost one is thrown away). Before the node may pay, recovery has asked about every open payment, the
node's own list has been read for payments that our journal lacks, and a witness exists.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from streamer.books.archive import Archive
from streamer.books.timekeeping import Timekeeping
from streamer.core import ends, obstacle
from streamer.core.book import Book
from streamer.core.keysend import payment_hash
from streamer.core.rate import Window
from streamer.core.switch import Switch
from streamer.doubt.adoption import Adoption
from streamer.doubt.channelview import UNABLE_TEXT, ChannelView
from streamer.doubt.recovery import Recovery
from streamer.ports import Clock, Node, NodeIdentity
from streamer.words.errors import (
    NodeRejected,
    NodeUnavailable,
    ResourceExhausted,
    StoreFailed,
    Unavailable,
)
from streamer.words.model import Facts, Kind, Mark, Payment
from streamer.words.money import SECOND_NS
from streamer.words.reasons import Halt, Reason

log = logging.getLogger(__name__)

FIRST_BACKOFF_SECONDS = 0.5
MAX_BACKOFF_SECONDS = 4.0
"""A try costs lnd nothing, and the first payment should not wait long for a node that is back."""
REJECTED_RETRY_SECONDS = 5.0
"""After a rejection (credentials, another node): files are looked at again this often."""
LOOK_SECONDS = 60.0
BLOCKED_LOOK_SECONDS = 5.0
SLOTS_LOOK_SECONDS = 1.0
"""The same while all slots are taken: they are, as a rule, for moments."""
CLOCK_TOLERANCE_NS = 3 * 3600 * SECOND_NS
"""How far lnd's best header may be from our clock: one that is wrong by years would end streams,
and that is for good.
"""
STEADY_CHAINS = frozenset({"mainnet"})
"""Where three hours without a block do not happen (once in a thousand years at one per 10 minutes:
e⁻¹⁸ of them).
"""

NOBODY = bytes.fromhex("0257892b7a7046bfe0fba5ded89b8ddb24b9eb0658f3de721e35702d3cdea1b2ee")
"""A public key of which nobody knows the secret: x is SHA-256("streamer/nobody/v1"), the next on
the curve.
"""
WITNESS_MSAT = 1_000
WITNESS_PATIENCE_SECONDS = 20.0


@dataclass(slots=True, frozen=True)
class LinkTerms:
    """What the configuration says of the node. network "" accepts any; min_payment_msat in msat."""

    secret: bytes
    network: str = ""
    min_payment_msat: int = 1_000


class Engine(Protocol):
    """What the link needs of its engine."""

    archive: Archive
    window: Window

    def defer(self, action: Callable[[int, Facts], None]) -> None:
        """Do action in the engine's next turn; what it puts into facts becomes durable."""

    def wake(self) -> None:
        """Look at what is due."""

    async def turn(self) -> None:
        """Return when what was deferred has been done. Raises StoreFailed if it never will be."""

    async def durable(self) -> None:
        """Return when what has been done is durable. Raises StoreFailed."""

    async def find(self, owner: str, seq: int) -> Payment | None:
        """The payment in the journal."""


class Link:
    """Whether the node can be used now, and if not, why."""

    def __init__(
        self,
        node: Node,
        book: Book,
        clock: Clock,
        switch: Switch,
        recovery: Recovery,
        terms: LinkTerms,
        engine: Engine,
        timekeeping: Timekeeping,
    ) -> None:
        self.node = node
        self.book = book
        self.clock = clock
        self.switch = switch
        self.recovery = recovery
        self.terms = terms
        self.engine = engine
        self.timekeeping = timekeeping
        self._adoption = Adoption(node, book, engine, recovery, terms.secret, switch)
        self.up_since_ns = 0
        self.problem = "not connected yet"
        self.blocked: Reason | None = None
        self.identity: NodeIdentity | None = None
        self.evidence = recovery.evidence
        self.recovery_seconds = 0.0
        self.settings: dict[str, str] = {}
        self.known_pubkey = ""
        self.stranger = ""  # who the node is now, while that is not whom this folder has paid with
        self._look = asyncio.Event()
        self._at_once = False
        self._again = asyncio.Event()
        self._logged = ""

    @property
    def up(self) -> bool:
        """Connected, checked and recovered."""
        return self.up_since_ns > 0

    def restore(self, settings: dict[str, str], last_index: int) -> None:
        """Take what the journal knows of this node."""
        self.known_pubkey = settings.get(self._key("identity"), "")
        self.evidence.restore(settings, last_index)
        self.switch.stop(Halt.RECOVERING, "asking the node about the payments that are open")

    def saw(self, payment_hash: bytes, index: int) -> None:
        """The node has accepted this payment."""
        self.evidence.saw(payment_hash, index, next(reversed(self.book.payments), 0))

    def remember(self, facts: Facts) -> None:
        """Put the newest witness into a commit that happens anyway."""
        self.evidence.remember(self.book.payments, facts)

    def move_time(self, by_ns: int) -> None:
        """Our time is by_ns later than it was, or earlier."""
        if self.up:
            self.up_since_ns += by_ns

    def judge_clock(self) -> None:
        """Ask the node at once whether the clock is right."""
        self._at_once = True
        self._look.set()

    def count_outage(self, now_ns: int, facts: Facts) -> None:
        """While the node cannot pay, whatever the reason, there is an outage. Ask this in every
        turn, before planning.

        While the time is not known there is one of the whole daemon, which timekeeping counts.
        """
        if not self.book.shared.time_known:
            return
        found = obstacle.of_node(self.switch, self)
        if found is not None:
            self.book.outages.begin(found.reason, now_ns, facts)
        else:
            self.book.outages.end(now_ns, facts)

    def block(self, reason: Reason, text: str) -> None:
        """The node is connected, but no channel of it can pay."""
        if self.blocked is None:
            self.blocked, self.problem = reason, text
            self._log(text)
            self.engine.wake()
        self._look.set()

    def look_soon(self) -> None:
        """Look at the channels in BLOCKED_LOOK_SECONDS: a node that refuses us is then found
        out.
        """
        self._look.set()

    async def run(self) -> None:
        """Connect, and again whenever the connection is lost, for ever."""
        backoff = FIRST_BACKOFF_SECONDS
        while True:
            wait = backoff
            try:
                await self._connect()
            except NodeUnavailable as error:
                self._down(str(error))
            except NodeRejected as error:
                self._down(str(error))
                self.switch.stop(
                    Halt(error.reason) if error.reason in Halt.__members__ else Halt.CREDENTIALS,
                    str(error),
                )
                wait = REJECTED_RETRY_SECONDS
            except (Unavailable, ResourceExhausted, StoreFailed) as error:
                self._down(
                    f"connected, but the journal cannot be read now, and is tried again: {error}"
                )
            else:
                backoff = wait = FIRST_BACKOFF_SECONDS
                self._down(await self._stay())
            await self.node.close()
            await self._until_again(wait)
            backoff = min(MAX_BACKOFF_SECONDS, backoff * 2)

    async def _until_again(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._again.wait(), seconds)
        self._again.clear()

    async def _connect(self) -> None:
        began_ns = self.clock.now_ns()
        identity = await self.node.open()
        self.switch.lift(Halt.CREDENTIALS)
        self._check(identity)
        self.identity = identity
        self.switch.stop(Halt.RECOVERING, "asking the node about the payments that are open")
        self.problem = ""
        await self.engine.turn()  # what closes now is no old news for the calls that were just cut
        await self._look_at_channels()
        await self._adoption.read(self.evidence.last_index)
        await self.engine.turn()
        if self._adoption.taken:
            await self.engine.durable()
            text = (
                f"the node has {self._adoption.forget()} payments of ours that the journal lacks:"
                " our data is older; they are taken in"
            )
            log.warning("node %s: %s", self.book.node, text)
            self.switch.stop(Halt.RESTORED, text)
        await self._make_witness()  # not before: its index is higher than those that had to be read
        await self.recovery.catch_up()
        self.switch.lift(Halt.RESTORED)
        self.switch.lift(Halt.RECOVERING)
        now_ns = self.clock.now_ns()
        self.recovery_seconds = (now_ns - began_ns) / SECOND_NS
        self.up_since_ns = now_ns
        if self.blocked is None:
            self.problem = ""
            self._log("")
        self.engine.wake()

    def _log(self, problem: str) -> None:
        """Say what keeps the node from paying when it changes, not at each try; empty: nothing
        does.
        """
        if problem and problem != self._logged:
            log.warning("node %s: %s", self.book.node, problem)
        elif not problem and self.identity is not None:
            log.info(
                "node %s: connected to %s on %s",
                self.book.node,
                self.identity.pubkey.hex(),
                self.identity.network,
            )
        self._logged = problem

    def _check(self, identity: NodeIdentity) -> None:
        wanted, pubkey = self.terms.network, identity.pubkey.hex()
        if wanted and identity.network != wanted:
            text = (
                f"the node is on {identity.network}, but the configuration says {wanted}: point"
                f" node.rpcserver at a {wanted} node"
            )
            raise NodeRejected(text, Halt.NODE_CHANGED)
        self.stranger = pubkey if self.known_pubkey not in ("", pubkey) else ""
        if self.stranger:
            text = (
                f"the node is {pubkey}, but this data folder has paid with {self.known_pubkey}:"
                f" point node.rpcserver back, or `streamer sending start --accept-node {pubkey}`"
                " once nothing is open"
            )
            raise NodeRejected(text, Halt.NODE_CHANGED)
        self.switch.lift(Halt.NODE_CHANGED)
        self._check_clock(identity)
        if not self.known_pubkey:
            self.known_pubkey = pubkey
            self.engine.defer(
                lambda _, facts: facts.settings.append((self._key("identity"), pubkey))
            )

    def _check_clock(self, identity: NodeIdentity) -> None:
        """A clock that is wrong stops what is sent, and nothing else: the ends of payments are
        learned all the same.
        """
        judged_ns = self.timekeeping.judged_ns
        wrong = _clock_problem(identity, judged_ns)
        lags = not identity.synced_to_chain and identity.best_header_time_ns < judged_ns
        if wrong:
            self.switch.stop(Halt.CLOCK, wrong)
            self._log(wrong)
        else:
            self.switch.lift(Halt.CLOCK)
        self.timekeeping.judge(self.node.name, wrong, lags)

    def accept(self, pubkey: str, facts: Facts) -> None:
        """A person says that the node's new identity is right."""
        self.known_pubkey, self.stranger = pubkey, ""
        facts.settings.append((self._key("identity"), pubkey))
        self.switch.lift(Halt.NODE_CHANGED)
        self._again.set()

    async def _make_witness(self) -> None:
        """Without one, an unknown payment could not be told from a lost history (money rule 5)."""
        if self.recovery.unclear:
            return
        witness = self.evidence.witness
        if (
            witness is not None
            and (await self.node.track(witness, WITNESS_PATIENCE_SECONDS)).kind
            is not Kind.NOT_FOUND
        ):
            return
        preimage = hashlib.sha256(
            self.terms.secret + self.clock.now_ns().to_bytes(8, "big")
        ).digest()
        payment = Payment(
            row=0,
            owner="",
            stream_key=0,
            seq=0,
            node=self.node.name,
            destination=NOBODY,
            payment_hash=payment_hash(preimage),
            amount_msat=WITNESS_MSAT,
            fee_limit_msat=1,
            cltv_limit=288,
            timeout_seconds=15,
            records=b"",
            due_ns=0,
            planned_ns=0,
        )
        answer = await self.node.send(payment, preimage, WITNESS_PATIENCE_SECONDS)
        if answer.accepted:
            self.saw(payment.payment_hash, answer.index)
            self.engine.defer(lambda _, facts: self.remember(facts))

    async def _stay(self) -> str:
        """Look at the channels now and then, until the connection is lost; why it was."""
        lost = asyncio.ensure_future(self.node.lost())
        try:
            while not lost.done():
                self.engine.wake()
                await self._until_look(lost)
                if not lost.done():
                    await self._look_at_channels()
                    if self._clock_open:
                        self._check_clock(await self.node.identity())
            return lost.result()
        except (NodeUnavailable, NodeRejected) as error:
            return str(error)
        finally:
            lost.cancel()

    async def _until_look(self, lost: asyncio.Future[str]) -> None:
        """Until it is time to look at the channels again, or the connection is lost."""
        asked = asyncio.ensure_future(self._look.wait())
        try:
            wait = self._soon_seconds if self.blocked or self._clock_open else LOOK_SECONDS
            await asyncio.wait((lost, asked), timeout=wait, return_when=asyncio.FIRST_COMPLETED)
        finally:
            asked.cancel()
        if self._look.is_set():
            self._look.clear()
            wait, self._at_once = 0.0 if self._at_once else self._soon_seconds, False
            await asyncio.wait({lost}, timeout=wait)

    @property
    def _clock_open(self) -> bool:
        """Whether our clock is right is asked again and again until it is."""
        return Halt.CLOCK in self.switch.halts or not self.timekeeping.known

    @property
    def _soon_seconds(self) -> float:
        return SLOTS_LOOK_SECONDS if self.blocked is Reason.NO_SLOTS else BLOCKED_LOOK_SECONDS

    async def _look_at_channels(self) -> None:
        channels = ChannelView(await self.node.channels())
        spendable = [channel.spendable_msat for channel in channels.active]
        self.book.largest_spendable_msat = max(spendable, default=self.book.largest_spendable_msat)
        self._remember_channels(channels)
        self._count_slots(channels)
        reason = channels.why_unable(self.terms.min_payment_msat)
        if reason is not Reason.NONE:
            self.block(reason, UNABLE_TEXT[reason])
            self._look.clear()
        elif self.blocked is not None:
            self.blocked, self.problem = None, ""
            if self.up:
                self._log("")
                self.engine.wake()

    def _count_slots(self, channels: ChannelView) -> None:
        """What the channels carry of ours, and which of the payments that are out of sight still
        have an HTLC there.
        """
        slots = self.book.slots
        lost = [
            payment for payment in self.book.payments.values() if payment.mark is Mark.LOST_SIGHT
        ]
        seen = {payment.row: channels.has_htlc(payment.payment_hash) for payment in lost}
        ours = {
            payment.payment_hash
            for payment in (*slots.window.values(), *slots.stuck.values(), *lost)
        }
        slots.shares.offered = channels.free(ours)
        self.engine.window.narrow(slots.shares.offered // 2)

        def see(now_ns: int, facts: Facts) -> None:
            for payment in lost:
                if payment.open:
                    ends.see(self.book, payment, seen[payment.row], now_ns, facts)

        if lost:
            self.engine.defer(see)

    def _remember_channels(self, channels: ChannelView) -> None:
        """What is open and closing, for the time when a payment is unknown: a node put back to an
        old copy loses channels.
        """
        found = self.evidence.look(
            channels, unsure=self.recovery.unsure, waiting=self.recovery.waiting
        )
        if found:
            self.engine.defer(lambda _, facts: facts.settings.extend(found))

    def _down(self, why: str) -> None:
        self.up_since_ns = 0
        self.problem = why
        self._log(why)
        self.blocked = None
        self.recovery.lost_connection()
        self.engine.wake()

    def _key(self, what: str) -> str:
        return f"{what}.{self.node.name}"


def _clock_problem(identity: NodeIdentity, now_ns: int) -> str:
    """Why a clock that shows now_ns cannot be right, with what to do; empty if it can."""
    behind_ns = identity.best_header_time_ns - now_ns
    if behind_ns > CLOCK_TOLERANCE_NS:
        return (
            "our clock is more than 3 hours behind the node's best block header: put the clock"
            " right"
        )
    if -behind_ns <= CLOCK_TOLERANCE_NS or identity.network not in STEADY_CHAINS:
        return ""
    ahead = "our clock is more than 3 hours ahead of the node's best block header"
    if identity.synced_to_chain:
        return f"{ahead}, which lnd calls fresh: put the clock right"
    return (
        f"{ahead}, and lnd is not synced to the chain: let it sync (is its bitcoind online?), or"
        " put the clock right if that is wrong; sending then goes on by itself"
    )
