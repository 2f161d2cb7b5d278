"""lnrpc.State: how far a node has started. It asks for no macaroon, and answers before the wallet
is open.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from streamer._proto.lnrpc import stateservice_pb2 as state
from streamer.simulator.network.lightning_node import LightningNode


class StateService:
    """The calls about one node's state."""

    def __init__(self, node: LightningNode) -> None:
        self._node = node

    def get_state(self, request: state.GetStateRequest) -> state.GetStateResponse:
        """The state now."""
        return state.GetStateResponse(state=self._node.wallet.name)

    async def subscribe_state(
        self, request: state.SubscribeStateRequest
    ) -> AsyncIterator[state.SubscribeStateResponse]:
        """The state now, then each new one, without an end."""
        changed = asyncio.Event()
        self._node.on_listen.append(changed.set)
        try:
            while True:
                yield state.SubscribeStateResponse(state=self._node.wallet.name)
                changed.clear()
                await changed.wait()
        finally:
            self._node.on_listen.remove(changed.set)
