"""TLS of both doors: own certificate or the operator's, read again while running, and who is
believed.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
import os
import ssl
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from cryptography import x509

from streamer._proto.streamer.v1 import admin_pb2
from streamer.api.calls import Calls
from streamer.api.grpc import GrpcDoor
from streamer.api.http.gateway import Gateway
from streamer.api.http.server import HttpDoor, make_app
from streamer.api.owncert import RENEW_BEFORE, OwnCertificate, wall
from streamer.api.services import served
from streamer.api.tls import Tls
from streamer.client import Client, NotReachable, Trust
from streamer.config.certificate import HERE, VALID, hosts_of, key_pem, new_key, self_signed
from streamer.words.errors import ConfigError
from tests.api.house import KEY, House, in_house

STATUS = admin_pb2.GetStatusRequest()


def operators(folder: Path, *hosts: str) -> tuple[Path, Path]:
    """A certificate that somebody else made."""
    key, cert_file, key_file = new_key(), folder / "op.cert", folder / "op.key"
    key_file.write_bytes(key_pem(key))
    cert_file.write_bytes(self_signed(key, "operator", "pay", hosts or HERE, wall()))
    return cert_file, key_file


@dataclass
class Doors:
    grpc: str
    http: str

    async def status(self, trust: Trust | None) -> bool:
        async with Client(self.grpc, KEY, trust) as client:
            return bool((await client.call(client.admin.GetStatus, STATUS)).version)

    async def over_http(self, cert: Path) -> int:
        async with httpx.AsyncClient(verify=ssl.create_default_context(cafile=cert)) as http:
            return (
                await http.get(f"https://{self.http}/v1/status", headers={"X-API-KEY": KEY})
            ).status_code

    async def shown(self) -> set[int]:
        """The serial numbers that both doors show to whoever comes now."""
        found = set()
        for address in (self.grpc, self.http):
            host, _, port = address.rpartition(":")
            pem = await asyncio.to_thread(ssl.get_server_certificate, (host, int(port)))
            found.add(x509.load_pem_x509_certificate(pem.encode()).serial_number)
        return found


@asynccontextmanager
async def doors(house: House, tls: Tls) -> AsyncIterator[Doors]:
    calls, rpcs = Calls(house.keys, house.metrics.called), served(house.service)
    grpc_door = GrpcDoor(calls, rpcs, "127.0.0.1:0", lambda: "", tls)
    http_door = HttpDoor(make_app(bytes, str, Gateway(calls, rpcs)), "127.0.0.1:0", tls)
    made = Doors(await grpc_door.start(), await http_door.start())
    try:
        yield made
    finally:
        await http_door.stop()
        await grpc_door.stop(0)


def serial(path: Path) -> int:
    return x509.load_pem_x509_certificate(path.read_bytes()).serial_number


def test_both_doors_speak_tls_to_those_who_trust_the_certificate_and_to_nobody_else(
    tmp_path: Path,
) -> None:
    async def test(house: House) -> None:
        own = OwnCertificate(tmp_path, ["127.0.0.1:0"], [])
        (tmp_path / "op").mkdir()
        stranger, _ = operators(tmp_path / "op")
        async with doors(house, Tls(own.cert, own.key, own)) as both:
            assert await both.status(Trust(own.cert))
            assert await both.over_http(own.cert) == 200
            with pytest.raises(
                NotReachable, match=r"is not the daemon that .*op\.cert vouches for"
            ):
                await both.status(Trust(stranger))
            with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                await both.over_http(stranger)
            with pytest.raises(
                NotReachable, match="its certificate with --tls-cert, if it speaks TLS"
            ):
                await both.status(None)
            with pytest.raises(httpx.HTTPError):
                async with httpx.AsyncClient() as http:
                    await http.get(f"http://{both.http}/v1/status")
        with pytest.raises(NotReachable, match="or speaks no TLS"):
            async with Client(house.server, KEY, Trust(own.cert)) as client:
                await client.call(client.admin.GetStatus, STATUS)
        with pytest.raises(
            ConfigError, match="the daemon's certificate cannot be read: No such file"
        ):
            Client(house.server, KEY, Trust(tmp_path / "absent"))

    in_house(test)


def test_changed_files_are_in_force_at_once_and_open_connections_go_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def test(house: House) -> None:
        cert, key = operators(tmp_path)
        first = cert.read_bytes()
        tls = Tls(cert, key)
        async with doors(house, tls) as both, Client(both.grpc, KEY, Trust(cert)) as open_since:
            await open_since.call(open_since.admin.GetStatus, STATUS)
            before = serial(cert)
            assert await both.shown() == {before}
            assert not tls.look()
            (tmp_path / "new").mkdir()
            new_cert, new_key_file = operators(tmp_path / "new")
            new_cert.replace(cert)
            with caplog.at_level(logging.WARNING):
                assert not tls.look(), "half of the pair is new"
                assert not tls.look(), "and it is told once"
            assert (
                caplog.text.count("the old certificate is kept") == 1
                and "do not belong together" in caplog.text
            )
            assert await both.shown() == {before}
            new_key_file.replace(key)
            assert tls.look() and not tls.look()
            assert await both.shown() == {serial(cert)} != {before}
            assert await both.over_http(cert) == 200
            assert await both.status(Trust(cert))
            await open_since.call(open_since.admin.GetStatus, STATUS)
            old = tmp_path / "old.cert"
            old.write_bytes(first)
            with pytest.raises(NotReachable, match="vouches for"):
                await both.status(Trust(old))
            old.write_bytes(cert.read_bytes())
            cert.unlink()
            assert not tls.look(), "a file that is gone changes nothing"
            assert await both.over_http(old) == 200

    in_house(test)


def test_a_file_that_is_cut_while_it_is_read_changes_nothing_until_it_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(house: House) -> None:
        cert, key = operators(tmp_path)
        tls = Tls(cert, key)
        async with doors(house, tls) as both:
            before = serial(cert)
            operators(tmp_path)
            whole = cert.read_bytes()
            with monkeypatch.context() as patch:
                patch.setattr(Path, "read_bytes", lambda _: whole[:100])
                assert not tls.look()
            assert await both.shown() == {before}
            cert.write_bytes(whole)
            assert tls.look() and await both.shown() == {serial(cert)} != {before}

    in_house(test)


def test_a_name_that_no_certificate_can_hold_is_told(tmp_path: Path) -> None:
    own = OwnCertificate(tmp_path, ["127.0.0.1:1"], ["nœud.example.org"])
    with pytest.raises(
        ConfigError,
        match=r"the daemon's own certificate cannot be made for nœud.example.org, 127.0.0.1: ",
    ):
        own.keep()


def test_the_own_certificate_is_made_once_and_renewed_before_it_ends_with_the_same_key(
    tmp_path: Path,
) -> None:
    at = [wall()]
    own = OwnCertificate(
        tmp_path, ["0.0.0.0:1", "192.0.2.7:2", "[::1]:3"], ["pay.example.org"], lambda: at[0]
    )
    assert own.keep() and not own.keep()
    made = x509.load_pem_x509_certificate(own.cert.read_bytes())
    assert hosts_of(made) >= {*HERE, "192.0.2.7", "pay.example.org", os.uname().nodename}
    assert "0.0.0.0" not in hosts_of(made)
    assert made.not_valid_after_utc - at[0] <= VALID
    assert [stat.S_IMODE(path.stat().st_mode) for path in (own.cert, own.key)] == [0o644, 0o600]
    assert not OwnCertificate(
        tmp_path, ["127.0.0.1:1"], ["pay.example.org"], lambda: at[0]
    ).keep(), "a restart keeps it"
    assert OwnCertificate(tmp_path, ["127.0.0.1:1"], ["new.example.org"], lambda: at[0]).keep(), (
        "a new name does not"
    )
    key, before = own.key.read_bytes(), serial(own.cert)
    at[0] += VALID - RENEW_BEFORE - datetime.timedelta(minutes=1)
    assert not own.keep()
    at[0] += datetime.timedelta(minutes=2)
    assert own.keep() and own.key.read_bytes() == key and serial(own.cert) != before
    own.key.write_text("nonsense")
    at[0] += VALID
    assert own.keep() and own.key.read_bytes() != key


def test_no_certificate_is_made_anew_before_the_time_is_known(tmp_path: Path) -> None:
    at, known = [wall()], [False]
    own = OwnCertificate(tmp_path, ["127.0.0.1:1"], [], lambda: at[0], lambda: known[0])
    assert own.keep() and not own.keep(), "without any there is no door"
    before = serial(own.cert)
    at[0] += datetime.timedelta(days=500)
    assert not own.keep() and serial(own.cert) == before
    at[0], known[0] = wall(), True
    assert not own.keep(), "it was good all along"
    at[0] += datetime.timedelta(days=500)
    assert own.keep() and serial(own.cert) != before


@pytest.mark.parametrize("days", [-500, 500])
def test_a_certificate_made_by_a_wrong_clock_is_made_anew_when_the_time_is_known(
    tmp_path: Path, days: int
) -> None:
    at, known = [wall() + datetime.timedelta(days=days)], [False]
    own = OwnCertificate(tmp_path, ["127.0.0.1:1"], [], lambda: at[0], lambda: known[0])
    assert own.keep()
    at[0], known[0] = wall(), True
    assert own.keep() and not own.keep()
    made = x509.load_pem_x509_certificate(own.cert.read_bytes())
    assert made.not_valid_before_utc <= at[0] < made.not_valid_after_utc


def test_a_key_that_is_another_ones_gets_a_certificate_of_its_own(tmp_path: Path) -> None:
    own = OwnCertificate(tmp_path, ["127.0.0.1:1"], [])
    assert own.keep()
    own.key.write_bytes(key_pem(new_key()))
    again = OwnCertificate(tmp_path, ["127.0.0.1:1"], [])
    Tls(again.cert, again.key, again)
    own.key.unlink()
    third = OwnCertificate(tmp_path, ["127.0.0.1:1"], [])
    Tls(third.cert, third.key, third)


def test_a_renewed_certificate_is_in_force_without_a_restart(tmp_path: Path) -> None:
    async def test(house: House) -> None:
        at = [wall() - VALID + RENEW_BEFORE / 2]
        own = OwnCertificate(tmp_path, ["127.0.0.1:0"], [], lambda: at[0])
        tls = Tls(own.cert, own.key, own)
        before = serial(own.cert)
        async with doors(house, tls) as both:
            assert await both.shown() == {before}
            at[0] = wall()
            assert tls.look() and not tls.look()
            assert await both.shown() == {serial(own.cert)} != {before}
            assert await both.status(Trust(own.cert))

    in_house(test)


@pytest.mark.parametrize(
    ("cert", "key", "says"),
    [
        (None, b"x", "op.cert: cannot be read: No such file"),
        (b"x", b"x", "one of them is no PEM file, or is encrypted$"),
    ],
)
def test_files_that_are_no_certificate_are_refused(
    tmp_path: Path, cert: bytes | None, key: bytes, says: str
) -> None:
    for name, content in (("op.cert", cert), ("op.key", key)):
        if content is not None:
            (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=says):
        Tls(tmp_path / "op.cert", tmp_path / "op.key")


def test_two_files_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    cert, _ = operators(tmp_path)
    (tmp_path / "b").mkdir()
    _, other = operators(tmp_path / "b")
    with pytest.raises(ConfigError, match="they do not belong together"):
        Tls(cert, other)


def test_a_folder_that_takes_no_certificate_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the daemon's own certificate cannot be written"):
        own = OwnCertificate(tmp_path / "absent", ["127.0.0.1:1"], [])
        Tls(own.cert, own.key, own)
