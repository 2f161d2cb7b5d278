"""Real lnd: the daemon and the nodes are killed at random moments under load, behind a proxy that
cuts and delays.

Afterwards the receivers' books are compared with the journal and with the payer's lnd, payment by
payment, and with the money in the receivers' channels.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamer._proto.streamer.v1 import stream_pb2
from tests.e2e.house import House, until
from tests.e2e.networks import Networks
from tests.e2e.proxy import Fate, Way
from tests.lnd.binaries import build
from tests.lnd.books import (
    check_arrived,
    check_conservation,
    check_money,
    check_payer,
    clock,
    in_flight_without_htlc,
    orphans,
    rows,
)
from tests.lnd.town import Town, star

pytestmark = pytest.mark.lnd

KEYSENDS = 3_000
DAEMON_KILLS, PAYER_KILLS, RECEIVER_KILLS = 40, 20, 5
RECEIVERS, CHANNELS = 2, 3
STREAMS, AMOUNT_MSAT, INTERVAL_MS = 100, 1_000, 4_000
BETWEEN = (30, 75)
"""So many keysends come in between two kills."""
LONGEST_DELAY_SECONDS = 0.05
EXCHANGE_BYTES = 6_000
"""A cut falls within a few payments' bytes."""
GHOST_SECONDS = 20.0
QUICK = (
    *(
        "--node.ghost-after",
        f"{GHOST_SECONDS:.0f}s",
        "--node.hold-after",
        "5s",
        "--streams.in-doubt-after",
        "4s",
    ),
    *("--node.max-in-flight-per-destination", "50", "--streams.stall-after", "1000"),
)
ATTEMPTS_KEPT = ("--keep-failed-payment-attempts",)
"""The payer's lnd still knows afterwards who failed an HTLC, and with which words."""
LIMIT_SECONDS = 2_400
READY_SECONDS = 240.0
"""A connection that the proxy keeps is given up after half a minute; chance may keep one after the
other.
"""
END_SECONDS = 600.0


@pytest.fixture
def town(tmp_path: Path, networks: Networks) -> Iterator[Town]:
    with star(build(), tmp_path, networks, RECEIVERS, CHANNELS, ATTEMPTS_KEPT) as made:
        yield made


class Storm:
    """What happens to a town: all chance comes from one seed."""

    def __init__(self, town: Town, seed: int) -> None:
        self.town = town
        self.chance = random.Random(seed)
        self.done: Counter[str] = Counter()
        self.kept_since = 0.0
        self.diary: list[str] = []
        strikes = ["payer"] * PAYER_KILLS + ["receiver"] * RECEIVER_KILLS
        self.lives: list[list[str]] = [[] for _ in range(DAEMON_KILLS)]
        for strike in strikes:
            self.chance.choice(self.lives).append(strike)

    def live(self, daemon: House, strikes: list[str], mischief: bool) -> None:
        """One life of the daemon, up to its own kill; the last strike may fall together with it."""
        for number, strike in enumerate(strikes):
            self._moment(daemon, mischief)
            self.note(strike)
            getattr(self, f"kill_{strike}")(daemon)
            if number + 1 == len(strikes) and self.chance.random() < 0.5:
                self.done["both"] += 1
                break
        else:
            self._moment(daemon, mischief)
            if mischief and self.chance.random() < 0.5:
                self.keep()
                time.sleep(self.chance.uniform(0, 1))
        self.note("daemon")
        daemon.process.send_signal(signal.SIGKILL)
        assert daemon.process.wait() == -signal.SIGKILL
        assert "Traceback" not in daemon.log(), daemon.log()

    def note(self, strike: str) -> None:
        """Who is killed, and when."""
        self.done[strike] += 1
        self.diary.append(f"{strike} {clock(time.time_ns())}")

    def kill_payer(self, daemon: House) -> None:
        self.town.restart(self.town.payer)

    def kill_receiver(self, daemon: House) -> None:
        self.town.restart(self.chance.choice(self.town.receivers))
        self.town.until_active()
        if not daemon.unready():
            self.town.try_now(
                daemon,
                [
                    stream.id
                    for stream in self.town.streams(daemon)
                    if stream.HasField("next_attempt_time")
                ],
            )

    def mischief(self) -> None:
        """The road to the node is slow, cut somewhere, or keeps what the next kill leaves
        behind.
        """
        self.town.delay(self.chance.uniform(0, LONGEST_DELAY_SECONDS))
        way, after = self.chance.choice(list(Way)), self.chance.randrange(EXCHANGE_BYTES)
        self.town.trap(way, after)
        self.done[f"cut {way.name}"] += 1

    def keep(self) -> None:
        """From here on the node hears nothing of the daemon, until the next one is up."""
        self.town.trap(Way.UP, self.chance.randrange(EXCHANGE_BYTES), Fate.KEEP)
        self.kept_since = time.monotonic()

    def deliver(self) -> None:
        """A killed daemon's calls come late, as long as they are still believed possible."""
        self.town.clear_trap()
        if self.kept_since and time.monotonic() - self.kept_since < GHOST_SECONDS / 2:
            self.town.deliver()
            self.done["late"] += 1
        elif self.kept_since:
            self.town.drop()
        self.kept_since = 0.0

    def _moment(self, daemon: House, mischief: bool) -> None:
        if mischief:
            self.mischief()
        try:
            self.town.until_arrived(self.chance.randrange(*BETWEEN))
        except AssertionError as error:
            raise AssertionError(f"{error}\n{daemon.log()}") from None
        time.sleep(self.chance.uniform(0, 0.3))


def current(stream: stream_pb2.Stream) -> bool:
    """Paid ahead, or the payment that makes it so is on its way."""
    words = stream.explanation
    return stream.state == stream_pb2.Stream.ACTIVE and (
        "paid ahead" in words or "waits for the end of 1 open" in words
    )


@pytest.mark.timeout(LIMIT_SECONDS, func_only=True)
def test_kills_at_random_moments_lose_nothing_and_pay_nothing_twice(town: Town) -> None:
    seed = int(os.environ.get("STREAMER_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"seed {seed} (set STREAMER_SEED to repeat it)")
    storm = Storm(town, seed)
    with town.daemon(*QUICK) as daemon:
        daemon.until_paying(READY_SECONDS)
        town.open_streams(daemon, STREAMS, AMOUNT_MSAT, INTERVAL_MS)
        storm.live(daemon, storm.lives[0], mischief=False)
    for number, strikes in enumerate(storm.lives[1:], 1):
        with town.daemon(*QUICK) as daemon:
            daemon.until_paying(READY_SECONDS)
            storm.deliver()
            storm.live(
                daemon, strikes, mischief=DAEMON_KILLS // 3 <= number < 2 * DAEMON_KILLS // 3
            )
        town.delay(0)
    print(
        f"done {dict(storm.done)}, {town.count()} keysends came in; killed:"
        f" {', '.join(storm.diary)}"
    )
    with town.daemon(*QUICK) as daemon:
        daemon.until_paying(READY_SECONDS)
        storm.deliver()
        town.until_active()
        town.try_now(
            daemon,
            [stream.id for stream in town.streams(daemon) if stream.HasField("next_attempt_time")],
        )
        until(
            lambda: settled_down(town, daemon),
            f"nothing is open but orphans, all streams are current; seed {seed}",
            END_SECONDS,
        )
        town.until_arrived(max(0, KEYSENDS - town.count()))
        assert [stream.skipped_msat for stream in town.streams(daemon)] == [0] * STREAMS
        assert daemon.stop() == 0
    check_books(town)
    assert (storm.done["daemon"], storm.done["payer"], storm.done["receiver"]) == (
        DAEMON_KILLS,
        PAYER_KILLS,
        RECEIVER_KILLS,
    )


def settled_down(town: Town, daemon: House) -> bool:
    """Every payment from before has ended, or is known as an orphan; every stream is paid ahead."""
    if (
        daemon.unready()
        or daemon.metric("payments_in_doubt")
        or daemon.metric("payments_open") - daemon.metric("payments_orphaned") > STREAMS
    ):
        return False
    time.sleep(1)
    return all(current(stream) for stream in town.streams(daemon))


def check_books(town: Town) -> None:
    left = orphans(town.home)
    payments = rows(town.home)
    print(
        f"{dict(Counter(row.state for row in payments))}; why failed:"
        f" {dict(Counter(row.message for row in payments if row.message))}"
    )
    print(f"{len(left)} orphans: {', '.join(sorted(left.values()))}")
    given_back = sum(len(receiver.given_back()) for receiver in town.receivers)
    booked = sum(htlc.given_back for receiver in town.receivers for htlc in receiver.received())
    print(
        f"{given_back} HTLCs given back by a receiver that was killed, {booked} of them with an"
        " invoice that stays settled"
    )
    settled = check_arrived(town.home, town.payer, town.receivers)
    check_payer(town.home, town.payer)
    for receiver in town.receivers:
        check_money(receiver)
    check_conservation(town.home, AMOUNT_MSAT, INTERVAL_MS)
    assert settled >= KEYSENDS
    assert set(left) == {row.payment_hash for row in payments if row.open}
    assert set(left) == in_flight_without_htlc(town.payer)
