"""A simulated network for tests in Python: it runs in a thread of its own, beside the code under
test.

with running(Plan(nodes=2)) as network:
    payer, receiver = network.nodes
    my_client = connect(payer.rpcserver, payer.tlscertpath, payer.macaroonpath)
    network.strike(receiver.name, "hold")

Code that already lives on an asyncio loop uses serve.start_network instead.
"""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from streamer.simulator.network.books import ReceivedHtlc
from streamer.simulator.serve import Plan, ServedNetwork, ServedNode, start_network

T = TypeVar("T")

CALL_SECONDS = 30
"""How long one call into the network's thread may take."""

__all__ = ["Plan", "RunningNetwork", "running"]


class RunningNetwork:
    """A network that another thread drives."""

    def __init__(self, served: ServedNetwork, loop: asyncio.AbstractEventLoop) -> None:
        self.nodes: list[ServedNode] = served.nodes
        self._served = served
        self._loop = loop

    def strike(self, node: str, fault: str, **values: object) -> None:
        """Let a fault happen (control.FAULTS says which there are). Raises ValueError in words."""
        self.do(lambda served: served.control.strike(node, fault, values))

    def received(self, node: str) -> list[ReceivedHtlc]:
        """What the node was really paid: every settled HTLC, in order."""
        return self.do(lambda served: list(served.node(node).received))

    def do(self, action: Callable[[ServedNetwork], T]) -> T:
        """Call action with the network, in its thread; for everything that the methods above leave
        out.
        """

        async def call() -> T:
            self._served.simulation.sync()
            return action(self._served)

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(CALL_SECONDS)


@contextmanager
def running(plan: Plan | None = None, folder: Path | None = None) -> Iterator[RunningNetwork]:
    """Run a network until the block ends; its certificates and macaroons go to folder, or to a
    temporary one.

    Raises what start_network raises: Unavailable, OSError, ValueError.
    """
    with tempfile.TemporaryDirectory(prefix="streamer-simulator-") as temporary:
        ready: Future[RunningNetwork] = Future()
        stop: list[Callable[[], Any]] = []

        async def live() -> None:
            ended = asyncio.Event()
            loop = asyncio.get_running_loop()
            stop.append(lambda: loop.call_soon_threadsafe(ended.set))
            async with start_network(folder or Path(temporary), plan) as served:
                ready.set_result(RunningNetwork(served, loop))
                await ended.wait()

        def work() -> None:
            try:
                asyncio.run(live())
            except Exception as error:  # the caller hears of it, whatever it is
                if ready.done():
                    raise
                ready.set_exception(error)

        thread = threading.Thread(target=work, name="simulated network", daemon=True)
        thread.start()
        network = ready.result()
        try:
            yield network
        finally:
            stop[0]()
            thread.join()
