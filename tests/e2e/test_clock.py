"""A machine without a clock of its own boots hours behind, and its clock is put right later: the
daemon goes on by itself.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from streamer.books.timekeeping import ClockState
from streamer.config import Config
from streamer.run import daemon as house
from streamer.run.daemon import Daemon, serve
from streamer.run.reload import Reload
from streamer.words.clock import BootClock
from streamer.words.money import SECOND_NS
from streamer.words.reasons import Halt
from streamer.words.settings import ApiSettings

HOURS_NS = 5 * 3600 * SECOND_NS
PATIENCE_SECONDS = 120.0
wrong_ns = 0
"""How far the wall clock is from the truth now."""


class WrongClock(BootClock):
    """The clock of the daemon on a machine whose wall clock is wrong_ns from the truth."""

    def __init__(self, mark_ns: int = 0) -> None:
        super().__init__(mark_ns)
        self._wall_ns = lambda: time.time_ns() + wrong_ns
        self.move(0 if mark_ns else wrong_ns)


def test_a_clock_that_is_put_right_lets_the_daemon_go_on_by_itself(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(house, "BootClock", WrongClock)
    config = Config(
        tmp_path / "data", simulator=True, api=ApiSettings("127.0.0.1:0", "127.0.0.1:0")
    )

    async def put_right(daemons: list[Daemon], stop: asyncio.Event) -> None:
        global wrong_ns
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not (
                daemons and "CLOCK" in daemons[0].service.sending.report().nodes[0].stopped_by
            ):
                await asyncio.sleep(0.02)
            [daemon] = daemons
            engine, sending = daemon.engines["simulator"], daemon.service.sending
            assert engine.timekeeping.state is ClockState.WRONG
            assert "3 hours behind" in sending.unready() and any(
                "3 hours behind" in text for text in sending.report().problems
            )
            wrong_ns = 0
            while not engine.paying:
                await asyncio.sleep(0.02)
            assert (engine.timekeeping.state, sending.unready()) == (ClockState.RIGHT, "")
            assert abs(daemon.clock.now_ns() - time.time_ns()) < SECOND_NS
            assert (
                abs(sending.report().start_time_ns - time.time_ns()) < PATIENCE_SECONDS * SECOND_NS
            )
            sending._nodes.shared.switch.stop(
                Halt.CLOCK, "behind an entry of a time when the clock was ahead"
            )
            sending._nodes.shared.switch.stop(Halt.OPERATOR, "stopped by a person")
            assert (await sending.start(b"")).stopped_by == ("CLOCK",)
            assert (await sending.start(b"")).stopped_by == ()
            assert len(daemons) == 1, "no new start was needed"
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
