"""Simulated lnd nodes: a pure model of a small Lightning network, and two doors to it.

`network.py` is the model (no clock, no asyncio, no grpc); `node.py` puts the Node port straight on
it, for tests on a virtual clock; `server.py` speaks lnd's gRPC, for `streamer simulate` and `demo`.
It behaves as lnd 0.21 was seen to behave, not as our adapter expects it to.
"""
