"""Where the log goes and how it looks: text for people, levels for journald, JSON for programs.
Never a secret.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TextIO

from streamer.words.settings import LogSettings

TEXT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
SYSLOG = {"DEBUG": 7, "INFO": 6, "WARNING": 4, "ERROR": 3, "CRITICAL": 2}
"""Levels as journald reads them at the start of a line (sd-daemon(3))."""

EXPECTED = {
    "grpc._cython.cygrpc": ("ExecuteBatchError raised in core",),
    "uvicorn.error": (
        "Cancel %s running task",
        "ASGI callable returned without completing response",
    ),
}
"""Logger → how lines begin that only say that a caller left before the answer, did not take it, or
was still sending at our end.
"""


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and the exception if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class Journal(logging.Formatter):
    """A level that journald understands before each line; the time is journald's."""

    def format(self, record: logging.LogRecord) -> str:
        """The lines of a record."""
        level = f"<{SYSLOG.get(record.levelname, 6)}>"
        return "\n".join(
            level + line for line in f"{record.name}: {super().format(record)}".splitlines()
        )


def formatter(
    settings: LogSettings, output: TextIO, environ: Mapping[str, str]
) -> logging.Formatter:
    """What fits the place: a terminal, journald ($JOURNAL_STREAM), or anything else."""
    if settings.format == "text" or (settings.format == "auto" and output.isatty()):
        return logging.Formatter(TEXT)
    if settings.format == "auto" and "JOURNAL_STREAM" in environ:
        return Journal()
    return JsonLines()


def worth_a_line(record: logging.LogRecord) -> bool:
    """All but what libraries call an error and is none (EXPECTED)."""
    return not str(record.msg).startswith(EXPECTED.get(record.name, ()))


def start_log(settings: LogSettings, environ: Mapping[str, str]) -> None:
    """Send the log of the whole process to stderr, as settings say."""
    output = logging.StreamHandler(sys.stderr)
    output.addFilter(worth_a_line)
    output.setFormatter(formatter(settings, sys.stderr, environ))
    logging.basicConfig(level=settings.level.upper(), handlers=[output], force=True)
    # httpx has a line for each call, with the whole address of the webhook
    for name in ("uvicorn", "httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
