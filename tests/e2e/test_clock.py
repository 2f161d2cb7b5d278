"""A machine without a clock of its own boots hours behind, and its clock is put right later: the daemon goes on by itself."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from streamer import daemon as house
from streamer.clock import BootClock
from streamer.config import Config
from streamer.daemon import Daemon, serve
from streamer.money import SECOND_NS
from streamer.reasons import Halt
from streamer.reload import Reload
from streamer.settings import ApiSettings

HOURS_NS = 5 * 3600 * SECOND_NS
PATIENCE_SECONDS = 120.0
wrong_ns = 0
"""How far the wall clock is from the truth, at each daemon's start and now."""


class WrongClock(BootClock):
    """The clock of the daemon on a machine whose wall clock is wrong_ns from the truth."""

    def __init__(self) -> None:
        super().__init__()
        self._offset_ns += wrong_ns

    def wall_ns(self) -> int:
        return super().wall_ns() + wrong_ns


def test_a_clock_that_is_put_right_lets_the_daemon_go_on_by_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(house, "BootClock", WrongClock)
    config = Config(tmp_path / "data", simulator=True, api=ApiSettings("127.0.0.1:0", "127.0.0.1:0"))

    async def put_right(daemons: list[Daemon], stop: asyncio.Event) -> None:
        global wrong_ns
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not (daemons and "CLOCK" in daemons[0].service.sending.report().nodes[0].stopped_by):
                await asyncio.sleep(0.02)
            assert not house._clock_checked(daemons[0].engines)
            wrong_ns = 0
            while not (len(daemons) == 2 and daemons[1].engines["simulator"].paying):
                await asyncio.sleep(0.02)
            assert house._clock_checked(daemons[1].engines)
            sending = daemons[1].service.sending
            sending._around.shared.switch.stop(Halt.CLOCK, "behind an entry of a time when the clock was ahead")
            sending._around.shared.switch.stop(Halt.OPERATOR, "stopped by a person")
            assert (await sending.start(b"")).stopped_by == ("CLOCK",)
            assert (await sending.start(b"")).stopped_by == ()
        stop.set()

    async def main() -> None:
        global wrong_ns
        wrong_ns = -HOURS_NS
        stop: asyncio.Event = asyncio.Event()
        daemons: list[Daemon] = []
        person = asyncio.ensure_future(put_right(daemons, stop))
        person.add_done_callback(lambda _: stop.set())
        await serve(config, stop, daemons.append, Reload(lambda: config))
        await person

    asyncio.run(main())
