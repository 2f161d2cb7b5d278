"""Leaves a ghost behind: a killed daemon's call that waits in the proxy."""

from __future__ import annotations

import signal

from tests.e2e.house import House, until
from tests.e2e.proxy import Fate, Way
from tests.lnd.books import Row, rows
from tests.lnd.town import Town

AMOUNT_MSAT, INTERVAL_MS = 1_000, 1_000


def leave_a_ghost(town: Town, *options: str) -> Row:
    """A killed daemon's call lies in the proxy; the payment that it is for."""
    with town.daemon(*options) as daemon:
        daemon.until_paying()
        town.open_streams(daemon, 1, AMOUNT_MSAT, INTERVAL_MS, town.receivers[0])
        town.until_arrived(2)
        town.trap(Way.UP, 0, Fate.KEEP)
        until(lambda: town.keeps_call(daemon), "the call is on its way")
        kill(daemon)
    [ghost] = [row for row in rows(town.home) if row.open]
    return ghost


def kill(daemon: House) -> None:
    daemon.process.send_signal(signal.SIGKILL)
    assert daemon.process.wait() == -signal.SIGKILL
