"""`streamer serve`: the daemon, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from streamer import __version__
from streamer.config import BY_KEY, OPTIONS, Config, load_config
from streamer.words.errors import ConfigError

if TYPE_CHECKING:
    from streamer.run.daemon import Daemon

log = logging.getLogger(__name__)


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(OPTIONS):
        text = f"{option.doc}.  [default: {option.default}]"
        command = click.option(
            option.flag, _name(option.key), metavar=option.kind.upper(), help=text
        )(command)
    return command


def _name(key: str) -> str:
    return key.replace(".", "__")


@click.command("serve")
@click.option("--config", "file", metavar="FILE", help="The configuration file.")
@_options
def command(file: str | None, **options: str | None) -> None:
    """Run the daemon: pay what is due, until SIGTERM or Ctrl-C. Each option can also be in the file
    or the environment.
    """
    flags = {key: value for key in BY_KEY if (value := options[_name(key)]) is not None}

    def load() -> Config:
        return load_config(os.environ, flags, file)

    config = load()
    config.require_node()
    run_serve(config, load)


def run_serve(config: Config, load: Callable[[], Config]) -> None:
    """Serve until a signal ends it. The first one drains; a second one does not wait. load reads
    the configuration anew.
    """
    from streamer.run.logs import start_log

    _make_default_home(config)
    start_log(config.log, os.environ)
    with asyncio.Runner(loop_factory=fast_loop()) as runner:
        runner.run(_serve(config, load))


def _make_default_home(config: Config) -> None:
    """A fresh account has no ~/.local/share; a folder that was named must have its parent
    already.
    """
    if "data_dir" in config.written:
        return
    try:
        config.data_dir.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"{config.data_dir.parent}: cannot be made: {error.strerror}; set data_dir"
        ) from None


def fast_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop, where there is one."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


async def _serve(config: Config, load: Callable[[], Config]) -> None:
    from streamer.run.daemon import serve
    from streamer.run.reload import Reload

    stop = asyncio.Event()
    main = asyncio.current_task()
    loop = asyncio.get_running_loop()

    def end(name: str) -> None:
        if stop.is_set() and main is not None:
            log.warning("%s again: not waiting for what is in flight", name)
            main.cancel()
            return
        log.info("%s: planning nothing new, waiting for what is in flight", name)
        stop.set()

    reload = Reload(load)
    loop.add_signal_handler(signal.SIGHUP, reload.asked.set)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end, number.name)
    try:
        await serve(config, stop, _ready, reload)
    except asyncio.CancelledError:
        if not stop.is_set():
            raise


def _ready(daemon: Daemon) -> None:
    from streamer.run.logs import start_log

    start_log(daemon.config.log, os.environ)
    nodes = ", ".join(daemon.engines)
    log.info(
        "streamer %s: gRPC on %s, HTTP on %s, data in %s",
        __version__,
        daemon.grpc_address,
        daemon.http_address,
        daemon.config.data_dir,
    )
    log.info("paying with %s; the key is in %s", nodes, daemon.config.data_dir / "admin.key")
