"""Troubles that come by themselves, again and again, for a simulator that runs unattended.

What happens is Faults' business; this only says when. Nothing here stops: the network does.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from streamer.simulator.network.drive import Simulation


@dataclass(slots=True, frozen=True)
class Troubles:
    """Which, and how often; every_ns 0 is never. The payer is the first node, receivers the others.

    failure_rate: share of payments that fail on the way. restart: the payer is killed and comes
    back after 4.3 s, leaving orphan_rate of its open payments as orphans. away, hold: each receiver
    goes offline, or holds what reaches it, for the time given. faults: one fault of any kind so
    often on average (seeded_faults.py).
    """

    failure_rate: float = 0.0
    restart_every_ns: int = 0
    orphan_rate: float = 0.33
    away_every_ns: int = 0
    away_for_ns: int = 0
    hold_every_ns: int = 0
    hold_for_ns: int = 0
    faults_every_ns: int = 0


def begin(simulation: Simulation, troubles: Troubles) -> None:
    """Set the failure rate, and put the first of each trouble on the network's calendar."""
    network, faults = simulation.network, simulation.faults
    payer, *receivers = network.named
    if troubles.failure_rate:
        faults.fail_randomly(payer, troubles.failure_rate)
    _every(
        simulation, troubles.restart_every_ns, partial(faults.restart, payer, troubles.orphan_rate)
    )
    for name in receivers:
        _every(
            simulation,
            troubles.away_every_ns,
            partial(faults.offline_for, name, troubles.away_for_ns),
        )
        _every(
            simulation,
            troubles.hold_every_ns,
            partial(_hold, simulation, name, troubles.hold_for_ns),
        )


def _every(simulation: Simulation, interval_ns: int, trouble: partial[None]) -> None:
    if not interval_ns:
        return

    def strike() -> None:
        trouble()
        simulation.network.at(simulation.network.now_ns + interval_ns, strike)

    simulation.network.at(simulation.network.now_ns + interval_ns, strike)


def _hold(simulation: Simulation, name: str, duration_ns: int) -> None:
    simulation.faults.hold(name)
    simulation.network.at(
        simulation.network.now_ns + duration_ns, partial(simulation.faults.release, name)
    )
