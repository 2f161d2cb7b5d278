"""Orders that cannot be right, and daemons that cannot be there: the sentence and the exit code,
and nothing is paid.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from streamer.simulator.serve import Plan
from tests.e2e.house import DOORS, House, house, run, states
from tests.e2e.networks import Network, Networks


@dataclass
class Shop:
    """A healthy daemon; words of a command may name `{bob}` (a receiver) and `{alice}`
    (ourselves).
    """

    house: House
    network: Network
    keys: dict[str, str]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, networks: Networks) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    network = networks.start(folder / "network", Plan(seed=20, channels=1))
    keys = {node.name: node.pubkey for node in network.served.nodes}
    keys["flipped"] = flipped(keys["bob"])
    with house(folder / "home", *network.flags(network="regtest")) as daemon:
        daemon.until_paying()
        yield Shop(daemon, network, keys)
        # whatever was asked: nothing was planned, nothing sent, and the daemon is as well as before
        assert daemon.cli("status").code == 0
        assert daemon.json("stream", "list")["streams"] == []
        assert daemon.json("payment", "list")["payments"] == []
        assert daemon.stop() == 0
        assert states(daemon.home) == {}
        assert network.sent() == network.count() == 0


def flipped(pubkey: str) -> str:
    """The same key with a digit wrong, not on the curve: of any x, about half are not."""
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256K1, EllipticCurvePublicKey

    for digit in "0123456789abcdef":
        try:
            EllipticCurvePublicKey.from_encoded_point(
                SECP256K1(), bytes.fromhex(pubkey[:-1] + digit)
            )
        except ValueError:
            return pubkey[:-1] + digit
    raise AssertionError("sixteen points in a row")


OPEN = ("stream", "open")
REFUSED = [
    (
        (*OPEN, "{bob}00", "1sat/1s"),
        1,
        (
            "destination has 34 bytes: a node's public key has 33 (66 hex digits, starting with 02"
            " or 03)"
        ),
    ),
    (
        (*OPEN, "zz", "1sat/1s"),
        1,
        "destination is not hex: pairs of the digits 0–9 and a–f are needed",
    ),
    (
        (*OPEN, "{flipped}", "1sat/1s"),
        1,
        "is no public key: not a point on secp256k1; is a digit wrong?",
    ),
    (
        (*OPEN, "{alice}", "1sat/1s"),
        1,
        "destination is our own node: a node cannot send a keysend to itself",
    ),
    (
        ("keysend", "{alice}", "1sat"),
        1,
        "destination is our own node: a node cannot send a keysend to itself",
    ),
    (
        ("keysend", "{flipped}", "1sat"),
        1,
        "is no public key: not a point on secp256k1; is a digit wrong?",
    ),
    ((*OPEN, "{bob}", "0sat/1s"), 1, "amount_msat is 0: nothing would be paid"),
    (
        (*OPEN, "{bob}", "-5sat/1s"),
        2,
        "-5… looks like a negative amount: nothing below 0 can be paid",
    ),
    ((*OPEN, "{bob}", "--", "-5sat/1s"), 1, "amount_msat is negative (-5000 msat)"),
    (("keysend", "--", "{bob}", "-5sat"), 1, "amount_msat is negative (-5000 msat)"),
    ((*OPEN, "{bob}", "3btc/1s"), 1, "is absurd: more than a million sat per second is not paid"),
    (
        (*OPEN, "{bob}", "30000000btc/1h"),
        2,
        "amount '30000000btc' is more than all bitcoin there is",
    ),
    ((*OPEN, "{bob}", "99999999999999999999999btc/1h"), 2, "more than all bitcoin there is"),
    (("keysend", "{bob}", "0sat"), 1, "amount_msat is 0: nothing would be paid"),
    (("keysend", "{bob}", "30000000btc"), 2, "more than all bitcoin there is"),
    ((*OPEN, "{bob}", "50/1m"), 2, "amount '50' has no unit: write 50sat or 50msat"),
    (("keysend", "{bob}", "50"), 2, "amount '50' has no unit: write 50sat or 50msat"),
    (
        (*OPEN, "{bob}", "1sat/99ms"),
        1,
        "interval is 99ms: at least 100ms is needed; a rate is a ratio",
    ),
    (
        (*OPEN, "{bob}", "1sat/1s", "--payment-interval", "99ms"),
        1,
        "payment_interval is 99ms: from 1s to",
    ),
    (
        (*OPEN, "{bob}", "1sat/1s", "--budget", "5sat"),
        1,
        "budget of 5 sat is smaller than one payment: 1 sat and a fee limit of 5 sat",
    ),
    (
        (
            *OPEN,
            "{bob}",
            "1sat/1s",
            "--start",
            "2126-01-02T00:00:00Z",
            "--end",
            "2126-01-01T00:00:00Z",
        ),
        1,
        "end_time is not after start_time",
    ),
    ((*OPEN, "{bob}", "1sat/1s", "--end", "2020-01-01T00:00:00Z"), 1, "end_time is in the past"),
    ((*OPEN, "{bob}", "1sat/1s", "--node", "other"), 1, "no node 'other'"),
    (("stream", "show", "st_0"), 1, "no stream st_0"),
    (("stream", "cancel", "st_0"), 1, "no stream st_0"),
    (
        ("stream", "pause", "{bob}"),
        1,
        "'{bob}' is no stream's id: they look like st_0123456789abcdef",
    ),
    (("payment", "show", "st_0.1"), 1, "no payment st_0.1"),
    (
        ("sending", "start", "--accept-node", "{bob}"),
        1,
        "no node has changed its identity: there is nothing to accept",
    ),
]


@pytest.mark.parametrize(
    ("words", "code", "says"), REFUSED, ids=[" ".join(words) for words, _, _ in REFUSED]
)
def test_what_cannot_be_right_is_refused(
    shop: Shop, words: tuple[str, ...], code: int, says: str
) -> None:
    done = shop.house.cli(*(word.format(**shop.keys) for word in words))
    assert (done.code, done.out) == (code, ""), done
    assert done.err.startswith("streamer: ")
    assert says.format(**shop.keys) in done.err, done.err
    assert code == 2 or done.err.count("\n") == 1


def test_no_daemon_and_something_else_in_its_place(shop: Shop, tmp_path: Path) -> None:
    nobody = run(tmp_path, "status", "--server", "127.0.0.1:1")
    assert (nobody.code, nobody.out) == (3, "")
    says = (
        "streamer: no daemon answers at 127.0.0.1:1: start it with `streamer serve`, or name its"
        " address with --server"
    )
    assert nobody.err == f"{says} (and its certificate with --tls-cert, if it speaks TLS)\n"
    lnd = run(shop.house.home, "status", "--server", shop.network.payer.rpcserver)
    assert lnd.code == 3, lnd
    assert f"no daemon answers at {shop.network.payer.rpcserver}" in lnd.err
    http = run(shop.house.home, "status", "--server", shop.house.http)
    assert http.code == 3, http
    assert f"{shop.house.http} answers in HTTP/1: name the daemon's gRPC address" in http.err


def test_serve_without_a_node_says_how_to_set_one(tmp_path: Path) -> None:
    done = run(tmp_path, "serve", *DOORS)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("streamer: no node configured. Say which lnd is to pay:")
    assert "--node.rpcserver 127.0.0.1:10009 --node.lnddir ~/.lnd" in done.err
    assert (
        "To try it without a node: `streamer demo`, or `simulator = true` in the file (no real"
        " money)." in done.err
    )


WRONG_FILES = [
    (
        "[node]\nrpcserver = '127.0.0.1:1'\nmacaronpath = 'x'\n",
        "{file}:3: node.macaronpath: no such option; did you mean node.macaroonpath?",
    ),
    (
        "simulator = true\n[api]\ngrpc_listen = '0.0.0.0:8881'\n",
        "{file}:3: api.grpc_listen: is '0.0.0.0:8881', which is not loopback:",
    ),
    (
        "simulator = true\n[api]\nhttp_listen = '[::]:8882'\n",
        "{file}:3: api.http_listen: is '[::]:8882', which is not loopback:",
    ),
    (
        "simulator = true\n[spend_limit]\namount_msat = -1\n",
        "{file}:3: spend_limit.amount_msat: is out of bounds: from 1 msat",
    ),
    ("simulator = maybe\n", "{file}: is not valid TOML: "),
]


@pytest.mark.parametrize(("text", "says"), WRONG_FILES, ids=[says for _, says in WRONG_FILES])
def test_a_wrong_file_is_refused_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "streamer.toml"
    file.write_text(text)
    done = run(tmp_path, "serve", "--config", str(file))
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"streamer: {says.format(file=file)}"), done.err
    assert not (tmp_path / ".local").exists()


def test_a_listener_off_loopback_is_refused_by_flag_too(tmp_path: Path) -> None:
    done = run(tmp_path, "serve", "--simulator", "true", "--api.grpc-listen", "192.168.1.5:8881")
    assert (done.code, done.out) == (2, "")
    assert (
        "--api.grpc-listen: is '192.168.1.5:8881', which is not loopback: keys would travel in the"
        " clear. Set api.tls = true" in done.err
    )


def test_a_port_that_is_taken_is_named(shop: Shop, tmp_path: Path) -> None:
    for option, taken in (("grpc", shop.house.grpc), ("http", shop.house.http)):
        doors = {"grpc": "127.0.0.1:0", "http": "127.0.0.1:0", option: taken}
        listens = [
            word for name, address in doors.items() for word in (f"--api.{name}-listen", address)
        ]
        done = run(tmp_path, "serve", *shop.network.flags(), *listens)
        assert (done.code, done.out) == (2, "")
        assert f"streamer: {taken}: cannot listen there (api.{option}_listen)" in done.err, done
