"""Streams that ended days ago: a real daemon lets them go, starts without them, and shows and lists
them as before.
"""

from __future__ import annotations

import asyncio
import json
import urllib.request
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from streamer.books.archive import LOOK_SECONDS
from streamer.simulator.serve import Plan
from streamer.stores.folder import open_folder
from streamer.stores.sqlite import SqliteStore
from streamer.words.model import Facts
from streamer.words.money import DAY_NS
from tests.e2e.house import PATIENCE_SECONDS, House, data_of, house, journal, until
from tests.e2e.networks import Network, Networks

AGO_NS = 3 * DAY_NS
LIMIT = "1000"


@pytest.fixture(scope="module")
def network(networks: Networks, tmp_path_factory: pytest.TempPathFactory) -> Network:
    return networks.start(tmp_path_factory.mktemp("ended"), Plan(nodes=2, channels=2))


def create(daemon: House, network: Network, request_id: str, group: str) -> str:
    flags = ("5sat/1s", "--group", group, "--request-id", request_id)
    done = daemon.cli("stream", "open", network.receivers[0], *flags)
    assert done.code == 0, done
    return done.out.split()[0]


def is_paid(daemon: House, stream: str) -> bool:
    return int(daemon.json("stream", "show", stream)["paid_msat"]) > 0


async def put_back(home: Path) -> None:
    """As if the streams had ended days ago."""
    store = SqliteStore(open_folder(data_of(home), "lnd"))
    streams = store.load().streams
    for stream in streams:
        stream.state_time_ns -= AGO_NS
    await store.append(Facts(streams=streams))
    await store.close()


def over_http(daemon: House, path: str) -> Any:
    key = (data_of(daemon.home) / "admin.key").read_text().strip()
    with urllib.request.urlopen(
        urllib.request.Request(f"http://{daemon.http}{path}", headers={"X-API-KEY": key}),
        timeout=30,
    ) as reply:
        return json.loads(reply.read())


def seen(daemon: House, streams: list[str]) -> list[Any]:
    """What a user finds, on every way to it."""
    shown = [daemon.json("stream", "show", stream) for stream in streams]
    shown += [over_http(daemon, f"/v1/streams/{stream}") for stream in streams]
    shown.append(
        [stream["id"] for stream in daemon.json("stream", "list", "--limit", LIMIT)["streams"]]
    )
    shown.append(
        [
            stream["id"]
            for stream in daemon.json("stream", "list", "--filter", "group=a state=CANCELLED")[
                "streams"
            ]
        ]
    )
    shown.append(
        [stream["id"] for stream in over_http(daemon, "/v1/streams?page_size=2")["streams"]]
    )
    shown += [daemon.json("payment", "list", "--stream", stream) for stream in streams]
    for report in shown:
        if isinstance(report, dict):
            report.pop("explanation", None)  # "cancelled 72h ago": it tells the time
            report.pop("forecast", None)
    return shown


def refusal(daemon: House, *arguments: str) -> str:
    done = daemon.cli(*arguments)
    assert done.code != 0, done
    return done.err


@pytest.mark.timeout(180 + LOOK_SECONDS)
def test_they_leave_memory_and_nobody_sees_the_difference(network: Network, tmp_path: Path) -> None:
    with house(tmp_path, *network.flags()) as daemon:
        daemon.until_paying()
        streams = [create(daemon, network, f"r{number}", "ab"[number % 2]) for number in range(4)]
        for stream in streams:
            until(partial(is_paid, daemon, stream), "it was paid")
            assert daemon.cli("stream", "cancel", stream).code == 0
        assert daemon.stop() == 0
    asyncio.run(put_back(tmp_path))
    # its node cannot be reached, so nothing leaves
    with house(tmp_path, *network.flags(rpcserver="127.0.0.1:1")) as daemon:
        before = seen(daemon, streams)
        assert daemon.stop() == 0
    with house(tmp_path, *network.flags()) as daemon:
        # a first look that comes before the node has found the clock right lets nothing go
        until(
            lambda: in_archive(tmp_path) == len(streams),
            "they are archived",
            LOOK_SECONDS + PATIENCE_SECONDS,
        )
        assert seen(daemon, streams) == before
        assert daemon.stop() == 0
    with house(tmp_path, *network.flags()) as daemon:
        daemon.until_paying()
        assert seen(daemon, streams) == before
        assert create(daemon, network, "r2", "a") == streams[2], "the request_id is known"
        assert "used for" in refusal(
            daemon, "stream", "open", network.receivers[0], "6sat/1s", "--request-id", "r2"
        )
        assert (
            f"{streams[0]} has ended (CANCELLED, USER) and cannot be paused; open a new stream"
            in refusal(daemon, "stream", "pause", streams[0])
        )
        assert daemon.cli("stream", "cancel", streams[0]).code == 0
        new = create(daemon, network, "r9", "a")
        assert [stream["id"] for stream in daemon.json("stream", "list")["streams"]] == [
            new,
            *reversed(streams),
        ]
        assert daemon.metric("streams") == 1, "those in memory are counted"
        assert daemon.stop() == 0


def in_archive(home: Path) -> int:
    with journal(home) as connection:
        found: int = connection.execute("SELECT count(*) FROM archive").fetchone()[0]
    return found
