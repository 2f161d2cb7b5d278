"""A webhook's receiver that is well, broken, slow or gone, and a daemon that dies in between: each
event arrives, and no payment waits.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import ssl
import time
from pathlib import Path

import pytest
import trustme

from streamer.simulator.serve import Plan
from tests.cli.daemon import free_port
from tests.e2e import receiver
from tests.e2e.house import DOORS, house, journal, run, settled, until
from tests.e2e.networks import Network, Networks
from tests.e2e.receiver import Receiver, receiving

SECRET = "0123456789abcdef" * 4


@pytest.fixture(scope="module")
def network(networks: Networks, tmp_path_factory: pytest.TempPathFactory) -> Network:
    return networks.start(tmp_path_factory.mktemp("webhook"), Plan(nodes=2, channels=2))


def flags(network: Network, home: Path, url: str, *more: str) -> tuple[str, ...]:
    (home / "secret").write_text(SECRET + "\n")
    return (
        *network.flags(),
        "--webhook.url",
        url,
        "--webhook.secret-file",
        str(home / "secret"),
        *more,
    )


def settled_payments(home: Path) -> set[str]:
    """The ids of all payments that the journal calls settled."""
    with journal(home) as connection:
        rows = connection.execute(
            "SELECT coalesce(s.id || '.' || p.seq, p.owner) FROM payments p LEFT JOIN streams s ON"
            " s.key=p.stream_key WHERE p.state='SETTLED'"
        ).fetchall()
    return {row[0] for row in rows}


def waiting(home: Path) -> int:
    with journal(home) as connection:
        return int(connection.execute("SELECT count(*) FROM outgoing").fetchone()[0])


def check_signature(called: Receiver) -> None:
    headers, body = called.calls[-1]
    stamp, given = (part.split("=", 1)[1] for part in headers["streamer-signature"].split(","))
    assert (
        hmac.new(SECRET.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest() == given
    )
    assert abs(int(stamp) - time.time()) < 60
    assert headers["content-type"] == "application/json"


def test_events_arrive_signed_and_a_single_payment_has_no_stream(
    network: Network, tmp_path: Path
) -> None:
    with (
        receiving() as called,
        house(tmp_path, *flags(network, tmp_path, called.url, "--log.level", "debug")) as daemon,
    ):
        daemon.until_paying()
        stream = daemon.cli("stream", "open", network.receivers[0], "2sat/1h").out.strip()
        until(lambda: f"{stream}.1" in called.settled(), "the payment is told of")
        check_signature(called)
        assert daemon.cli("stream", "pause", stream).code == 0
        paid = daemon.json("keysend", network.receivers[0], "3sat")
        until(lambda: len(called.taken) == 4, "all four events")
        types = [event["type"] for event in called.taken]
        assert sorted(types) == [
            "payment.settled",
            "payment.settled",
            "stream.active",
            "stream.paused",
        ]
        paused = called.taken[types.index("stream.paused")]["stream"]
        assert (paused["id"], paused["state"], paused["paidMsat"]) == (stream, "PAUSED", "2000")
        single = next(event for event in called.taken if "stream" not in event)
        assert (single["payment"]["id"], single["payment"]["amountMsat"]) == (paid["id"], "3000")
        until(lambda: not daemon.metric("webhook_events_waiting"), "nothing waits any more")
        assert len(called.ids()) == 4
        assert called.url not in daemon.log()
        assert daemon.stop() == 0
    assert waiting(tmp_path) == 0


def test_a_broken_receiver_delays_no_payment_and_gets_everything_later(
    network: Network, tmp_path: Path
) -> None:
    """500, then silence, then a redirect, then nobody at all, and a daemon that is killed: once
    each in the end.
    """
    port = free_port()
    given = flags(
        network,
        tmp_path,
        f"http://127.0.0.1:{port}/",
        "--webhook.events",
        "payment.settled",
        "--streams.catch-up",
        "forever",
    )
    with receiving(port) as called:
        called.mode = receiver.BROKEN
        with house(tmp_path, *given) as daemon:
            daemon.until_paying()
            assert daemon.cli("stream", "open", network.receivers[0], "2sat/1s").code == 0
            until(lambda: len(called.calls) > 1, "a second attempt")
            assert "does not take events: it answers HTTP 500" in daemon.log()
            words = (
                r"the webhook at 127\.0\.0\.1 does not take events: it answers HTTP 500; \d+ wait,"
                r" and are sent again for 3 days"
            )
            assert re.search(words, daemon.status()) and not daemon.unready()
            assert daemon.metric("webhook_failing") == 1
            called.mode = receiver.SLOW
            before = len(settled(tmp_path))
            until(lambda: len(settled(tmp_path)) > before + 2, "payments go on")
            called.mode = receiver.REDIRECT
            daemon.process.kill()
            daemon.process.wait()
        assert not called.taken
        assert waiting(tmp_path) >= len(settled_payments(tmp_path)) > 3
    with house(tmp_path, *given) as daemon:
        before = len(settled(tmp_path))
        until(lambda: len(settled(tmp_path)) > before + 1, "payments go on, with nobody there")
        with receiving(port) as called:
            called.mode = receiver.REDIRECT
            until(lambda: called.calls, "it is called")
            called.mode = receiver.OK
            until(lambda: called.taken, "it takes one")
            daemon.process.kill()
            daemon.process.wait()
            with house(tmp_path, *given) as again:
                until(
                    lambda: called.settled() >= settled_payments(tmp_path),
                    "every payment is told of",
                )
                until(lambda: not again.metric("webhook_events_waiting"), "nothing waits any more")
                assert (again.metric("events_dropped_total"), again.metric("webhook_failing")) == (
                    0,
                    0,
                )
                assert again.cli("status").code == 0
                # or what settles in the last moment waits for the next start
                assert again.cli("sending", "stop", "--drain").code == 0
                until(lambda: not again.metric("webhook_events_waiting"), "the last is told of")
                assert again.stop() == 0
            assert called.settled() >= settled_payments(tmp_path)
            assert not called.followed
    by_id = {event["id"]: event["payment"]["id"] for event in called.taken}
    assert len(set(by_id.values())) == len(by_id)


def test_a_certificate_that_nobody_vouches_for_is_not_talked_to(
    network: Network, tmp_path: Path
) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with receiving(context=context) as called:
        given = flags(network, tmp_path, called.url)
        with house(tmp_path, *given) as daemon:
            daemon.until_paying()
            assert daemon.cli("stream", "open", network.receivers[0], "2sat/1h").code == 0
            until(lambda: "CERTIFICATE_VERIFY_FAILED" in daemon.log(), "it is refused")
            assert not called.calls
        with house(tmp_path, *given, SSL_CERT_FILE=str(tmp_path / "ca.pem")):
            until(
                lambda: len(called.taken) >= 2, "with the authority's certificate it is talked to"
            )


def test_a_secret_that_is_none_is_refused(network: Network, tmp_path: Path) -> None:
    given = flags(network, tmp_path, "https://example.org/")
    (tmp_path / "secret").write_text("short\n")
    done = run(tmp_path, "serve", *DOORS, *given)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "secret: webhook.secret_file has 5 characters: at least 32 are needed" in done.err
