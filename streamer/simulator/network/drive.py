"""Drives a network model on the running event loop: real time or virtual, the same code.

The model says when its next event is; a single timer of the loop waits for it. `sync` brings the
model to the present before anybody asks or changes something.
"""

from __future__ import annotations

import asyncio
from typing import Self

from streamer.ports import Clock
from streamer.simulator.network.faults import Faults
from streamer.simulator.network.network import Network
from streamer.words.money import SECOND_NS


class Simulation:
    """A network that lives on the loop it was made on; use it as a context manager, or call
    stop.
    """

    def __init__(self, network: Network, clock: Clock) -> None:
        self.network = network
        self.faults = Faults(network, self.sync)
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ns: int | None = None
        self._advancing = False
        network.wake = self._arm
        self.sync()

    def sync(self) -> None:
        """Run everything that is due by now."""
        if self._advancing:
            return
        self._advancing = True
        try:
            self.network.advance(self._clock.now_ns())
        finally:
            self._advancing = False
        self._arm()

    def stop(self) -> None:
        """Let the network stand still; its state can be saved."""
        self.network.wake = None
        self._disarm()

    def _arm(self) -> None:
        next_ns = self.network.next_event_ns()
        if self._advancing or next_ns == self._timer_ns:
            return
        self._disarm()
        if next_ns is not None:
            self._timer_ns = next_ns
            delay_ns = max(0, next_ns - self._clock.now_ns())
            self._timer = self._loop.call_later(delay_ns / SECOND_NS, self._due)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._timer_ns = None

    def _due(self) -> None:
        self._timer = self._timer_ns = None
        self.sync()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
