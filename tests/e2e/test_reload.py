"""SIGHUP on a running daemon: what is good is used, what is wrong is not, and payments and watchers
go on.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from streamer.client import Client
from streamer.simulator.serve import Plan
from tests.e2e.house import House, data_of, house, settled, until
from tests.e2e.networks import Network, Networks


@pytest.fixture(scope="module")
def network(networks: Networks, tmp_path_factory: pytest.TempPathFactory) -> Network:
    return networks.start(tmp_path_factory.mktemp("reload"), Plan(nodes=2, channels=2))


def hang_up(daemon: House, words: str) -> None:
    """SIGHUP, and until the daemon has said that."""
    before = daemon.log().count(words)
    daemon.process.send_signal(signal.SIGHUP)
    until(lambda: daemon.log().count(words) > before, words)


def test_a_good_file_is_used_and_a_wrong_one_is_not(network: Network, tmp_path: Path) -> None:
    file = tmp_path / "streamer.toml"
    file.write_text("[streams]\nmax_streams = 1\n")
    with house(
        tmp_path, *network.flags(), "--config", str(file), "--streams.catch-up", "forever"
    ) as daemon:
        daemon.until_paying()
        grpc, http = daemon.grpc, daemon.http
        assert daemon.cli("stream", "open", network.receivers[0], "2sat/1s").code == 0
        assert daemon.cli("stream", "open", network.receivers[0], "2sat/1s").code == 1
        hang_up(daemon, "nothing changed")
        assert daemon.starts() == 1

        file.write_text("[streams]\nmax_streams = many\n")
        hang_up(daemon, "the new configuration is not used, the old one stays: ")
        assert "streamer.toml" in daemon.log() and daemon.metric("config_reload_success") == 0
        missing = tmp_path / "no-such-secret"
        file.write_text(f'[webhook]\nurl = "http://127.0.0.1:9/"\nsecret_file = "{missing}"\n')
        hang_up(daemon, f"the old one stays: {missing}: webhook.secret_file cannot be read")
        assert daemon.metric("config_reload_success") == 0 and daemon.starts() == 1, (
            "it goes on as it was, without a new start"
        )

        other = tmp_path / "elsewhere"
        file.write_text(
            f'data_dir = "{other}"\n[streams]\nmax_streams = 2\n[api]\nhttp_listen ='
            ' "127.0.0.1:1"\n'
        )
        watched = watch_over(
            daemon,
            lambda: hang_up(daemon, "data_dir stays as it is until streamer is started anew"),
        )
        until(lambda: daemon.starts() == 2, "the new one is begun with")
        assert (daemon.grpc, daemon.http) == (grpc, http) and not other.exists()
        daemon.until_paying()
        assert daemon.metric("config_reload_success") == 1
        assert daemon.cli("stream", "open", network.receivers[0], "2sat/1s").code == 0
        assert daemon.stop() == 0
    assert watched == list(range(watched[0], watched[0] + len(watched)))
    assert set(settled(tmp_path)) == set(network.received())


def test_a_file_that_was_taken_away_from_a_running_daemon_does_not_end_it(
    network: Network, tmp_path: Path
) -> None:
    file, secret = tmp_path / "streamer.toml", tmp_path / "webhook.secret"
    secret.write_text("s" * 32)
    text = (
        '[webhook]\nurl = "http://127.0.0.1:9/"\nsecret_file ='
        f' "{secret}"\n[streams]\nmax_streams = '
    )
    file.write_text(text + "1\n")
    with house(tmp_path, *network.flags(), "--config", str(file)) as daemon:
        daemon.until_paying()
        secret.unlink()
        file.write_text(text + "2\n")
        hang_up(daemon, f"the old one stays: {secret}: webhook.secret_file cannot be read")
        daemon.until_paying()
        assert daemon.starts() == 1 and daemon.metric("config_reload_success") == 0
        secret.write_text("s" * 32)
        hang_up(daemon, "beginning again with it")
        until(lambda: daemon.starts() == 2, "the new one is begun with")
        daemon.until_paying()
        assert daemon.stop() == 0


def watch_over(daemon: House, event: Callable[[], None]) -> list[int]:
    """The payments that a watcher sees while the daemon begins anew, from two before to two
    after.
    """
    seen: list[int] = []

    async def main() -> None:
        key = (data_of(daemon.home) / "admin.key").read_text().strip()
        async with asyncio.timeout(60), Client(daemon.grpc, key) as client:
            async for change in client.watch():
                if change.HasField("payment"):
                    seen.append(change.payment.seq)
                if len(seen) == 2:
                    await asyncio.to_thread(event)
                if len(seen) >= 4 and daemon.starts() == 2:
                    return

    asyncio.run(main())
    return seen
