"""Feature bits (BOLT 9), their names in lnd, and which ones lnd 0.21 shows where."""

from __future__ import annotations

from collections.abc import Iterable

from streamer._proto.lnrpc import lightning_pb2 as ln

NAMES = {
    0: "data-loss-protect",
    2: "initial-routing-sync",
    4: "upfront-shutdown-script",
    6: "gossip-queries",
    8: "tlv-onion",
    10: "ext-gossip-queries",
    12: "static-remote-key",
    14: "payment-addr",
    16: "multi-path-payments",
    18: "wumbo-channels",
    20: "anchor-commitments",
    22: "anchors-zero-fee-htlc-tx",
    24: "route-blinding",
    26: "shutdown-any-segwit",
    30: "amp",
    34: "quiescence",
    38: "onion-messages",
    44: "explicit-commitment-type",
    46: "scid-alias",
    48: "payment-metadata",
    50: "zero-conf",
    54: "keysend",
    260: "accountable-x",
    2022: "script-enforced-lease",
}
"""The even bit of each feature → its name (lnd, lnwire/features.go)."""

KEYSEND = 55

PEER = (0, 5, 7, 8, 12, 14, 17, 23, 25, 27, 31, 35, 39, 44, 2023)
"""What a node tells its peers at the start of a connection (tried on 0.21.2-beta)."""

ANNOUNCED = (*PEER, 261)
"""What a node announces to the network; with keysend one bit more."""

OWN = (*ANNOUNCED, 30)
"""What GetInfo shows: invoices' bits too."""

INVOICE = (8, 14, 17, 25)
"""The bits of an invoice."""


def shown(bits: Iterable[int], *, keysend: bool = False) -> dict[int, ln.Feature]:
    """Bits as lnrpc shows them: an even bit is required, an odd one optional."""
    every = (*bits, KEYSEND) if keysend else bits
    return {bit: feature(bit) for bit in every}


def feature(bit: int) -> ln.Feature:
    """One bit with its name, or "unknown"."""
    name = NAMES.get(bit & ~1)
    return ln.Feature(name=name or "unknown", is_required=not bit & 1, is_known=name is not None)
