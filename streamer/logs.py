"""Where the log goes and how it looks: text for people and journald, JSON for programs. Never a secret."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

from streamer.settings import LogSettings

TEXT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


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


def start_log(settings: LogSettings) -> None:
    """Send the log of the whole process to stderr, as settings say."""
    as_json = settings.format == "json" or (settings.format == "auto" and not sys.stderr.isatty())
    output = logging.StreamHandler(sys.stderr)
    output.setFormatter(JsonLines() if as_json else logging.Formatter(TEXT))
    logging.basicConfig(level=settings.level.upper(), handlers=[output], force=True)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
