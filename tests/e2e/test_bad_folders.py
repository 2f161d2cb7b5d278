"""A data folder that cannot be used as it is: the daemon says why, ends, pays nothing, and leaves
it as it was.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from streamer.simulator.serve import Plan
from tests.e2e.house import (
    DOORS,
    OBEDIENT,
    STREAMER,
    copy_home,
    data_of,
    environment,
    house,
    journal,
    refused,
    said,
    settled,
    states,
    until,
)
from tests.e2e.networks import Network, Networks

SECOND_NS = 10**9
HOUR_SECONDS = 3600


@dataclass
class Past:
    """The home of a daemon that has paid and ended, and the network it paid on."""

    home: Path
    network: Network
    stream: str


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory, networks: Networks) -> Iterator[Past]:
    folder = tmp_path_factory.mktemp("past")
    network = networks.start(folder / "network", Plan(seed=30, channels=1))
    with house(folder / "home", *network.flags()) as daemon:
        daemon.until_paying()
        done = daemon.cli("stream", "open", network.receivers[0], "10sat/1s")
        until(lambda: network.count() >= 2, "two payments arrive")
        assert daemon.stop() == 0
        stream = done.out.strip()
    assert states(daemon.home) == {"SETTLED": network.count()}
    yield Past(daemon.home, network, stream)
    # all the daemons that were refused have paid nothing
    assert network.received() == settled(daemon.home)


@pytest.fixture
def home(past: Past, tmp_path: Path) -> Path:
    return copy_home(past.home, tmp_path / "home")


def content(home: Path) -> dict[str, bytes]:
    return {
        file.name: file.read_bytes()
        for file in data_of(home).iterdir()
        if file.name != "lock" and not file.name.startswith("journal.db-")
    }


def execute(*statements: str) -> Callable[[Path], None]:
    def tamper(home: Path) -> None:
        with journal(home) as connection:
            for statement in statements:
                connection.execute(statement)

    return tamper


def cut(home: Path) -> None:
    file = data_of(home) / "journal.db"
    os.truncate(file, file.stat().st_size // 2)


def turn_a_page(home: Path) -> None:
    """Rubbish in place of the page that holds the accounts."""
    with journal(home) as connection:
        page = connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'accounts'"
        ).fetchone()[0]
        size = connection.execute("PRAGMA page_size").fetchone()[0]
    with (data_of(home) / "journal.db").open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xa5" * size)


def write(name: str, value: bytes) -> Callable[[Path], None]:
    return lambda home: void((data_of(home) / name).write_bytes(value))


def void(_: object) -> None:
    return None


DAMAGED = "the journal {journal} is damaged: "
REMEDY = (
    "Nothing is paid. Move the folder aside, keep it, and put the last whole copy of it in its"
    " place"
)
CASES: dict[str, tuple[Callable[[Path], None], tuple[str, ...]]] = {
    "newer": (
        execute("PRAGMA user_version=99"),
        (
            "the journal {journal} has version 99, and this streamer knows versions up to",
            "upgrade streamer, or put back the copy of the whole folder",
        ),
    ),
    "another program": (
        execute("PRAGMA application_id=7"),
        ("{journal} is a database of another program: set data_dir to streamer's own",),
    ),
    "no secret": (
        lambda home: (data_of(home) / "secret").unlink(),
        (
            (
                "{data}/secret is missing, and journal.db beside it was written with one: put back"
                " the one of a copy of this folder."
            ),
        ),
    ),
    "another secret": (
        write("secret", b"x" * 32),
        (
            "{data}/secret is not the secret this journal was written with (fingerprint ",
            "put back the `secret` that was beside it",
        ),
    ),
    "half a secret": (
        write("secret", b"x" * 16),
        ("{data}/secret has 16 bytes instead of 32: put back the one of a copy of this folder",),
    ),
    "torn": (cut, (DAMAGED, REMEDY)),
    "a page of rubbish": (turn_a_page, (DAMAGED, REMEDY)),
    "no database": (
        write("journal.db", b"not a database" * 1000),
        (DAMAGED, "file is not a database", REMEDY),
    ),
    "a stream richer": (
        execute("UPDATE streams SET document = replace(document, '10000', '10001')"),
        (DAMAGED, "stream", REMEDY),
    ),
    "a stream gone": (execute("DELETE FROM streams"), (DAMAGED, REMEDY)),
    "an account gone": (execute("DELETE FROM accounts"), (DAMAGED, REMEDY)),
}


@pytest.mark.parametrize("case", CASES)
def test_a_folder_that_is_not_whole_is_refused_and_stays_as_it_is(
    past: Past, home: Path, case: str
) -> None:
    spoil, says = CASES[case]
    spoil(home)
    before = content(home)
    text = refused(home, *past.network.flags())
    for words in says:
        assert words.format(data=data_of(home), journal=data_of(home) / "journal.db") in text, text
    assert content(home) == before


def test_data_of_a_node_and_of_the_simulator_do_not_mix(
    past: Past, home: Path, tmp_path: Path
) -> None:
    text = refused(home, "--simulator", "true")
    assert (
        f"{data_of(home)} was written with a real node (lnd), and cannot be used with the"
        " simulator: set another data_dir" in text
    )
    played = tmp_path / "played"
    with house(played, "--simulator", "true") as daemon:
        assert daemon.stop() == 0
    text = refused(played, *past.network.flags())
    assert (
        f"{data_of(played)} was written with the simulator, and cannot be used with a real node"
        " (lnd): set another data_dir" in text
    )


def test_a_second_daemon_is_told_of_the_first(past: Past, tmp_path: Path) -> None:
    with house(tmp_path, *past.network.flags()) as first:
        first.until_paying()
        text = refused(tmp_path, *past.network.flags())
        assert (
            f"another streamer (pid {first.process.pid}) uses {first.data}: stop it, or give this"
            " one its own data_dir" in text
        )
        assert first.cli("status").code == 0


def test_a_folder_that_cannot_be_written_is_refused(past: Past, home: Path) -> None:
    data = data_of(home)
    before = content(home)
    modes = {path: path.stat().st_mode for path in (data, *data.iterdir())}
    for path in modes:
        path.chmod(0o500 if path.is_dir() else 0o400)
    try:
        command = [
            sys.executable,
            "-c",
            OBEDIENT,
            *STREAMER,
            "serve",
            *DOORS,
            *past.network.flags(),
        ]
        done = subprocess.run(
            command, env=environment(home), capture_output=True, text=True, timeout=60, check=False
        )
    finally:
        for path, mode in modes.items():
            path.chmod(mode)
    assert said(done.returncode, done.stdout, done.stderr).code == 1
    assert (
        done.stderr
        == f"streamer: the data folder {data} cannot be written (Permission denied): make it"
        " writable for this user, or change data_dir\n"
    )
    assert content(home) == before


def test_a_folder_in_a_place_that_is_not_there(past: Past, tmp_path: Path) -> None:
    text = refused(tmp_path, *past.network.flags(), "--data-dir", str(tmp_path / "none" / "data"))
    assert (
        f"the data folder {tmp_path / 'none' / 'data'} cannot be made, because {tmp_path / 'none'}"
        " does not exist" in text
    )


def test_a_clock_behind_the_journal_stops_sending_until_it_is_right(past: Past, home: Path) -> None:
    ahead_ns = time.time_ns() + HOUR_SECONDS * SECOND_NS
    execute(f"UPDATE settings SET value = '{ahead_ns}' WHERE name = 'mark'")(home)
    before = past.network.count()
    with house(home, *past.network.flags()) as daemon:
        text = daemon.until_unready("CLOCK")
        assert "s behind the journal's last entry: put the clock right, sending then starts" in text
        assert any(
            "sending is stopped (CLOCK): the clock is 35" in line
            or "(CLOCK): the clock is 36" in line
            for line in daemon.messages()
        )
        until(lambda: daemon.metric("node_up"), "the node is connected")
        status = daemon.status()
        assert "stopped: CLOCK" in status
        assert (
            "put the clock right, sending then starts"
            in daemon.cli("stream", "show", past.stream).out
        )
        refusal = daemon.cli("keysend", past.network.receivers[0], "5sat")
        assert (
            refusal.code,
            "until the clock is known to be right: the clock is" in refusal.err,
        ) == (1, True), refusal
        assert daemon.cli("sending", "stop").code == 0
        assert daemon.cli("sending", "start").code == 4, (
            "who lifts something else says nothing of the clock"
        )
        assert daemon.stop() == 0
    assert past.network.count() == before


def test_another_node_is_accepted_only_by_name(
    past: Past, home: Path, tmp_path: Path, networks: Networks
) -> None:
    other = networks.start(tmp_path / "other", Plan(seed=31, channels=1))
    known, new = past.network.payer.pubkey, other.payer.pubkey
    with house(home, *other.flags()) as daemon:
        text = daemon.until_unready("the node is")
        says = (
            f"the node is {new}, but this data folder has paid with {known}: point node.rpcserver"
            f" back, or `streamer sending start --accept-node {new}` once nothing is open"
        )
        assert says in text
        assert says in daemon.status()
        assert f"waits for its node main: {says}" in daemon.cli("stream", "show", past.stream).out
        wrong = daemon.cli("sending", "start", "--accept-node", known)
        assert (wrong.code, "accept_node is not the key of the changed node: " in wrong.err) == (
            1,
            True,
        )
        bad = daemon.cli("sending", "start", "--accept-node", "abcd")
        assert bad.code == 1 and bad.err.startswith("streamer: ")
        assert other.sent() == 0
        accepted = daemon.cli("sending", "start", "--accept-node", new)
        assert accepted.code in (0, 4), accepted
        daemon.until_paying()
        assert daemon.cli("status").code == 0
        assert daemon.stop() == 0
    with house(home, *other.flags()) as again:
        again.until_paying()
        assert again.stop() == 0
