"""Faults that a seed plays: every kind, undone again, the same ones at the same moments."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from streamer.cli.simulate import command
from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.simulator.control.control import Control
from streamer.simulator.control.seeded_faults import KINDS, SeededFaults
from streamer.simulator.network.drive import Simulation
from streamer.simulator.network.lightning_node import Wallet
from streamer.simulator.network.network import Network
from streamer.simulator.serve import Plan, build, node_names
from tests.simulator.simnet import SECOND, Witness, keysend

EVERY_SECONDS = 20
RUN_SECONDS = 3 * EVERY_SECONDS * len(KINDS)
LATENCY_NS = (SECOND // 10, SECOND // 5)
UNDONE_BY = {
    "down": "up",
    "state": "up",
    "freeze": "thaw",
    "hold": "release",
    "disable": "enable",
    "snapshot": "restore",
    **{name: name for name in ("slow", "fail", "keysend", "refuse", "credentials", "drain")},
}


class Watched(SeededFaults):
    """Asserts before each fault that the one before is over."""

    def _deal(self) -> Any:
        assert well(self.network) == []
        return super()._deal()


def well(network: Network) -> list[str]:
    """What is wrong with the network, if anything is."""
    wrong = []
    for name, node in network.named.items():
        if not node.up or node.wallet is not Wallet.SERVER_ACTIVE or node.frozen:
            wrong.append(f"{name} is away")
        if (
            node.holding
            or node.held
            or not node.keysend
            or node.failure_rate
            or node.refuse_text
            or node.credentials_text
        ):
            wrong.append(f"{name} misbehaves")
    if network.named["alice"].pace.latency_ns != LATENCY_NS:
        wrong.append("alice is slow")
    if any(channel.disabled for channel in network.channels.values()):
        wrong.append("a channel is disabled")
    return wrong


TOWN = Plan(nodes=3, channels=4, hub=True, seed=5, latency_ns=LATENCY_NS)


def played(
    seed: int, plan: Plan = TOWN, *, paying: bool = False
) -> tuple[list[dict[str, Any]], list[Witness], Network]:
    async def main(clock: VirtualClock) -> tuple[list[dict[str, Any]], list[Witness], Network]:
        network = build(plan, clock.now_ns())
        calls: list[Witness] = []
        with Simulation(network, clock) as simulation:
            control = Control(simulation)
            Watched(control, seed, EVERY_SECONDS * SECOND, node_names(plan.nodes)[1:]).begin()
            for number in range(RUN_SECONDS):
                await asyncio.sleep(1)
                if paying:
                    calls.append(Witness())
                    receiver = network.named[("bob", "carol")[number % 2]]
                    network.submit(
                        network.named["alice"], keysend(receiver.pubkey, number), calls[-1]
                    )
                    simulation.sync()
            return list(control.played), calls, network

    return run_virtual(main)


def test_a_seed_plays_every_kind_at_its_own_moments_whatever_is_paid() -> None:
    quiet, *_ = played(1)
    busy, calls, _ = played(1, paying=True)
    assert busy == quiet
    assert played(2)[0] != quiet
    assert {strike["fault"] for strike in quiet} == {*KINDS, *UNDONE_BY, *UNDONE_BY.values()}
    ends = Counter(
        "cut" if call.was_cut else "refused" if call.refused else call.end for call in calls
    )
    assert {
        "SUCCEEDED",
        "cut",
        "refused",
        "INCORRECT_PAYMENT_DETAILS",
        "INSUFFICIENT_BALANCE",
        "NO_ROUTE",
    } <= set(ends)
    # each fault costs payments, but not all of them
    assert RUN_SECONDS // 2 < ends["SUCCEEDED"] < RUN_SECONDS


def test_the_last_channel_between_two_nodes_is_spared() -> None:
    strikes, _, network = played(1, Plan(channels=2, latency_ns=LATENCY_NS))
    assert [strike["fault"] for strike in strikes].count("close") == 1
    assert [channel.closing for channel in network.channels.values()] == [True, False]


def test_what_can_be_undone_is_undone_before_the_next_one() -> None:
    strikes, *_ = played(3)
    open_faults: list[tuple[str, str]] = []
    begun = []
    for strike in strikes:
        node, fault, seconds = strike["node"], strike["fault"], strike["seconds"]
        if open_faults and fault == open_faults[0][1]:
            assert fault == "drain" or node == open_faults[0][0]
            open_faults.pop()
            continue
        assert not open_faults
        begun.append(seconds)
        if fault in UNDONE_BY:
            open_faults.append((node, UNDONE_BY[fault]))
    gaps = [later - earlier for earlier, later in itertools.pairwise(begun)]
    assert EVERY_SECONDS / 2 <= min(gaps) < EVERY_SECONDS < max(gaps) <= EVERY_SECONDS * 1.5


def test_too_close_together_is_said(tmp_path: Path) -> None:
    result = CliRunner().invoke(command, ["--dir", str(tmp_path), "--faults-every", "9s"])
    assert (result.exit_code, "at least 10 s apart" in result.output) == (1, True)
