"""Lightning nodes that streamer drives: lnd by its gRPC, and what a keysend of ours is made of."""
