"""What the channels of our node hold."""

from __future__ import annotations

from streamer.service.nodes import Nodes


class Channels:
    """The use cases about channels; opening and closing them is not streamer's."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes

    async def local_msat(self) -> int:
        """Our balance in the active channels of the first node. Raises NodeUnavailable,
        NodeRejected.
        """
        channels = await self._nodes.engine_for("").node.channels()
        return sum(channel.local_msat for channel in channels.channels if channel.active)
