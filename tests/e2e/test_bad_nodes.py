"""Each way in which a node can be wrong, all at once on one daemon: what the user reads, and that
nothing is paid.
"""

from __future__ import annotations

import json
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from streamer.simulator.network.lightning_node import Wallet
from streamer.simulator.serve import Plan
from tests.e2e.house import House, house, until
from tests.e2e.networks import Network, Networks

SAYS = {
    "silent": "nothing listens at {address}: is lnd running, and is this its rpclisten address?",
    "strange": "{address} does not speak gRPC over TLS: is the port right? lnd's gRPC is 10009",
    "cert": (
        "{address} shows another certificate than the one configured: copy lnd's tls.cert again"
    ),
    "macaroon": (
        "lnd at {address} refuses the macaroon for /lnrpc.Lightning/GetInfo (verification failed"
    ),
    "weak": (
        "the macaroon for lnd at {address} does not allow /routerrpc.Router/SendPaymentV2,"
        " /routerrpc.Router/TrackPaymentV2."
    ),
    "locked": "lnd at {address} has its wallet locked: unlock it with `lncli unlock`",
    "starting": "lnd at {address} is starting and not yet synced to the chain",
    "network": (
        "the node is on regtest, but the configuration says mainnet: point node.rpcserver at a"
        " mainnet node"
    ),
    "absent": "no-such.macaroon: is the path right, and has lnd been started once?",
}
"""What `status` says of the node that is wrong in this way."""
STOPPED_BY = {
    "macaroon": "CREDENTIALS",
    "weak": "CREDENTIALS",
    "cert": "CREDENTIALS",
    "absent": "CREDENTIALS",
    "network": "NODE_CHANGED",
}
READ_ONLY = tuple(("uri", f"/lnrpc.Lightning/{name}") for name in (
    "GetInfo", "ListChannels", "PendingChannels", "GetNodeInfo", "ListPayments"
))  # fmt: skip


def talk(listener: socket.socket) -> None:
    """Something that listens and is no lnd: it answers everything in HTTP."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            connection.settimeout(5)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


@dataclass
class Street:
    """The daemon with all its nodes, and the network of each."""

    house: House
    networks: dict[str, Network]
    addresses: dict[str, str]
    streams: dict[str, str]
    sent: dict[str, int]
    """How many payments each payer had sent while all was well: its witness."""


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory, networks: Networks) -> Iterator[Street]:
    folder = tmp_path_factory.mktemp("street")
    made = {
        name: networks.start(folder / name, Plan(seed=number, channels=1))
        for number, name in enumerate(SAYS)
    }
    given = {
        name: {key: getattr(net.payer, key) for key in ("rpcserver", "tlscertpath", "macaroonpath")}
        for name, net in made.items()
    }
    config = folder / "streamer.toml"
    streams = opened_while_all_was_well(folder / "home", config, given, made)
    sent = {name: net.sent() for name, net in made.items()}
    with socket.create_server(("127.0.0.1", 0)) as unused:
        given["silent"]["rpcserver"] = f"127.0.0.1:{unused.getsockname()[1]}"
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=talk, args=(listener,)).start()
    given["strange"]["rpcserver"] = f"127.0.0.1:{listener.getsockname()[1]}"
    for name, key in (("cert", "tlscertpath"), ("macaroon", "macaroonpath")):
        own = folder / f"{name}.own"
        shutil.copy(given["locked"][key], own)
        given[name][key] = str(own)
    given["weak"]["macaroonpath"] = str(
        made["weak"].served.credentials["alice"].bake("weak", READ_ONLY)
    )
    given["absent"]["macaroonpath"] = str(folder / "no-such.macaroon")
    given["network"]["network"] = "mainnet"
    made["locked"].fault(lambda faults: faults.set_wallet("alice", Wallet.LOCKED))
    made["starting"].fault(lambda faults: faults.set_wallet("alice", Wallet.RPC_ACTIVE))
    write(config, given)
    with house(folder / "home", "--config", str(config)) as daemon:
        daemon.cli("sending", "start")
        addresses = {name: keys["rpcserver"] for name, keys in given.items()}
        yield Street(daemon, made, addresses, streams, sent)
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def write(config: Path, given: dict[str, dict[str, str]]) -> None:
    config.write_text(
        "".join(
            f"[nodes.{name}]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in keys.items())
            for name, keys in given.items()
        )
    )


def opened_while_all_was_well(
    home: Path, config: Path, given: dict[str, dict[str, str]], made: dict[str, Network]
) -> dict[str, str]:
    """A stream on each node, not paid yet: none begins before a node has found the clock right."""
    write(config, given)
    with house(home, "--config", str(config)) as daemon:
        daemon.until_paying()
        daemon.cli("sending", "stop")
        streams = {name: opened(daemon, name, net.receivers[0]) for name, net in made.items()}
        assert daemon.stop() == 0
    return streams


def opened(daemon: House, node: str, receiver: str) -> str:
    done = daemon.cli(
        "stream", "open", receiver, "1sat/1s", "--node", node, "--catch-up", "forever"
    )
    assert done.code == 0, done
    return done.out.strip()


@pytest.fixture(scope="module")
def told(street: Street) -> dict[str, str]:
    """node → its line of `status`, when each has said what is wrong with it."""
    until(
        lambda: all(words(street, name) in street.house.unready() for name in SAYS),
        f"each node says what is wrong: {street.house.unready()}",
    )
    status = street.house.status()
    return {line.split()[1]: line for line in status.splitlines() if line.startswith("node ")}


def words(street: Street, name: str) -> str:
    return SAYS[name].format(address=street.addresses[name])


@pytest.mark.parametrize("name", SAYS)
def test_the_user_reads_what_is_wrong_and_what_to_do(
    street: Street, told: dict[str, str], name: str
) -> None:
    assert "down: " in told[name] and words(street, name) in told[name]
    shown = street.house.cli("stream", "show", street.streams[name]).out
    assert f"waits for its node {name}: " in shown
    assert words(street, name) in shown


def test_the_nodes_are_stopped_for_their_reason_and_nothing_is_paid(
    street: Street, told: dict[str, str]
) -> None:
    done = street.house.cli("status", "--json")
    assert done.code == 4
    nodes = {node["name"]: node for node in json.loads(done.out)["nodes"]}
    for name in SAYS:
        assert (STOPPED_BY.get(name, "RECOVERING") in nodes[name]["stopped_by"]) is True, nodes[
            name
        ]
    refusal = street.house.cli(
        "keysend", street.networks["cert"].receivers[0], "5sat", "--node", "cert"
    )
    assert refusal.code == 1
    assert (
        "until the clock is known to be right" in refusal.err
        and words(street, "cert") in refusal.err
    )
    assert {name: net.sent() for name, net in street.networks.items()} == street.sent
    assert {name: len(net.received()) for name, net in street.networks.items()} == dict.fromkeys(
        SAYS, 0
    )
    assert {
        street.house.json("stream", "show", stream)["state"] for stream in street.streams.values()
    } == {"ACTIVE"}


REPAIRS: dict[str, Callable[[Network, Path], object]] = {
    "starting": lambda net, _: net.fault(
        lambda faults: faults.set_wallet("alice", Wallet.SERVER_ACTIVE)
    ),
    "locked": lambda net, _: net.fault(
        lambda faults: faults.set_wallet("alice", Wallet.SERVER_ACTIVE)
    ),
    "cert": lambda net, file: shutil.copy(net.payer.tlscertpath, file / "cert.own"),
    "macaroon": lambda net, file: shutil.copy(net.payer.macaroonpath, file / "macaroon.own"),
    "absent": lambda net, file: shutil.copy(net.payer.macaroonpath, file / "no-such.macaroon"),
}


def test_what_is_repaired_goes_on_by_itself(street: Street, told: dict[str, str]) -> None:
    for name, repair in REPAIRS.items():
        repair(street.networks[name], street.house.home.parent)
    until(
        lambda: all(street.networks[name].count() for name in REPAIRS),
        "every node that was repaired pays",
    )
    shown = street.house.json("stream", "show", street.streams["starting"])
    assert (shown["state"], shown["skipped_msat"], shown["payments_failed"]) == ("ACTIVE", 0, 0)
    assert "Traceback" not in street.house.log()
    assert ".cc:" not in street.house.log()


def test_the_log_says_it_once(street: Street, told: dict[str, str]) -> None:
    lines = street.house.messages()
    for name in SAYS:
        about = [
            line
            for line in lines
            if line.startswith(f"node {name}: ") and words(street, name) in line
        ]
        assert len(about) == 1, lines
