"""A daemon process that speaks TLS, and the command line that finds its certificate."""

from __future__ import annotations

import ssl
import urllib.request
from functools import partial
from pathlib import Path

from tests.api.test_tls import operators, serial
from tests.cli.daemon import free_port, run, served
from tests.e2e.house import until


def test_a_daemon_with_its_own_certificate_and_who_finds_it(tmp_path: Path) -> None:
    with served(
        tmp_path, "--api.tls", "true", "--api.tls-names", "pay.example.org", ready=False
    ) as house:
        cert = tmp_path / ".local" / "share" / "streamer" / "tls.cert"
        assert house.call("status", "--tls-cert", str(cert)).returncode in (0, 4)
        for environment in ({"STREAMER_TLS_CERT": str(cert)}, {"STREAMER_API_TLS": "true"}):
            done = run(tmp_path, "stream", "list", STREAMER_SERVER=house.grpc, **environment)
            assert (done.returncode, done.stderr) == (0, ""), done
        done = house.call("stream", "list")
        assert (
            done.returncode == 3
            and "and its certificate with --tls-cert, if it speaks TLS" in done.stderr
        )
        done = house.call("stream", "list", "--tls-cert", "/nowhere/tls.cert")
        assert (
            done.returncode == 2
            and "/nowhere/tls.cert: the daemon's certificate cannot be read" in done.stderr
        )
        trust = ssl.create_default_context(cafile=cert)
        with urllib.request.urlopen(f"https://{house.http}/healthz", context=trust) as reply:
            assert reply.read() == b"alive\n"
        assert house.stop() == 0


def shows(folder: Path, port: int, certificate: Path) -> bool:
    return shown(folder, port) == serial(certificate)


def shown(folder: Path, port: int) -> int:
    """The serial number of the certificate that whoever comes now is shown."""
    (folder / "shown").write_text(ssl.get_server_certificate(("127.0.0.1", port)))
    return serial(folder / "shown")


def test_the_operators_certificate_is_found_by_the_configuration_whatever_name_it_is_for(
    tmp_path: Path,
) -> None:
    cert, key = operators(tmp_path, "pay.example.org")
    file = tmp_path / "streamer.toml"
    http, grpc = free_port(), free_port()
    file.write_text(
        f'simulator = true\n[api]\ngrpc_listen = "0.0.0.0:{grpc}"\nhttp_listen ='
        f' "0.0.0.0:{http}"\ntls_cert = "{cert}"\ntls_key = "{key}"\n'
    )
    with served(
        tmp_path,
        "--config",
        str(file),
        "--api.grpc-listen",
        f"0.0.0.0:{grpc}",
        "--api.http-listen",
        f"0.0.0.0:{http}",
        ready=False,
    ):
        done = run(tmp_path, "stream", "list", STREAMER_CONFIG=str(file))
        assert (done.returncode, done.stderr) == (0, ""), done
        (tmp_path / "new").mkdir()
        for file_then, file_now in zip(
            (cert, key), operators(tmp_path / "new", "pay.example.org"), strict=True
        ):
            file_now.replace(file_then)
        for port in (http, grpc):
            until(
                partial(shows, tmp_path, port, cert),
                "the new certificate is in force, without a restart",
            )


def test_beyond_loopback_without_tls_is_refused(tmp_path: Path) -> None:
    done = run(tmp_path, "serve", "--simulator", "true", "--api.http-listen", "0.0.0.0:0")
    says = "is '0.0.0.0:0', which is not loopback: keys would travel in the clear"
    assert done.returncode == 2 and f"--api.http-listen: {says}" in done.stderr
    done = run(
        tmp_path,
        "serve",
        "--simulator",
        "true",
        "--api.tls-cert",
        "/nowhere/a",
        "--api.tls-key",
        "/nowhere/b",
    )
    assert (
        done.returncode == 2
        and "/nowhere/a: cannot be read: No such file or directory" in done.stderr
    )
