"""Invoices with a daemon as a process: the command line's words, and kills in the middle of
PayInvoice and Keysend.

`make prove` kills 200 times.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from streamer._proto.imp.api.lightning import lightning_pb2 as ln
from streamer.client import CallFailed, Client, NotReachable
from streamer.simulator.encoding.bolt11 import decode
from streamer.simulator.network.invoices import Wanted, add_invoice
from streamer.simulator.serve import Plan
from streamer.words.money import MILLISECOND_NS
from tests.e2e.house import House, house, journal, settled, states, until
from tests.e2e.networks import Network, Networks
from tests.e2e.test_kill import QUICK, nothing_open, paying
from tests.prove.volumes import FULL, part, tried

KILLS = part(200) if FULL else 8
KILLS_SECONDS = 3_600 if FULL else 120
LONGEST_LIFE_SECONDS = 0.5
"""Of a daemon after its calls have begun: a payment takes half of it."""
ANSWER_SECONDS = 60.0
UNPAID = ""
LATENCY_NS = (50 * MILLISECOND_NS, 250 * MILLISECOND_NS)


def two_nodes(networks: Networks, folder: Path, seed: int) -> Network:
    return networks.start(folder, Plan(nodes=2, channels=2, seed=seed, latency_ns=LATENCY_NS))


def invoice_of(networks: Networks, network: Network, amount_msat: int = 7_000) -> str:
    """A fresh invoice of the receiver."""
    served = network.served
    return networks.do(
        lambda: (
            add_invoice(
                served.network, served.node(served.nodes[1].name), Wanted(amount_msat)
            ).payment_request
        )
    )


@dataclass
class Asked:
    """What the callers have asked for, and the preimages that they were told (UNPAID: that it was
    not paid, for good).
    """

    invoices: list[str] = field(default_factory=list)
    keysends: list[str] = field(default_factory=list)
    told: dict[str, set[str]] = field(default_factory=dict)

    def open(self) -> list[str]:
        """What nobody was told the end of."""
        return [name for name in (*self.invoices, *self.keysends) if name not in self.told]


async def ask(client: Client, network: Network, asked: Asked, name: str) -> None:
    """Ask once; a daemon that dies, or cannot pay yet, tells nothing."""
    try:
        if name in asked.invoices:
            reply = await client.call(
                client.lightning.PayInvoice, ln.PayInvoiceRequest(invoice=name), ANSWER_SECONDS
            )
        else:
            request = ln.KeysendRequest(destination=network.receivers[0], amount=3, request_id=name)
            reply = await client.call(client.lightning.Keysend, request, ANSWER_SECONDS)
    except NotReachable:
        return
    except CallFailed as error:
        if str(error).startswith("not paid: "):
            # an invoice may be paid in a new attempt; a request_id has made its one payment
            if name in asked.keysends:
                asked.told.setdefault(name, set()).add(UNPAID)
            return
        assert (
            error.code in ("UNAVAILABLE", "CANCELLED")
            or "cannot pay now" in str(error)
            or "RECOVERING" in str(error)
        ), error
        return
    asked.told.setdefault(name, set()).add(reply.preimage)


async def ask_all(
    daemon: House, network: Network, asked: Asked, names: list[str], kill_after: float | None
) -> None:
    """Ask for each twice at once; kill the daemon in the middle of it, unless kill_after is
    None.
    """
    async with Client(daemon.grpc, (daemon.data / "admin.key").read_text().strip()) as client:
        calls = [
            asyncio.ensure_future(ask(client, network, asked, name))
            for name in names
            for _ in range(2)
        ]
        if kill_after is not None:
            await asyncio.wait(calls, timeout=kill_after)
            daemon.process.send_signal(signal.SIGKILL)
        await asyncio.gather(*calls)


@pytest.mark.timeout(KILLS_SECONDS)
def test_sigkill_during_pay_invoice_and_keysend_pays_nothing_twice_and_who_asks_again_is_told(
    tmp_path: Path, networks: Networks
) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    network, home, asked = two_nodes(networks, tmp_path / "network", 61), tmp_path / "home", Asked()
    opens = 0
    for number in range(KILLS):
        asked.invoices.append(invoice_of(networks, network, 7_000 + number))
        asked.keysends.append(f"keysend-{number}")
        with house(home, *network.flags(), *QUICK) as daemon:
            if chance.random() < 0.8:
                daemon.until_paying()
            asyncio.run(
                ask_all(
                    daemon,
                    network,
                    asked,
                    asked.open()[-20:],
                    chance.uniform(0, LONGEST_LIFE_SECONDS),
                )
            )
            assert daemon.process.wait() == -signal.SIGKILL
        opens += sum(
            count
            for state, count in states(home).items()
            if state in ("PLANNED", "IN_FLIGHT", "UNKNOWN")
        )
    assert opens > 0, "no kill met an open payment"
    with paying(home, network) as daemon:
        end = time.monotonic() + ANSWER_SECONDS
        while asked.open():
            assert time.monotonic() < end, f"nobody was told: {asked.open()}; seed {seed}"
            asyncio.run(ask_all(daemon, network, asked, asked.open()[:20], None))
        everything = [*asked.invoices, *asked.keysends]
        asyncio.run(ask_all(daemon, network, asked, everything[-20:], None))
        assert daemon.stop() == 0
    nothing_open(home)
    received = network.received()
    unpaid = sum(preimages == {UNPAID} for preimages in asked.told.values())
    print(
        f"{KILLS} kills, {opens} payments met open, {len(received)} paid, {unpaid} keysends not"
        " paid"
    )
    assert settled(home) == received and len(received) == 2 * KILLS - unpaid
    for name, preimages in asked.told.items():
        [preimage] = preimages
        assert preimage == UNPAID or received[hashlib.sha256(bytes.fromhex(preimage)).digest()] == (
            7_000 + asked.invoices.index(name) if name in asked.invoices else 3_000
        )
    with journal(home) as connection:
        rows = connection.execute(
            "SELECT payment_request FROM invoice_payments JOIN payments USING (row) WHERE"
            " state='SETTLED'"
        ).fetchall()
    assert sorted(row[0] for row in rows) == sorted(asked.invoices)
    tried("SIGKILLs in PayInvoice and Keysend", KILLS)


def test_an_invoice_on_the_command_line(tmp_path: Path, networks: Networks) -> None:
    network, home = two_nodes(networks, tmp_path / "network", 62), tmp_path / "home"
    theirs = invoice_of(networks, network)
    payment_hash = decode(theirs, "regtest").payment_hash
    with paying(home, network) as daemon:
        made = daemon.cli("invoice", "create", "50sat", "--memo", "tea")
        assert (made.code, made.err) == (0, "") and made.out.startswith("lnbcrt500n1")
        ours = made.out.strip()
        unpaid = daemon.cli("invoice", "check", ours)
        assert (unpaid.code, unpaid.out) == (4, "not paid\n")
        own = daemon.cli("invoice", "pay", ours)
        assert (own.code, own.err) == (
            1,
            "streamer: the invoice is our own node's: a node cannot pay itself\n",
        )
        paid = daemon.cli("invoice", "pay", theirs)
        assert (
            (paid.code, paid.err) == (0, "")
            and "SETTLED" in paid.out
            and "7 sat, fee 0 sat (limit 5 sat)" in paid.out
        )
        again = daemon.json("invoice", "pay", f"lightning:{theirs.upper()}")
        assert hashlib.sha256(bytes.fromhex(again["preimage"])).digest() == payment_hash
        assert (again["payment_request"], again["amount_msat"], again["state"]) == (
            theirs,
            7_000,
            "SETTLED",
        )
        shown = daemon.json("payment", "show", again["id"])
        assert (shown["payment_request"], shown["preimage"]) == (theirs, "")
        not_ours = daemon.cli("invoice", "check", theirs)
        assert not_ours.code == 1 and "this node did not make that invoice" in not_ours.err
        garbage = daemon.cli("invoice", "pay", "lnbcrt1bbb")
        assert garbage.code == 1 and garbage.err.startswith(
            "streamer: the invoice cannot be read: "
        )
        free = invoice_of(networks, network, 0)
        asked = daemon.cli("invoice", "pay", free)
        assert asked.code == 1 and "`streamer invoice pay INVOICE --amount 50sat`" in asked.err
        assert (
            daemon.cli("invoice", "pay", free, "--amount", "9sat", "--fee-limit", "1sat").code == 0
        )
        assert daemon.stop() == 0
    assert sum(network.received().values()) == 16_000
    assert settled(home) == network.received()
    network.fault(lambda faults: faults.take_down(network.payer.name))
    with house(home, *network.flags(), *QUICK) as daemon:
        assert daemon.json("invoice", "pay", theirs)["preimage"] == again["preimage"], (
            "the journal knows it while the node is away"
        )
        other = daemon.cli("invoice", "pay", invoice_of(networks, network))
        assert other.code == 1 and "nothing listens at" in other.err


def test_a_payment_that_is_held_is_still_open_and_goes_on(
    tmp_path: Path, networks: Networks
) -> None:
    network, home = two_nodes(networks, tmp_path / "network", 63), tmp_path / "home"
    theirs, receiver = invoice_of(networks, network), network.served.nodes[1].name
    network.fault(lambda faults: faults.hold(receiver))
    with paying(home, network) as daemon:
        waited = daemon.cli("invoice", "pay", theirs, "--wait", "1")
        assert (waited.code, waited.err) == (
            4,
            "still open: the same command again tells its end, and never pays twice\n",
        )
        assert "PENDING" in waited.out
        assert daemon.stop(signal.SIGKILL) == -signal.SIGKILL
    network.fault(lambda faults: faults.release(receiver))
    with paying(home, network) as daemon:
        until(lambda: network.count() == 1, "it arrives")
        assert daemon.json("invoice", "pay", theirs)["state"] == "SETTLED"
        assert daemon.stop() == 0
    assert settled(home) == network.received()
