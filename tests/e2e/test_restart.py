"""A daemon with many streams and open payments starts while its node is away: how soon it pays when
the node is back.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import pytest

from streamer.core import lifecycle
from streamer.core.keysend import derive_preimage, payment_hash
from streamer.service.orders import StreamOrder
from streamer.service.terms import terms_of
from streamer.simulator.network.books import KEYSEND_RECORD, Order
from streamer.simulator.network.lightning_node import NOBODY
from streamer.simulator.serve import Plan
from streamer.stores.folder import open_folder
from streamer.stores.sqlite import SqliteStore
from streamer.words.model import Facts, Payment, Stream, StreamState
from streamer.words.money import DAY_NS, MILLISECOND_NS, SECOND_NS
from streamer.words.settings import NodeSettings, StreamSettings
from tests.e2e.house import data_of, house, until
from tests.e2e.networks import Network, Networks
from tests.e2e.test_kill import nothing_open

STREAMS, OPEN = 5_000, 1_000
PROMISED_SECONDS = 5.0
"""From the node being reachable to the first new payment, with 100,000 streams: bench/restart.py
measures that.
"""
SLACK = 3.0
"""This machine may be busy with other things."""
DAILY_MSAT = 864_000
AT_ONCE = 5_000


def stream_of(key: int, destination: bytes, now_ns: int, bought_until_ns: int) -> Stream:
    """Ten msat a second, paid once a day since yesterday, up to bought_until_ns of its stream
    time.
    """
    order = StreamOrder(
        destination=destination, amount_msat=DAILY_MSAT, interval_ns=DAY_NS, catch_up_forever=True
    )
    terms = replace(
        terms_of(order, now_ns, StreamSettings(), NodeSettings().name, None),
        start_time_ns=now_ns - DAY_NS,
    )
    stream = lifecycle.new_stream(f"st_{key:032x}", key, terms, now_ns - DAY_NS)
    stream.state, stream.state_time_ns = StreamState.ACTIVE, now_ns
    account = stream.account
    account.seq = account.settled_count = 1
    account.bought_until_ns = bought_until_ns
    account.settled_msat = bought_until_ns * DAILY_MSAT // DAY_NS
    return stream


def payment_of(stream: Stream, row: int, secret: bytes, now_ns: int) -> Payment:
    """The open one of today: it buys the second day."""
    digest = payment_hash(derive_preimage(secret, stream.id, 2))
    bought = stream.account.bought_until_ns + DAY_NS
    return Payment(
        row=row,
        owner=stream.id,
        stream_key=stream.key,
        seq=2,
        node=stream.terms.node,
        destination=stream.terms.destination,
        payment_hash=digest,
        amount_msat=DAILY_MSAT,
        fee_limit_msat=8_640,
        cltv_limit=288,
        timeout_seconds=30,
        records=b"",
        due_ns=now_ns,
        planned_ns=now_ns,
        bought_until_ns=bought,
    )


async def write_journal(
    home: Path, receivers: list[bytes], streams: int, open_payments: int
) -> tuple[bytes, list[Payment]]:
    """A data folder with so many streams, of which the first have an open payment each."""
    data_of(home).parent.mkdir(parents=True)
    folder = open_folder(data_of(home), "lnd")
    store = SqliteStore(folder)
    store.load()
    now_ns = time.time_ns()
    made: list[Payment] = []
    for first in range(0, streams, AT_ONCE):
        facts = Facts()
        for number in range(first, first + AT_ONCE):
            # the others fall due one after the other, a day long
            bought = (
                DAY_NS
                if number < open_payments
                else DAY_NS + (number - open_payments) * DAY_NS // streams // SECOND_NS * SECOND_NS
            )
            stream = stream_of(number + 1, receivers[number % len(receivers)], now_ns, bought)
            facts.streams.append(stream)
            if number < open_payments:
                facts.intents.append(payment_of(stream, number + 1, folder.secret, now_ns))
        made += facts.intents
        await store.append(facts)
    secret = folder.secret
    await store.close()
    return secret, made


def execute(network: Network, payments: list[Payment], secret: bytes) -> None:
    """The node has carried them all out, and nobody was there to see it."""
    payer = network.served.node("alice")
    for payment in payments:
        preimage = derive_preimage(secret, payment.owner, payment.seq)
        order = Order(
            payment.destination,
            payment.payment_hash,
            payment.amount_msat,
            payment.fee_limit_msat,
            records={KEYSEND_RECORD: preimage},
        )
        network.served.network.submit(payer, order, NOBODY)


def seconds_to_first_payment(
    networks: Networks, folder: Path, streams: int, open_payments: int
) -> float:
    """From the node being reachable."""
    network = networks.start(
        folder / "network",
        Plan(nodes=5, channels=2, seed=80, latency_ns=(MILLISECOND_NS, 20 * MILLISECOND_NS)),
    )
    home = folder / "home"
    home.mkdir()
    secret, payments = asyncio.run(
        write_journal(
            home, [bytes.fromhex(key) for key in network.receivers], streams, open_payments
        )
    )
    networks.do(lambda: execute(network, payments, secret))
    until(lambda: network.count() == open_payments, "all are carried out")
    network.fault(lambda faults: faults.take_down("alice"))
    with house(home, *network.flags()) as daemon:
        until(
            lambda: daemon.unready() and daemon.metric("payments_open") == open_payments,
            "the journal is replayed",
        )
        network.fault(lambda faults: faults.bring_up("alice"))
        began = time.monotonic()
        until(lambda: network.count() > open_payments, "a new payment has arrived")
        seconds = time.monotonic() - began
        until(lambda: not daemon.unready(), "all is well")
        assert daemon.stop() == 0
    nothing_open(home)
    assert len(network.received()) == network.count()
    return seconds


@pytest.mark.timeout(300)
def test_the_first_new_payment_comes_soon_after_the_node_is_back(
    tmp_path: Path, networks: Networks
) -> None:
    seconds = seconds_to_first_payment(networks, tmp_path, STREAMS, OPEN)
    assert seconds < SLACK * PROMISED_SECONDS, f"{seconds:.1f} s"
