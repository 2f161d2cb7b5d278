"""Configuration: precedence, precise complaints, secrets only as paths, defaults as documented."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from streamer.config import NO_NODE, OPTIONS, Config, load_config
from streamer.words.errors import ConfigError
from streamer.words.settings import (
    ApiSettings,
    LogSettings,
    NodeSettings,
    SpendLimit,
    StreamSettings,
    WebhookSettings,
)

PARTS = {
    "node": NodeSettings,
    "spend_limit": SpendLimit,
    "streams": StreamSettings,
    "api": ApiSettings,
    "webhook": WebhookSettings,
    "log": LogSettings,
}


def load(
    tmp_path: Path, text: str = "", flags: dict[str, str] | None = None, **environ: str
) -> Config:
    file = tmp_path / "streamer.toml"
    file.write_text(text)
    return load_config({"HOME": str(tmp_path), **environ}, flags, str(file))


def refused(
    tmp_path: Path, text: str = "", flags: dict[str, str] | None = None, **environ: str
) -> str:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text, flags, **environ)
    return str(caught.value)


def test_flag_beats_environment_beats_file_beats_default(tmp_path: Path) -> None:
    assert load(tmp_path).api.grpc_listen == "127.0.0.1:8881"
    text = '[api]\ngrpc_listen = "127.0.0.1:1"\n'
    assert load(tmp_path, text).api.grpc_listen == "127.0.0.1:1"
    assert (
        load(tmp_path, text, STREAMER_API_GRPC_LISTEN="127.0.0.1:2").api.grpc_listen
        == "127.0.0.1:2"
    )
    flags = {"api.grpc_listen": "127.0.0.1:3"}
    assert (
        load(tmp_path, text, flags, STREAMER_API_GRPC_LISTEN="127.0.0.1:2").api.grpc_listen
        == "127.0.0.1:3"
    )


@pytest.mark.parametrize("part", PARTS)
def test_every_option_reaches_its_field_and_documents_its_default(
    tmp_path: Path, part: str
) -> None:
    options = [option for option in OPTIONS if option.key.startswith(part + ".")]
    names = {
        option.key.partition(".")[2] + ("_ns" if option.kind == "duration" else "")
        for option in options
    }
    assert names == {field.name for field in fields(PARTS[part])} - {"name"}
    flags = {option.key: option.default for option in options if option.default != "–"}
    config = load(tmp_path, flags=flags)
    got = config.nodes[0] if part == "node" else getattr(config, part)
    assert got == PARTS[part]()


def test_a_node_is_needed_and_the_message_says_how(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path).require_node()
    assert str(caught.value) == NO_NODE
    assert "streamer demo" in NO_NODE
    assert "simulator = true" in NO_NODE
    load(tmp_path, "simulator = true").require_node()
    load(tmp_path, '[node]\nrpcserver = "h:1"').require_node()


def test_several_nodes_each_with_its_own_settings(tmp_path: Path) -> None:
    text = '[nodes.alice]\nrpcserver = "a:1"\n[nodes.bob]\nrpcserver = "b:2"\nmax_in_flight = 7\n'
    alice, bob = load(tmp_path, text, STREAMER_NODES_ALICE_TIMEOUT="10s").nodes
    assert (alice.name, alice.rpcserver, alice.timeout_ns, alice.max_in_flight) == (
        "alice",
        "a:1",
        10_000_000_000,
        100,
    )
    assert (bob.name, bob.rpcserver, bob.max_in_flight, bob.max_in_flight_per_destination) == (
        "bob",
        "b:2",
        7,
        7,
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            '[node]\n\nrpcsever = "x:1"',
            "streamer.toml:3: node.rpcsever: no such option; did you mean node.rpcserver?",
        ),
        (
            '# c\nrpcserver = "x:1"',
            "streamer.toml:2: rpcserver: no such option; did you mean node.rpcserver?",
        ),
        (
            "[streams]\ncatch_up = 5",
            'streamer.toml:2: streams.catch_up: must be a duration with its unit, such as "30s"',
        ),
        ('[streams]\ncatch_up = "5"', "streams.catch_up: duration '5' is not understood"),
        (
            '[streams]\nmin_payment_interval = "50ms"',
            "streams.min_payment_interval: is out of bounds: from 100ms",
        ),
        (
            "[streams]\nmax_payment_msat = 10",
            "streams.max_payment_msat (10) is below streams.min_payment_msat (1000)",
        ),
        (
            "[node]\nmax_in_flight = 0",
            "streamer.toml:2: node.max_in_flight: is out of bounds: from 1 to 10000",
        ),
        ("[node]\nmax_in_flight = true", "node.max_in_flight: must be a whole number"),
        (
            '[node]\nnetwork = "bitcoin"',
            "node.network: is 'bitcoin'; one of: empty, mainnet, testnet",
        ),
        ('[node]\ntimeout = "1500ms"', "whole seconds are needed"),
        ('[nodes.Alice]\nrpcserver = "x:1"', "a node's name has lower case letters"),
        ("[nodes.alice]\n", "[nodes.alice] is empty"),
        (
            '[api]\ngrpc_listen = "0.0.0.0:8881"',
            "is not loopback: keys would travel in the clear. Set api.tls = true",
        ),
        ('[api]\ntls_cert = "x.pem"', "api.tls_cert and api.tls_key go together"),
        ('[api]\ntls_names = ["a b"]', "holds 'a b', which is no host name or address"),
        ('[api]\nhttp_listen = "example.org:80"', "is not loopback"),
        ('[api]\nhttp_listen = "127.0.0.1:8881"', "are the same address"),
        (
            'simulator = true\n[node]\nrpcserver="a:1"',
            "simulator = true and a node (main) exclude each other",
        ),
        ("[node\n", "streamer.toml: is not valid TOML: "),
        (
            '[node]\nlndconnect = "a"\nmacaroonpath = "b"',
            "lndconnect holds address, certificate and macaroon: leave out macaroonpath",
        ),
        (
            '[node]\nrpcserver="a:1"\n[nodes.b]\nrpcserver="b:1"',
            "[node] and [nodes.NAME] exclude each other",
        ),
    ],
)
def test_a_wrong_file_is_refused_with_line_and_remedy(tmp_path: Path, text: str, says: str) -> None:
    assert says in refused(tmp_path, text)


def test_a_file_in_another_encoding_is_no_toml(tmp_path: Path) -> None:
    file = tmp_path / "streamer.toml"
    file.write_bytes("# für zu Hause\n".encode("latin-1"))
    with pytest.raises(
        ConfigError, match=r"streamer\.toml: is not valid TOML: it is no text in UTF-8$"
    ):
        load_config({}, {}, str(file))


def test_a_secret_is_never_a_value_and_never_shown(tmp_path: Path) -> None:
    for secret in (
        "0201036c6e64" * 20,
        "lndconnect://h:1?macaroon=AAAA",
        "-----BEGIN CERTIFICATE-----",
    ):
        message = refused(tmp_path, f'[node]\nmacaroonpath = "{secret}"')
        assert "takes the path of a file" in message
        assert secret not in message


def test_paths_start_at_the_file_home_or_the_credentials(tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "macaroon").write_text("x")
    text = '[node]\ntlscertpath = "tls.cert"\nmacaroonpath = "macaroon"\nlnddir = "/srv/lnd"'
    node = load(tmp_path, text, CREDENTIALS_DIRECTORY=str(credentials)).nodes[0]
    assert node.tlscertpath == tmp_path / "tls.cert"
    assert node.macaroonpath == credentials / "macaroon"
    assert node.lnddir == Path("/srv/lnd")


def test_unknown_variable_and_missing_file_are_errors(tmp_path: Path) -> None:
    message = refused(tmp_path, STREAMER_NODE_RPCSERVR="x:1")
    assert (
        message == "$STREAMER_NODE_RPCSERVR: no such option; did you mean STREAMER_NODE_RPCSERVER?"
    )
    with pytest.raises(ConfigError, match="no such configuration file; it is named by --config"):
        load_config({}, {}, str(tmp_path / "absent.toml"))
    with pytest.raises(ConfigError, match=r"named by \$STREAMER_CONFIG"):
        load_config({"STREAMER_CONFIG": str(tmp_path / "absent.toml")})


def test_data_dir_follows_systemd_then_xdg_then_home(tmp_path: Path) -> None:
    assert load(tmp_path, STATE_DIRECTORY="/var/lib/streamer:/x").data_dir == Path(
        "/var/lib/streamer"
    )
    assert load(tmp_path, XDG_DATA_HOME="/data").data_dir == Path("/data/streamer")
    assert load(tmp_path).data_dir == tmp_path / ".local/share/streamer"
    assert load(tmp_path, 'data_dir = "d"').data_dir == tmp_path / "d"


def test_the_file_is_found_where_xdg_says(tmp_path: Path) -> None:
    (tmp_path / "streamer").mkdir()
    (tmp_path / "streamer" / "streamer.toml").write_text("simulator = true")
    config = load_config({"XDG_CONFIG_HOME": str(tmp_path)})
    assert config.simulator
    assert config.written["simulator"].origin.endswith("streamer.toml:1: simulator")


def test_catch_up_forever_and_amounts_with_units(tmp_path: Path) -> None:
    streams = load(
        tmp_path,
        '[streams]\ncatch_up = "forever"\nfee_floor_msat = "7sat"\nmax_payment_msat = 9000',
    ).streams
    assert (streams.catch_up_ns, streams.fee_floor_msat, streams.max_payment_msat) == (
        None,
        7_000,
        9_000,
    )


def test_origins_are_a_list_in_the_file_and_a_text_elsewhere(tmp_path: Path) -> None:
    both = ("https://a.example", "http://localhost:3000")
    assert (
        load(
            tmp_path, '[api]\ncors_origins = ["https://a.example", "http://localhost:3000"]'
        ).api.cors_origins
        == both
    )
    assert (
        load(
            tmp_path, STREAMER_API_CORS_ORIGINS="https://a.example, http://localhost:3000"
        ).api.cors_origins
        == both
    )
    for text in (
        '"*"',
        '["*"]',
        '["https://*.example"]',
        '["https://a.example/"]',
        '["a.example"]',
    ):
        assert "an origin is a scheme and a host" in refused(
            tmp_path, f"[api]\ncors_origins = {text}"
        )
    for text in ("7", "[7]"):
        assert "must be a list of origins" in refused(tmp_path, f"[api]\ncors_origins = {text}")
