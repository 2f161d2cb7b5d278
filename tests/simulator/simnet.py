"""A payer, a receiver, and what a test sends between them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from streamer.simulator.network.books import KEYSEND_RECORD, Order, PaymentRecord, Refused
from streamer.simulator.network.faults import Faults
from streamer.simulator.network.lightning_node import LightningNode
from streamer.simulator.network.network import Network
from streamer.simulator.network.pace import Pace
from streamer.words.model import Payment

START_NS = 1_800_000_000 * 10**9
SECOND = 10**9
COMMITMENT_MSAT = 944_000
"""What the commitment transaction and its anchors cost the one who opened a channel."""


@dataclass
class Witness:
    """A Call that writes down what it is told."""

    states: list[str] = field(default_factory=list)
    refused: Refused | None = None
    was_cut: bool = False
    payment: PaymentRecord | None = None

    def update(self, payment: PaymentRecord) -> None:
        self.payment = payment
        self.states.append(payment.status.name)

    def refuse(self, refusal: Refused) -> None:
        self.refused = refusal

    def cut(self) -> None:
        self.was_cut = True

    @property
    def record(self) -> PaymentRecord:
        assert self.payment is not None
        return self.payment

    @property
    def refusal(self) -> Refused:
        assert self.refused is not None
        return self.refused

    @property
    def end(self) -> str:
        return (
            self.record.failure.name
            if self.record.status.name == "FAILED"
            else self.record.status.name
        )


def preimage_of(number: int) -> bytes:
    return hashlib.sha256(f"preimage {number}".encode()).digest()


def hash_of(number: int) -> bytes:
    return hashlib.sha256(preimage_of(number)).digest()


def keysend(
    destination: bytes,
    number: int,
    amount_msat: int = 1_000,
    fee_limit_msat: int = 5_000,
    cltv_limit: int = 288,
) -> Order:
    records = {KEYSEND_RECORD: preimage_of(number), 70_001: b"x"}
    return Order(
        destination, hash_of(number), amount_msat, fee_limit_msat, cltv_limit, records=records
    )


def payment(
    destination: bytes, number: int, amount_msat: int = 1_000, fee_limit_msat: int = 5_000
) -> Payment:
    """What the engine hands to a Node."""
    return Payment(
        row=number,
        owner=f"pay_{number}",
        stream_key=0,
        seq=0,
        node="alice",
        destination=destination,
        payment_hash=hash_of(number),
        amount_msat=amount_msat,
        fee_limit_msat=fee_limit_msat,
        cltv_limit=288,
        timeout_seconds=30,
        records=b"\xfe\x00\x01\x11\x71\x01x",
        due_ns=0,
        planned_ns=0,
    )


@dataclass
class Pair:
    """alice with channels to bob; drive it by hand: no clock."""

    network: Network
    faults: Faults

    @property
    def alice(self) -> LightningNode:
        return self.network.named["alice"]

    @property
    def bob(self) -> LightningNode:
        return self.network.named["bob"]

    def send(self, number: int, amount_msat: int = 1_000, **changes: object) -> Witness:
        witness = Witness()
        order = keysend(self.bob.pubkey, number, amount_msat)
        for name, value in changes.items():
            setattr(order, name, value)
        self.network.submit(self.alice, order, witness)
        return witness

    def run(self, seconds: float = 0) -> None:
        self.network.advance(self.network.now_ns + int(seconds * SECOND))


def pair(
    channels: int = 1, capacity_sat: int = 1_000_000, pace: Pace | None = None, seed: int = 1
) -> Pair:
    network = Network(seed, start_ns=START_NS)
    alice, bob = network.add_node("alice", pace), network.add_node("bob")
    for _ in range(channels):
        network.open_channel(alice, bob, capacity_sat)
    return Pair(network, Faults(network, lambda: None))
