"""The daemon that is called with nonsense: a process of its own that pays on simulated nodes,
watched from outside.
"""

from __future__ import annotations

import os
import random
import re
import socket
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from streamer.simulator.serve import Plan
from tests.e2e.house import House, house, until
from tests.e2e.networks import Networks
from tests.e2e.test_invoices import invoice_of

SECONDS = 300 if os.environ.get("STREAMER_PROVE") else 8
"""How long each door is fuzzed; `make prove` sets STREAMER_PROVE."""
TEST_SECONDS = SECONDS + 240
CONNECTIONS = 300
MOST_STREAMS = "1000000"
MOST_GROWTH_BYTES = 96 * 1024 * 1024
"""What chance opened is remembered; beyond that nothing may grow. The daemon starts with about 75
MB.
"""


@dataclass
class Victim:
    """What a fuzzer needs to know."""

    house: House
    key: str
    destination: str
    stream: str
    invoices: list[str]

    def memory_bytes(self) -> int:
        """Resident memory."""
        text = Path(f"/proc/{self.house.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", text)
        assert found, text
        return int(found[1]) * 1024

    def known(self) -> list[str]:
        """Texts that mean something to it."""
        return [self.destination, self.stream, f"{self.stream}.1", "main", *self.invoices]


@contextmanager
def victim(folder: Path) -> Iterator[Victim]:
    """A daemon that streams; when the block ends it must still, have logged no surprise, and not
    have grown.
    """
    with Networks() as networks:
        network = networks.start(folder / "network", Plan(nodes=3, channels=4))
        with house(
            folder / "home", *network.flags(), "--api.requests-per-second", "100000"
        ) as served:
            served.until_paying()
            destination = network.receivers[0]
            opened = served.json("stream", "open", destination, "1sat/1s")
            invoices = [
                invoice_of(networks, network, 1_000 * number) for number in (0, 7, 7_000_000)
            ]
            made = Victim(
                served,
                (served.data / "admin.key").read_text().strip(),
                destination,
                opened["id"],
                invoices,
            )
            before = made.memory_bytes()
            yield made
            _still_streams(made)
            grown = made.memory_bytes() - before
            print(f"memory: {before:,} bytes, grew by {grown:,}")
            assert grown < MOST_GROWTH_BYTES
            for words in ("Traceback", "unexpected", "never retrieved", '"level": "error"'):
                assert words not in served.log(), served.log()[-5_000:]


def _still_streams(made: Victim) -> None:
    """A stream that is opened now is paid; nonsense may have stopped sending, or opened a stream
    that uses up the spend limit with each of its payments: what chance opened is cancelled.
    """
    made.house.cli("sending", "stop")
    for stream in made.house.json("stream", "list", "--limit", MOST_STREAMS)["streams"]:
        if stream["state"] not in ("COMPLETED", "CANCELLED"):
            call = urllib.request.Request(
                f"http://{made.house.http}/v1/streams/{stream['id']}:cancel",
                data=b"{}",
                headers={"X-API-KEY": made.key},
            )
            with urllib.request.urlopen(call, timeout=10) as reply:
                assert reply.status == HTTPStatus.OK
    made.house.cli("sending", "start")
    opened = made.house.json("stream", "open", made.destination, "1sat/1s")
    try:
        until(
            lambda: int(made.house.json("stream", "show", opened["id"])["paid_msat"]) >= 2_000,
            "a new stream is paid",
        )
    except AssertionError:
        # what kept it: nobody could tell afterwards which of the calls did
        print(made.house.cli("status").out, made.house.json("stream", "show", opened["id"]))
        raise


def throw(address: str, starts: Sequence[bytes], rng: random.Random) -> None:
    """Bytes that are no protocol, over many connections that stay open until the end."""
    host, _, port = address.rpartition(":")
    left = []
    for _ in range(CONNECTIONS):
        with suppress(ConnectionError):
            left.append(socket.create_connection((host, int(port)), timeout=10))
            left[-1].sendall(rng.choice(starts) + rng.randbytes(rng.choice((0, 1, 9, 100, 10_000))))
    for one in left:
        one.close()


def seeded() -> random.Random:
    """Chance, whose seed is printed if the test fails."""
    seed = int(os.environ.get("STREAMER_SEED", "0")) or random.SystemRandom().randrange(10**9)
    print(f"STREAMER_SEED={seed}")
    return random.Random(seed)
