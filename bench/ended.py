"""What streams that have ended cost a daemon: how long a start takes, and how much memory it has
then.

    python -m bench.ended [--streams 200000]

A journal as a streamer without an archive left it: so many streams that ended three days ago with a
payment each, and a hundred that live. The first start reads all of them and lets them go; the
second one does not read them. The daemon is a process of its own, its node a simulated one in this
one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from bench.pipeline import machine
from streamer.simulator.serve import Plan
from streamer.stores.folder import open_folder
from streamer.stores.sqlite import SqliteStore
from streamer.words.model import Facts, PaymentState, Stream, StreamState
from streamer.words.money import DAY_NS
from streamer.words.reasons import Reason
from tests.e2e.house import House, data_of, house, journal, until
from tests.e2e.networks import Networks
from tests.e2e.test_restart import payment_of, stream_of

ROOT = Path(__file__).parents[1]

CACHE = ROOT / ".cache" / "bench"
LIVE = 100
AT_ONCE = 5_000
PATIENCE_SECONDS = 900.0


def ended(key: int, destination: bytes, now_ns: int) -> Stream:
    stream = stream_of(key, destination, now_ns, DAY_NS)
    stream.state, stream.reason, stream.state_time_ns = (
        StreamState.CANCELLED,
        Reason.USER,
        now_ns - 3 * DAY_NS,
    )
    stream.terms = replace(stream.terms, labels=(("viewer", f"{key:08d}"),))
    return stream


async def write_journal(home: Path, destination: bytes, streams: int) -> None:
    data_of(home).parent.mkdir(parents=True)
    folder = open_folder(data_of(home), "lnd")
    store = SqliteStore(folder)
    store.load()
    now_ns = time.time_ns()
    for first in range(0, streams, AT_ONCE):
        facts = Facts(
            streams=[
                ended(key + 1, destination, now_ns)
                for key in range(first, min(first + AT_ONCE, streams))
            ]
        )
        for stream in facts.streams:
            payment = replace(
                payment_of(stream, stream.key, folder.secret, stream.state_time_ns),
                seq=1,
                state=PaymentState.SETTLED,
            )
            payment.end_ns, payment.settled_msat = payment.planned_ns, payment.amount_msat
            facts.intents.append(payment)
        await store.append(facts)
    await store.append(
        Facts(
            streams=[
                stream_of(streams + key + 1, destination, now_ns, 2 * DAY_NS) for key in range(LIVE)
            ]
        )
    )
    await store.close()


def rss_mib(daemon: House) -> int:
    status = Path(f"/proc/{daemon.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) // 1024


def left(home: Path) -> int:
    """Streams that the next start reads."""
    with journal(home) as connection:
        found: int = connection.execute("SELECT count(*) FROM streams").fetchone()[0]
    return found


def seconds(daemon: House, *arguments: str) -> float:
    began = time.monotonic()
    assert daemon.cli(*arguments).code == 0
    return round(time.monotonic() - began, 2)


def start(home: Path, flags: tuple[str, ...], streams: int, archives: bool) -> dict[str, object]:
    began = time.monotonic()
    with house(home, *flags) as daemon:
        found: dict[str, object] = {"seconds_to_doors": round(time.monotonic() - began, 2)}
        daemon.until_paying(PATIENCE_SECONDS)
        found |= {
            "seconds_to_paying": round(time.monotonic() - began, 2),
            "rss_mib": rss_mib(daemon),
        }
        if archives:
            began = time.monotonic()
            until(lambda: left(home) <= LIVE, "all that ended are archived", PATIENCE_SECONDS)
            found |= {
                "seconds_to_archive_all": round(time.monotonic() - began, 1),
                "rss_mib_then": rss_mib(daemon),
            }
        oldest = f"st_{1:032x}"
        found["cli_seconds"] = {
            "status": seconds(daemon, "status"),
            "show": seconds(daemon, "stream", "show", oldest),
            "list": seconds(daemon, "stream", "list", "--limit", "1000"),
            "list_by_label": seconds(
                daemon, "stream", "list", "--filter", f"labels.viewer={streams // 2:08d}"
            ),
        }
        assert daemon.stop() == 0
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=200_000)
    parser.add_argument(
        "--without-archive",
        action="store_true",
        help="a streamer that has none: nothing is waited for",
    )
    asked = parser.parse_args()
    CACHE.mkdir(parents=True, exist_ok=True)
    with Networks() as networks, tempfile.TemporaryDirectory(dir=CACHE) as folder:
        network = networks.start(Path(folder) / "network", Plan(nodes=2, channels=2))
        home = Path(folder) / "home"
        home.mkdir()
        asyncio.run(write_journal(home, bytes.fromhex(network.receivers[0]), asked.streams))
        result = {"streams": asked.streams, "machine": machine()}
        for name in ("first_start", "second_start"):
            archives = name == "first_start" and not asked.without_archive
            result[name] = start(home, network.flags(), asked.streams, archives)
            print(json.dumps({name: result[name]}), flush=True)
    if not asked.without_archive:
        (ROOT / "bench" / "results" / "ended.json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
