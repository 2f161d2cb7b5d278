"""What gRPC's health service says: "" is the daemon, each service whether it can do its work now.

"" and AdminService are SERVING from the open door to the beginning of the end. The other services
are there to move money: they are SERVING while at least one node can, as /readyz says, and
NOT_SERVING otherwise, although reads, and opening, pausing or cancelling streams, still work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from grpc_health.v1 import health
from grpc_health.v1.health_pb2 import HealthCheckResponse

LOOK_SECONDS = 1.0
"""How soon a service follows its node."""
OF_THE_DAEMON = frozenset({"", "streamer.v1.AdminService"})
"""What does not depend on any node."""


class Health:
    """The servicer, and what keeps it true."""

    def __init__(self, services: Iterable[str], unready: Callable[[], str]) -> None:
        self.servicer = health.aio.HealthServicer()
        self._services = ("", *services)
        self._unready = unready

    async def follow(self) -> None:
        """Say what is so, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Say what is so now."""
        paying = not self._unready()
        for service in self._services:
            await self.servicer.set(service, _word(paying or service in OF_THE_DAEMON))

    async def end(self) -> None:
        """Say for good that nothing is served."""
        await self.servicer.enter_graceful_shutdown()


def _word(serving: bool) -> HealthCheckResponse.ServingStatus:
    return HealthCheckResponse.SERVING if serving else HealthCheckResponse.NOT_SERVING
