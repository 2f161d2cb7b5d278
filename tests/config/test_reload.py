"""SIGHUP: what is read anew, together with what a running daemon keeps."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from streamer.api.owncert import OwnCertificate
from streamer.config import Config, load_config
from streamer.run.reload import Reload

NODE = '[node]\nrpcserver = "127.0.0.1:1"\n'
OPEN = 'grpc_listen = "0.0.0.0:8881"\nhttp_listen = "0.0.0.0:8882"\n'

After = Callable[[str, str], tuple[Config, Config, Reload]]


@pytest.fixture
def after(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> After:
    """Run with the first text, then SIGHUP with the second: the configuration before and after."""
    caplog.set_level(logging.INFO)
    file = tmp_path / "streamer.toml"

    def load() -> Config:
        return load_config({"HOME": str(tmp_path)}, {}, str(file))

    def change(first: str, second: str) -> tuple[Config, Config, Reload]:
        file.write_text(first)
        before = load()
        file.write_text(second)
        reload = Reload(load)
        return before, reload.next(before), reload

    return change


@pytest.mark.parametrize(
    ("first", "second"), [("simulator = true\n", NODE), (NODE, "simulator = true\n")]
)
def test_real_and_simulated_money_never_mix_and_no_node_is_lost(
    first: str, second: str, after: After, caplog: pytest.LogCaptureFixture
) -> None:
    limit = '[spend_limit]\namount_msat = "1000sat"\n'
    before, new, reload = after(first, second + limit)
    assert (new.simulator, new.nodes) == (before.simulator, before.nodes)
    assert new.spend_limit.amount_msat == 1_000_000 and reload.success
    assert (
        "the choice between simulator and node stays as it is until streamer is started anew"
        in caplog.text
    )


def test_nodes_of_the_same_kind_of_money_are_taken(after: After) -> None:
    _, new, _ = after(NODE, NODE + 'network = "regtest"\n')
    assert [node.network for node in new.nodes] == ["regtest"]


def test_plaintext_beyond_loopback_is_refused_although_the_file_alone_is_good(
    after: After, caplog: pytest.LogCaptureFixture
) -> None:
    loopback = OPEN.replace("0.0.0.0", "127.0.0.1")
    before, new, reload = after(
        f"simulator = true\n[api]\ntls = true\n{OPEN}", f"simulator = true\n[api]\n{loopback}"
    )
    assert new is before and new.api.encrypted and not reload.success
    assert (
        "the old one stays: where the API listens cannot change until streamer is started anew, and"
        " with that: " in caplog.text
    )
    assert "'0.0.0.0:8881', which is not loopback" in caplog.text


def test_one_without_a_node_is_refused(after: After) -> None:
    before, new, reload = after(NODE, "")
    assert new is before and not reload.success


@pytest.mark.parametrize("what", ["cert", "key", "secret"])
def test_a_file_that_is_gone_since_the_start_ends_no_daemon_although_it_did_not_change(
    what: str, after: After, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own = OwnCertificate(tmp_path, ("127.0.0.1:0",), ())
    own.keep()
    files = {"cert": own.cert, "key": own.key, "secret": tmp_path / "webhook.secret"}
    files["secret"].write_text("s" * 32)
    text = (
        f'{NODE}[api]\ntls_cert = "{own.cert}"\ntls_key = "{own.key}"\n[webhook]\nurl ='
        f' "http://127.0.0.1:9/"\nsecret_file = "{files["secret"]}"\n[streams]\nmax_streams = '
    )
    _, new, reload = after(text + "1\n", text + "2\n")
    assert new.streams.max_streams == 2 and reload.success
    files[what].unlink()
    before, new, reload = after(text + "1\n", text + "2\n")
    assert new is before and not reload.success
    assert (
        f"the old one stays: {files[what]}: " in caplog.text
        and "cannot be read: No such file" in caplog.text
    )
    before, new, reload = after(text + "1\n", text + "1\n")
    assert new is before and reload.success, "nothing changed"
