"""Puts the configuration together: flag > environment > file > default; complains precisely."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from streamer.config.options import BY_KEY, ENV_PREFIX, NODE_PREFIX, OPTIONS, Option, Place
from streamer.words.errors import ConfigError

SYSTEM_FILE = Path("/etc/streamer/streamer.toml")
CONFIG_ENV = "STREAMER_CONFIG"
OTHER_ENV = frozenset({CONFIG_ENV, "STREAMER_KEY_FILE", "STREAMER_SERVER", "STREAMER_TLS_CERT"})
"""Names in the environment that are not options: for finding the file, and for the client."""

PARTS = frozenset(
    {"nodes", *(option.key.partition(".")[0] for option in OPTIONS if "." in option.key)}
)
"""The tables of the file; an empty one says nothing."""

_NODE_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,30}")


@dataclass(frozen=True, slots=True)
class Value:
    """A parsed value and where it came from, as messages and `config show` call that place."""

    value: object
    origin: str


@dataclass(slots=True)
class Values:
    """All values that were written somewhere: plain options, and those of each named node."""

    plain: dict[str, Value] = field(default_factory=dict)
    nodes: dict[str, dict[str, Value]] = field(default_factory=dict)
    file: Path | None = None


def find_file(environ: Mapping[str, str], flag: str | None = None) -> Path | None:
    """The configuration file: --config, $STREAMER_CONFIG, then the two usual places; None if there
    is none.
    """
    named = flag or environ.get(CONFIG_ENV)
    if named:
        path = Path(named).expanduser()
        if not path.is_file():
            what = (
                "is a folder, not a configuration file"
                if path.is_dir()
                else "no such configuration file"
            )
            raise ConfigError(
                f"{path}: {what}; it is named by {'--config' if flag else '$' + CONFIG_ENV}"
            )
        return path
    home = Path(environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME", "/")) / ".config")
    return next(
        (path for path in (SYSTEM_FILE, home / "streamer" / "streamer.toml") if path.is_file()),
        None,
    )


def read_values(path: Path | None, environ: Mapping[str, str], flags: Mapping[str, str]) -> Values:
    """Merge file, environment and flags (option key → text); ConfigError names place and remedy."""
    values = Values(file=path)
    if path is not None:
        _read_file(path, environ, values)
    for name, text in sorted(environ.items()):
        if name.startswith(ENV_PREFIX) and name not in OTHER_ENV:
            _read_variable(name, text, environ, values)
    for key, text in flags.items():
        option = BY_KEY[key]
        values.plain[key] = _parse(option, text, Place(option.flag, Path.cwd(), environ))
    return values


def _read_file(path: Path, environ: Mapping[str, str], values: Values) -> None:
    try:
        text = path.read_text(encoding="utf-8")
        document = tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not valid TOML: it is no text in UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: is not valid TOML: {error}") from None
    for key, value in _flatten(document, ""):
        place = Place(f"{path}:{_line_of(text, key)}: {key}", path.resolve().parent, environ)
        node, option = _locate(key, place)
        found = _parse(option, value, place)
        if node:
            values.nodes.setdefault(node, {})[option.key] = found
        else:
            values.plain[key] = found


def _flatten(table: Mapping[str, object], prefix: str) -> Iterator[tuple[str, object]]:
    for key, value in table.items():
        empty = value == {} and prefix + key not in PARTS
        if isinstance(value, dict) and not empty:
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _locate(key: str, place: Place) -> tuple[str, Option]:
    """The node's name ("" outside [nodes.NAME]) and the option that a key of the file means."""
    node, plain = "", key
    if key.startswith("nodes."):
        node, _, rest = key.removeprefix("nodes.").partition(".")
        if not _NODE_NAME.fullmatch(node):
            raise ConfigError(
                f"{place.name}: a node's name has lower case letters, digits, - and _, at most 31:"
                f" not {node!r}"
            )
        plain = NODE_PREFIX + rest
        if not rest:
            raise ConfigError(f"{place.name}: [{key}] is empty: give it at least an rpcserver")
    option = BY_KEY.get(plain)
    if option is None:
        raise ConfigError(
            f"{place.name}: no such option{_suggest(plain)}; `streamer config show` lists all"
        )
    return node, option


def _suggest(key: str) -> str:
    close = get_close_matches(key, BY_KEY if "." in key else [*BY_KEY, *PARTS], n=1, cutoff=0.6)
    if not close:
        close = [
            option for option in BY_KEY if option.rpartition(".")[2] == key.rpartition(".")[2]
        ][:1]
    return f"; did you mean {close[0]}?" if close else ""


def _line_of(text: str, key: str) -> int:
    """The line of a dotted key: the first that assigns or opens the longest part of it found."""
    table, best, depth = "", 1, 0
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[+\s*([^\]]+?)\s*\]", line)
        if header:
            table = re.sub(r"[\"'\s]", "", header[1]) + "."
        name = (
            table.removesuffix(".")
            if header
            else table + re.sub(r"[\"'\s]", "", line.partition("=")[0])
        )
        if (key == name or key.startswith(name + ".")) and len(name) > depth:
            best, depth = number, len(name)
    return best


def _read_variable(name: str, text: str, environ: Mapping[str, str], values: Values) -> None:
    place = Place(f"${name}", Path.cwd(), environ)
    for node in values.nodes:
        prefix = f"{ENV_PREFIX}NODES_{node.replace('-', '_').upper()}_"
        option = next(
            (
                option
                for option in OPTIONS
                if name == prefix + option.env.removeprefix(ENV_PREFIX + "NODE_")
            ),
            None,
        )
        if option is not None:
            values.nodes[node][option.key] = _parse(option, text, place)
            return
    option = next((option for option in OPTIONS if option.env == name), None)
    if option is None:
        close = get_close_matches(name, [known.env for known in OPTIONS], n=1)
        raise ConfigError(
            f"${name}: no such option" + (f"; did you mean {close[0]}?" if close else "")
        )
    values.plain[option.key] = _parse(option, text, place)


def _parse(option: Option, value: object, place: Place) -> Value:
    try:
        return Value(option.parse(value, place), place.name)
    except ValueError as error:
        raise ConfigError(f"{place.name}: {error}") from None


def default_data_dir(environ: Mapping[str, str]) -> Path:
    """$STATE_DIRECTORY (its first, as systemd gives it), else $XDG_DATA_HOME or ~/.local/share."""
    state = environ.get("STATE_DIRECTORY", "").partition(":")[0]
    if state:
        return Path(state)
    home = environ.get("HOME") or os.path.expanduser("~")  # noqa: PTH111
    return Path(environ.get("XDG_DATA_HOME") or Path(home) / ".local" / "share") / "streamer"
