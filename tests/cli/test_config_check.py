"""`streamer config check`: bad for what a start would refuse, and nothing is made or changed by
it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from streamer.cli import run
from streamer.stores.folder import open_folder
from streamer.stores.sqlite import SqliteStore
from tests.cli import daemon

NODE = (
    '[node]\nrpcserver = "127.0.0.1:1"\ntlscertpath = "/nowhere/tls.cert"\nmacaroonpath ='
    ' "/nowhere/x.macaroon"\n'
)


def check(tmp_path: Path, text: str, capfd: pytest.CaptureFixture[str]) -> tuple[int, str]:
    file = tmp_path / "s.toml"
    file.write_text(text)
    code = run(["config", "check", "--config", str(file)])
    captured = capfd.readouterr()
    return code, captured.out + captured.err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('data_dir = "/nowhere/at/all"\n', "cannot be made, because /nowhere/at does not exist"),
        ('data_dir = "/etc/passwd"\n', "/etc/passwd is a file: data_dir must be a folder"),
        ('data_dir = "/a\\u0000b"\n', "data_dir: holds a zero byte, which no path has"),
        (
            '[api]\ntls_cert = "/nowhere/c"\ntls_key = "/nowhere/k"\n',
            "/nowhere/c: cannot be read: No such file",
        ),
        (
            '[webhook]\nurl = "https://x.org/"\nsecret_file = "/nowhere/s"\n',
            "/nowhere/s: webhook.secret_file cannot be read",
        ),
        ("[strems]\n", "s.toml:2: strems: no such option; did you mean streams?"),
        ("nix = {}\n", "nix: no such option"),
        ("[api.nix]\n", "api.nix: no such option"),
        ('[api]\nrequests_per_second = 0\n[history]\nkeep = "1s"\n', "is out of bounds: from 1 to"),
        ('[history]\nkeep = "1s"\n', "is out of bounds: from 1d to 36525d"),
        ("[log]\n[api]\n", "good: "),
    ],
)
def test_a_start_that_would_fail_is_not_good(
    text: str, says: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code, told = check(tmp_path, "simulator = true\n" + text, capfd)
    assert (code, says in told) == (0 if says.startswith("good") else 2, True), told
    assert [path.name for path in tmp_path.iterdir()] == ["s.toml"]


def test_a_folder_of_the_simulator_is_not_for_a_node(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    store = SqliteStore(open_folder(data, "simulator"))
    store.load()
    store._abandon()
    store._folder.close()
    before = {path.name: path.read_bytes() for path in data.iterdir()}
    code, told = check(tmp_path, f'data_dir = "{data}"\n' + NODE, capfd)
    assert (
        code,
        "was written with the simulator, and cannot be used with a real node (lnd)" in told,
    ) == (2, True), told
    assert check(tmp_path, f'data_dir = "{data}"\nsimulator = true\n', capfd)[0] == 0
    (data / "secret").unlink()
    code, told = check(tmp_path, f'data_dir = "{data}"\nsimulator = true\n', capfd)
    assert (code, f"{data}/secret is missing" in told) == (2, True), told
    del before["secret"]
    assert {path.name: path.read_bytes() for path in data.iterdir()} == before


def test_files_of_lnd_that_are_missing_are_a_warning(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code, told = check(tmp_path, NODE, capfd)
    assert (
        code,
        "warning: node main cannot be connected to yet: no TLS certificate" in told,
        "good: " in told,
    ) == (0, True, True), told


def test_a_simulated_network_that_cannot_be_read_is_told_by_serve(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "simulator.json").write_text("{}")
    doors = ("--api.grpc-listen", "127.0.0.1:0", "--api.http-listen", "127.0.0.1:0")
    done = daemon.run(tmp_path, "serve", "--simulator", "true", "--data-dir", str(data), *doors)
    assert (done.returncode, "unexpected" in done.stderr) == (2, False), done.stderr
    assert f"{data}/simulator.json is not a state file of the simulator" in done.stderr


def test_a_folder_is_no_configuration_file(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["config", "check", "--config", str(tmp_path)]) == 2
    assert f"{tmp_path}: is a folder, not a configuration file" in capfd.readouterr().err
