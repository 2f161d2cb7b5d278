from __future__ import annotations

import base64
import ssl
from pathlib import Path

import pytest

from streamer.nodes.credentials import Access, access, with_port
from streamer.nodes.permissions import NEEDED, bake_command
from streamer.words.errors import ConfigError
from tests.nodes.tiny import make_pair

PAIR = make_pair()
MACAROON = bytes.fromhex("0201036c6e6402f801030a10") + bytes(range(40))


def b64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


DER = ssl.PEM_cert_to_DER_cert(PAIR.certificate.decode())
URI = f"lndconnect://node.example:10010?cert={b64url(DER)}&macaroon={b64url(MACAROON)}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tls.cert").write_bytes(PAIR.certificate)
    (tmp_path / "admin.macaroon").write_bytes(MACAROON)
    return tmp_path


def of(folder: Path) -> Access:
    return access("localhost", str(folder / "tls.cert"), str(folder / "admin.macaroon"))


def test_paths(folder: Path) -> None:
    found = of(folder).read()
    assert (found.rpcserver, found.certificate, found.macaroon) == (
        "localhost:10009",
        PAIR.certificate,
        MACAROON.hex(),
    )


@pytest.mark.parametrize(
    "text",
    [
        MACAROON.hex().encode(),
        MACAROON.hex().upper().encode() + b"\n",
        b"  " + MACAROON.hex().encode(),
    ],
)
def test_a_macaroon_as_hex_text_is_taken(folder: Path, text: bytes) -> None:
    (folder / "admin.macaroon").write_bytes(text)
    assert of(folder).read().macaroon == MACAROON.hex()


def test_everything_is_read_anew(folder: Path) -> None:
    once = of(folder)
    once.read()
    (folder / "admin.macaroon").write_bytes(b"\x02new")
    assert once.read().macaroon == b"\x02new".hex()


def test_lncli_s_default_paths() -> None:
    found = access(lnddir="/home/bob/.lnd", network="regtest")
    assert found.rpcserver == "localhost:10009"
    assert found.tlscertpath == Path("/home/bob/.lnd/tls.cert")
    assert found.macaroonpath == Path("/home/bob/.lnd/data/chain/bitcoin/regtest/admin.macaroon")
    assert access().tlscertpath == Path.home() / ".lnd" / "tls.cert"


def test_given_paths_win_and_tilde_is_home() -> None:
    found = access("h:1", "~/a.cert", "~/b.macaroon", lnddir="/x")
    assert (found.tlscertpath, found.macaroonpath) == (
        Path.home() / "a.cert",
        Path.home() / "b.macaroon",
    )


def test_an_unknown_network() -> None:
    with pytest.raises(ConfigError, match="'main' is none of lnd's: mainnet"):
        access(network="main")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("h", "h:10009"),
        ("h:1", "h:1"),
        ("127.0.0.1:5", "127.0.0.1:5"),
        ("[::1]", "[::1]:10009"),
        ("[::1]:7", "[::1]:7"),
    ],
)
def test_addresses(given: str, expected: str) -> None:
    assert with_port(given) == expected


@pytest.mark.parametrize("given", ["", ":1", "h:x", "https://h:1", "h:99999", "h/p", "u@h:1"])
def test_what_is_no_address(given: str) -> None:
    with pytest.raises(ConfigError, match="is no address: write host:port"):
        with_port(given)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("tls.cert", None, "no TLS certificate .*tls.cert: is the path right"),
        ("tls.cert", b"", "no PEM certificate"),
        ("tls.cert", DER, "no PEM certificate"),
        ("tls.cert", PAIR.key, "private key, .*give tls.cert, not tls.key"),
        (
            "tls.cert",
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "is damaged",
        ),
        ("tls.cert", b"x" * (2 << 20), "too large"),
        ("admin.macaroon", None, "no macaroon at .*admin.macaroon"),
        ("admin.macaroon", b" \n", "admin.macaroon is empty: .*lncli bakemacaroon"),
    ],
)
def test_files_that_are_wrong(folder: Path, name: str, content: bytes | None, says: str) -> None:
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    with pytest.raises(ConfigError, match=says):
        of(folder).read()


def test_a_folder_instead_of_a_file(folder: Path) -> None:
    with pytest.raises(ConfigError, match="is a folder: name the file of the macaroon"):
        access("h", str(folder / "tls.cert"), str(folder)).read()


def test_a_file_that_may_not_be_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    once = of(folder)
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ConfigError, match=r"tls.cert may not be read by this user"):
        once.read()


def test_lndconnect_as_text_and_as_a_file(folder: Path) -> None:
    (folder / "uri").write_text(URI + "\n")
    for given in (URI, str(folder / "uri")):
        found = access(lndconnect=given).read()
        assert found.rpcserver == "node.example:10010"
        assert found.macaroon == MACAROON.hex()
        assert found.certificate is not None
        assert ssl.PEM_cert_to_DER_cert(found.certificate.decode()) == DER


def test_lndconnect_without_a_certificate_trusts_the_system() -> None:
    found = access(lndconnect=f"lndconnect://h?macaroon={b64url(MACAROON)}").read()
    assert (found.rpcserver, found.certificate) == ("h:10009", None)


def test_lndconnect_with_plain_base64_and_padding() -> None:
    plain = base64.b64encode(MACAROON).decode()
    assert access(lndconnect=f"lndconnect://h?macaroon={plain}").read().macaroon == MACAROON.hex()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("lndconnect://h:1?cert=AAAA", "has no macaroon"),
        (f"lndconnect://?macaroon={b64url(MACAROON)}", "is no address"),
        ("lndconnect://h?macaroon=*!", "macaroon of lndconnect is not base64url"),
        (f"lndconnect://h?cert=AAAA&macaroon={b64url(MACAROON)}", "cert of lndconnect is damaged"),
        ("/nowhere/uri", "no lndconnect URI at /nowhere/uri"),
    ],
)
def test_lndconnect_that_is_wrong(given: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        access(lndconnect=given).read()


def test_a_file_that_holds_something_else(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"tls.cert holds no lndconnect URI"):
        access(lndconnect=str(folder / "tls.cert")).read()


def test_lndconnect_stands_alone() -> None:
    with pytest.raises(ConfigError, match="give it alone"):
        access("h", lndconnect=URI)


def test_the_macaroon_is_never_shown(folder: Path) -> None:
    assert MACAROON.hex() not in repr(of(folder).read())
    assert b64url(MACAROON) not in repr(access(lndconnect=URI))


def test_the_bake_command_names_every_permission_and_a_root_key() -> None:
    command = bake_command("x.macaroon")
    assert all(f"uri:{method}" in command.split() for method in NEEDED)
    assert command.startswith("lncli bakemacaroon --save_to x.macaroon --root_key_id ")
