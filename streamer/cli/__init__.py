"""The command line: one file per noun, loaded only when it is named, so that `streamer` starts
fast.

Exit codes: 0 done, 1 refused, 2 wrong usage or configuration, 3 daemon not reachable, 4 the answer
is "no" or "unhealthy", 130 Ctrl-C. A failure is one line "streamer: …" on stderr, never a
traceback.
"""

from __future__ import annotations

import errno
import os
import sys
from importlib import import_module

import click

from streamer.words.errors import ConfigError, InvalidArgument, StreamerError

REFUSED, USAGE, NOT_REACHABLE, NO = 1, 2, 3, 4
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EIO)
INTERRUPTED = 130
"""What a shell expects after Ctrl-C."""

NOUNS = {
    "demo": "See money stream on a simulated network, without a node",
    "serve": "Run the daemon",
    "status": "One look at everything; exit 4 if something is wrong",
    "simulate": "Run simulated lnd nodes",
    "stream": "Open, show, change and end streams",
    "payment": "List, show and write off payments",
    "keysend": "Send one payment",
    "invoice": "Make, pay and check invoices",
    "sending": "Stop and start all payments",
    "key": "Make, take over, list and revoke keys of the API",
    "config": "Show and check the configuration",
}


class Lazy(click.Group):
    """Imports the file of a noun when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All nouns, in the order of the documentation."""
        return list(NOUNS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a noun."""
        if cmd_name not in NOUNS:
            return None
        command = import_module(f"streamer.cli.{cmd_name}").command
        if not isinstance(command, click.Command):
            raise TypeError(f"streamer.cli.{cmd_name}.command is no command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The nouns with their sentences, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(NOUNS.items()))


@click.group(
    cls=Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120}
)
@click.version_option(
    package_name="keysend-streamer", prog_name="streamer", message="%(prog)s %(version)s"
)
def streamer() -> None:
    """Stream money over the Lightning Network: exact pay-per-time, by keysend."""


def main() -> None:
    """Run the command line and exit."""
    _open_standard_files()
    # what fails comes back as a status, and is told in our words
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    sys.exit(run(sys.argv[1:]))


def _open_standard_files() -> None:
    """What was closed by who called us leads nowhere: else a socket gets its number, and libuv
    aborts a process that closes that.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))


def run(arguments: list[str]) -> int:
    """Run one command; its exit code. Writes failures to stderr."""
    try:
        code = streamer.main(arguments, prog_name="streamer", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    # click's, when the reader of the output has left, who has read enough; or after shell
    # completion
    except SystemExit:
        return 0
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return USAGE
    except click.ClickException as error:
        usage = (
            f"\n{error.ctx.get_usage()}"
            if isinstance(error, click.UsageError) and error.ctx is not None
            else ""
        )
        return _fail(_words(error) + usage, error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except StreamerError as error:
        return _fail(str(error), _code(error))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        return _fail(_where(error), REFUSED)
    except UnicodeEncodeError as error:
        strange = os.fsencode(error.object[error.start : error.end])
        return _fail(
            f"{strange!r} is no UTF-8, or the locale is not: LANG=C.UTF-8 is, for example", USAGE
        )
    except Exception as error:
        return _fail(f"unexpected: {type(error).__name__}: {error}", REFUSED)


def _words(error: click.ClickException) -> str:
    """Click's message; it takes a negative amount for an option."""
    if isinstance(error, click.NoSuchOption) and error.option_name[1:2].isdigit():
        return f"{error.option_name}… looks like a negative amount: nothing below 0 can be paid"
    return " ".join(error.format_message().split())


def _where(error: OSError) -> str:
    """What could not be read or written; a write to the output does not say where it failed."""
    if error.filename is not None:
        return f"{error.filename}: cannot be read or written: {error.strerror}"
    if error.errno in NO_ROOM:
        return f"the output cannot be written: {error.strerror}"
    return f"unexpected: {type(error).__name__}: {error}"


def _code(error: StreamerError) -> int:
    if error.reason == "NOT_REACHABLE":
        return NOT_REACHABLE
    return USAGE if isinstance(error, ConfigError | InvalidArgument) else REFUSED


def _fail(message: str, code: int) -> int:
    click.echo(f"streamer: {message}", err=True)
    return code
