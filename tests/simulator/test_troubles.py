"""Troubles that come by themselves, and the plans that a network is built from."""

from __future__ import annotations

import asyncio
from pathlib import Path

from click.testing import CliRunner

from streamer.cli.simulate import command
from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.simulator.control.troubles import Troubles, begin
from streamer.simulator.network.channels import Policy
from streamer.simulator.network.drive import Simulation
from streamer.simulator.serve import Plan, build
from tests.simulator.simnet import SECOND, START_NS, Witness, keysend


def test_restarts_absences_and_holds_come_again_and_again() -> None:
    async def main(clock: VirtualClock) -> tuple[list[bool], list[bool], list[bool]]:
        troubles = Troubles(
            restart_every_ns=100 * SECOND,
            away_every_ns=60 * SECOND,
            away_for_ns=10 * SECOND,
            hold_every_ns=50 * SECOND,
            hold_for_ns=5 * SECOND,
        )
        with Simulation(build(Plan(), clock.now_ns()), clock) as simulation:
            begin(simulation, troubles)
            alice, bob = simulation.network.nodes.values()
            up, there, holding = [], [], []
            for _ in range(210):
                await asyncio.sleep(0.999_999)
                up.append(alice.up)
                there.append(bob.up)
                holding.append(bob.holding)
                await asyncio.sleep(0.000_001)
            return up, there, holding

    up, there, holding = run_virtual(main)
    # sample n is taken just before second n + 1
    assert [second for second in range(210) if not up[second]] == [
        *range(100, 104),
        *range(200, 204),
    ]
    assert [second for second in range(210) if not there[second]] == [
        *range(60, 70),
        *range(120, 130),
        *range(180, 190),
    ]
    assert [second for second in range(210) if holding[second]] == [
        second for at in (50, 100, 150, 200) for second in range(at, at + 5)
    ]


def test_a_hub_stands_between_and_asks_its_fee() -> None:
    network = build(Plan(nodes=3, hub=True, policy=Policy(2_000, 100)), START_NS)
    call = Witness()
    network.submit(
        network.named["alice"], keysend(network.named["carol"].pubkey, 1, 1_000_000), call
    )
    network.advance(START_NS)
    assert (call.end, call.record.fee_msat) == ("SUCCEEDED", 2_100)
    assert [hop.side.peer.name for hop in call.record.route] == ["hub", "carol"]


def test_a_plan_paces_the_first_node() -> None:
    network = build(Plan(payments_per_second=4, latency_ns=(SECOND, SECOND)), START_NS)
    for number in range(3):
        network.submit(
            network.named["alice"], keysend(network.named["bob"].pubkey, number), Witness()
        )
    network.advance(START_NS + 10 * SECOND)
    ends = [(htlc.settled_ns - START_NS) / SECOND for htlc in network.named["bob"].received]
    assert ends == [1.25, 1.5, 1.75]


def test_a_duration_without_a_unit_is_a_usage_error(tmp_path: Path) -> None:
    result = CliRunner().invoke(command, ["--dir", str(tmp_path), "--latency", "5"])
    assert result.exit_code == 2
    assert "duration '5' is not understood" in result.output
