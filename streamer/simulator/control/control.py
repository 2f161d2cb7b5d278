"""Faults by name, as a control API and the command line give them: one table of what can go wrong.

What happens is Faults' business (faults.py); this reads words into its calls.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from streamer.simulator.network.drive import Simulation
from streamer.simulator.network.faults import Faults, History
from streamer.simulator.network.lightning_node import CallFate, Wallet
from streamer.words.money import SECOND_NS

Values = Mapping[str, Any]
"""What a fault was given; a name that is not there has its default."""

MAX_PLAYED = 10_000
"""How many of the last faults are remembered."""

MAX_NUMBER = 10**9
"""The largest count, and the most seconds (31 years), that a fault takes."""

DEFAULT_ORPHAN_RATE = 0.33
"""Share of the open payments that a restarted lnd leaves without an HTLC (tried: 10 to 40 %)."""


@dataclass(slots=True, frozen=True)
class Fault:
    """One thing that can happen to a node. parameters: name → (kind, default, what it is)."""

    about: str
    strike: Callable[[Control, str, Values], None]
    parameters: Mapping[str, tuple[type, Any, str]] = field(default_factory=dict)


class Control:
    """Strikes by name at one simulation; keeps the snapshots that were taken of nodes, and what was
    played when.
    """

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.snapshots: dict[str, History] = {}
        self.played: deque[dict[str, Any]] = deque(maxlen=MAX_PLAYED)

    @property
    def faults(self) -> Faults:
        """The switches behind the names."""
        return self.simulation.faults

    def strike(self, node: str, name: str, given: Values) -> None:
        """Let fault `name` happen to node. Raises ValueError, in words, for what there is not."""
        if node not in self.simulation.network.named:
            raise ValueError(
                f"no node {node!r}: there are {', '.join(self.simulation.network.named)}"
            )
        fault = FAULTS.get(name)
        if fault is None:
            raise ValueError(f"no fault {name!r}: there are {', '.join(FAULTS)}")
        strange = sorted(set(given) - set(fault.parameters))
        if strange:
            raise ValueError(
                f"{name} takes {', '.join(fault.parameters) or 'nothing'}, not {strange[0]!r}"
            )
        values = {
            key: _value(key, given.get(key), kind, default)
            for key, (kind, default, _) in fault.parameters.items()
        }
        if "peer" in values:
            self._check_peer(name, node, values["peer"])
        fault.strike(self, node, values)
        network = self.simulation.network
        seconds = (network.now_ns - network.start_ns) / SECOND_NS
        self.played.append(
            {
                "seconds": seconds,
                "node": node,
                "fault": name,
                "values": {key: values[key] for key in given},
            }
        )

    def _check_peer(self, fault: str, node: str, peer: str) -> None:
        named = self.simulation.network.named
        if peer not in named:
            raise ValueError(f"{fault} needs peer, the name of a node")
        near = [named[node].sides_to[pubkey][0].peer.name for pubkey in named[node].sides_to]
        if peer not in near:
            raise ValueError(
                f"{node} has no channel with {peer}: it has some with {', '.join(near)}"
            )

    def nodes(self) -> list[dict[str, Any]]:
        """Each node: its name, its state, and what it has open."""
        self.simulation.sync()
        return [
            {
                "name": name,
                "pubkey": node.pubkey.hex(),
                "state": node.wallet.name if node.listening else "DOWN",
                "frozen": node.frozen,
                "holding": node.holding,
                "keysend": node.keysend,
                "open_payments": len(node.flights),
                "held_htlcs": len(node.held) + len(node.accepted),
                "orphans": len(node.orphans),
            }
            for name, node in self.simulation.network.named.items()
        ]


def _value(key: str, given: Any, kind: type, default: Any) -> Any:
    """A parameter in its kind: JSON gives numbers, the command line gives text."""
    if given is None:
        return default
    if kind is bool:
        if str(given).lower() not in ("true", "false"):
            raise ValueError(f"{key} is true or false, not {given!r}")
        return str(given).lower() == "true"
    try:
        found = kind(given)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{key} is {_KINDS[kind]}, not {given!r}") from error
    most = 1 if key.endswith("rate") else MAX_NUMBER
    if kind is not str and not 0 <= found <= most:
        raise ValueError(f"{key} is from 0 to {most}, not {given!r}")
    return found


_KINDS = {float: "a number", int: "a whole number", str: "text"}


def _set_pace(control: Control, node: str, values: Values) -> None:
    least, most = (round(values[key] * SECOND_NS) for key in ("seconds", "most_seconds"))
    control.simulation.sync()
    control.simulation.network.named[node].pace.latency_ns = (least, max(least, most))


def _restore(control: Control, node: str, values: Values) -> None:
    if node not in control.snapshots:
        raise ValueError(f"there is no snapshot of {node}: take one first (snapshot)")
    control.faults.restore(node, control.snapshots[node])


def _snapshot(control: Control, node: str, values: Values) -> None:
    control.snapshots[node] = control.faults.history(node)


def _lose(control: Control, node: str, values: Values) -> None:
    try:
        fate = CallFate(values["fate"])
    except ValueError as error:
        raise ValueError(
            f"fate is {', '.join(fate.value for fate in CallFate)}, not {values['fate']!r}"
        ) from error
    control.faults.lose_calls(
        node, values["count"], fate, round(values["late_seconds"] * SECOND_NS)
    )


def _set_state(control: Control, node: str, values: Values) -> None:
    if values["state"] not in Wallet.__members__:
        raise ValueError(
            f"state is one of {', '.join(Wallet.__members__)}, not {values['state']!r}"
        )
    control.faults.set_wallet(node, Wallet[values["state"]])


_ORPHANS = {
    "orphan_rate": (float, 0.0, "share of its open payments that stay IN_FLIGHT without an HTLC")
}
_PEER = {"peer": (str, "", "the node at the other end")}

FAULTS: dict[str, Fault] = {
    "down": Fault(
        "It stops; its clients are cut.",
        lambda c, n, v: c.faults.take_down(n, v["orphan_rate"]),
        _ORPHANS,
    ),
    "up": Fault("It is back, SERVER_ACTIVE.", lambda c, n, v: c.faults.bring_up(n)),
    "restart": Fault(
        "It is killed and comes back after 4.3 s, through lnd's states.",
        lambda c, n, v: c.faults.restart(n, v["orphan_rate"]),
        {"orphan_rate": (float, DEFAULT_ORPHAN_RATE, _ORPHANS["orphan_rate"][2])},
    ),
    "away": Fault(
        "It is down for so long, and back by itself.",
        lambda c, n, v: c.faults.offline_for(n, round(v["seconds"] * SECOND_NS)),
        {"seconds": (float, 30.0, "how long")},
    ),
    "state": Fault(
        "It listens, and its wallet is in this state.",
        _set_state,
        {
            "state": (
                str,
                "LOCKED",
                "NON_EXISTING, LOCKED, UNLOCKED, RPC_ACTIVE, SERVER_ACTIVE or WAITING_TO_START",
            )
        },
    ),
    "freeze": Fault(
        "Its process stands still: connections stay, calls wait, HTLCs hang.",
        lambda c, n, v: c.faults.freeze(n),
    ),
    "thaw": Fault("It goes on; what waited is executed.", lambda c, n, v: c.faults.thaw(n)),
    "cut": Fault(
        "Every client is cut once; the node goes on.", lambda c, n, v: c.faults.cut_connections(n)
    ),
    "slow": Fault(
        "Each payment takes so long; 0 ends it.",
        _set_pace,
        {
            "seconds": (float, 1.0, "at least"),
            "most_seconds": (float, 0.0, "at most; 0: as at least"),
        },
    ),
    "lose_replies": Fault(
        "The next sends are cut, and executed never, at once, or late.",
        _lose,
        {
            "count": (int, 1, "how many sends"),
            "fate": (str, CallFate.ACCEPTED.value, "never, accepted or late"),
            "late_seconds": (float, 1.0, "how much later a late one is executed"),
        },
    ),
    "hold": Fault("It keeps each HTLC that reaches it.", lambda c, n, v: c.faults.hold(n)),
    "release": Fault(
        "It stops holding; what it held is settled, or fails.",
        lambda c, n, v: c.faults.release(n, settle=v["settle"]),
        {"settle": (bool, True, "false: they fail")},
    ),
    "keysend": Fault(
        "Whether it takes keysends.",
        lambda c, n, v: c.faults.set_keysend(n, accepted=v["accepted"]),
        {"accepted": (bool, False, "true: it does again")},
    ),
    "fail": Fault(
        "This share of its payments fails on the way; 0 ends it.",
        lambda c, n, v: c.faults.fail_randomly(n, v["rate"]),
        {"rate": (float, 0.5, "from 0 to 1")},
    ),
    "refuse": Fault(
        "Each send is refused with this text; no text ends it.",
        lambda c, n, v: c.faults.refuse(n, v["text"]),
        {"text": (str, "", "what it says")},
    ),
    "credentials": Fault(
        "Each call is refused as with a revoked macaroon; no text ends it.",
        lambda c, n, v: c.faults.reject_credentials(n, v["text"]),
        {"text": (str, "", "what it says")},
    ),
    "drain": Fault(
        "All that it could send to peer belongs to peer now.",
        lambda c, n, v: c.faults.drain(n, v["peer"]),
        _PEER,
    ),
    "disable": Fault(
        "The channels with peer are inactive.",
        lambda c, n, v: c.faults.disable_channels(n, v["peer"]),
        _PEER,
    ),
    "enable": Fault(
        "The channels with peer are active again.",
        lambda c, n, v: c.faults.disable_channels(n, v["peer"], disabled=False),
        _PEER,
    ),
    "close": Fault(
        "It closes channels with peer.",
        lambda c, n, v: c.faults.close_channels(n, v["peer"], v["count"], forced=v["forced"]),
        {
            **_PEER,
            "count": (int, 0, "how many of them, the oldest first; 0: all"),
            "forced": (bool, False, "true: with its commitment, without peer"),
        },
    ),
    "forget": Fault("All ended payments are deleted.", lambda c, n, v: c.faults.forget(n)),
    "snapshot": Fault("Its payments are kept aside.", _snapshot),
    "restore": Fault("It gets the payments of its snapshot back, as from an old backup.", _restore),
}
"""Name → fault. Docs and command line show this table."""
