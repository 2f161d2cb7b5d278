"""Simulated lnd nodes in a thread of the test's process, so that a test may break them while they
serve.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from streamer.simulator.network.books import Status
from streamer.simulator.network.faults import Faults
from streamer.simulator.serve import Plan, ServedNetwork, ServedNode, start_network

T = TypeVar("T")
START_SECONDS = 30.0


class Networks:
    """The thread and its loop; `start` as many networks as a test needs."""

    def __enter__(self) -> Self:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="networks")
        self._thread.start()
        self._stack = AsyncExitStack()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self.wait(self._stack.aclose())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def start(self, folder: Path, plan: Plan) -> Network:
        return Network(self, self.enter(start_network(folder, plan)))

    def enter(self, what: AbstractAsyncContextManager[T]) -> T:
        """Something more that lives in this thread until all of it ends."""
        return self.wait(self._stack.enter_async_context(what))

    def do(self, work: Callable[[], T]) -> T:
        """Do it in the thread of the networks."""

        async def main() -> T:
            return work()

        return self.wait(main())

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Do it in the thread of the networks, and wait for its end."""
        return self._wait(asyncio.run_coroutine_threadsafe(work, self.loop))

    @staticmethod
    def _wait(future: Future[T]) -> T:
        return future.result(START_SECONDS)


class Network:
    """One network: alice pays, the others receive."""

    def __init__(self, networks: Networks, served: ServedNetwork) -> None:
        self._networks = networks
        self.served = served

    @property
    def payer(self) -> ServedNode:
        return self.served.nodes[0]

    @property
    def receivers(self) -> list[str]:
        return [node.pubkey for node in self.served.nodes[1:]]

    def fault(self, work: Callable[[Faults], T]) -> T:
        return self._networks.do(lambda: work(self.served.simulation.faults))

    def flags(self, **instead: str) -> tuple[str, ...]:
        """What `serve` needs to pay with alice."""
        given = {
            "rpcserver": self.payer.rpcserver,
            "tlscertpath": self.payer.tlscertpath,
            "macaroonpath": self.payer.macaroonpath,
            **instead,
        }
        return tuple(word for name, value in given.items() for word in (f"--node.{name}", value))

    def count(self) -> int:
        """How many HTLCs all receivers settled."""
        return sum(len(node.received) for node in self.served.network.named.values())

    def received(self) -> dict[bytes, int]:
        """payment hash → msat that arrived, from the receivers' own books; fails if one was settled
        twice.
        """
        htlcs = self._networks.do(
            lambda: [htlc for node in self.served.network.named.values() for htlc in node.received]
        )
        twice = [
            digest.hex()
            for digest, count in Counter(htlc.payment_hash for htlc in htlcs).items()
            if count > 1
        ]
        assert not twice
        return {htlc.payment_hash: htlc.amount_msat for htlc in htlcs}

    def sent(self) -> int:
        """How many payments alice's own database calls succeeded or in flight."""
        records = self._networks.do(lambda: list(self.served.node("alice").payments.values()))
        return sum(record.status is not Status.FAILED for record in records)
