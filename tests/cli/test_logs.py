"""The log fits its place."""

from __future__ import annotations

import io
import json
import logging

import pytest

from streamer.run.logs import Journal, JsonLines, formatter, worth_a_line
from streamer.words.settings import LogSettings


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def record(text: str, level: int = logging.WARNING) -> logging.LogRecord:
    return logging.LogRecord("streamer.x", level, "f.py", 1, text, None, None)


@pytest.mark.parametrize(
    ("settings", "output", "environ", "kind"),
    [
        (LogSettings(), Terminal(), {}, logging.Formatter),
        (LogSettings(), io.StringIO(), {"JOURNAL_STREAM": "8:1"}, Journal),
        (LogSettings(), io.StringIO(), {}, JsonLines),
        (LogSettings(format="text"), io.StringIO(), {}, logging.Formatter),
        (LogSettings(format="json"), Terminal(), {"JOURNAL_STREAM": "8:1"}, JsonLines),
    ],
)
def test_the_format_follows_the_place(
    settings: LogSettings, output: io.StringIO, environ: dict[str, str], kind: type
) -> None:
    assert type(formatter(settings, output, environ)) is kind


def test_each_line_has_its_level() -> None:
    assert Journal().format(record("a\nb")) == "<4>streamer.x: a\n<4>b"
    line = json.loads(JsonLines().format(record("a\nb", logging.ERROR)))
    assert (line["level"], line["logger"], line["message"]) == ("error", "streamer.x", "a\nb")


def test_a_caller_who_left_just_before_the_answer_is_no_error() -> None:
    def by(name: str, text: str) -> logging.LogRecord:
        return logging.LogRecord(name, logging.ERROR, "f.py", 1, text, None, None)

    gone = (
        "ExecuteBatchError raised in core by servicer method [/streamer.v1.StreamService/GetStream]"
    )
    assert not worth_a_line(by("grpc._cython.cygrpc", gone))
    assert worth_a_line(
        by("grpc._cython.cygrpc", "Unexpected [KeyError] raised by servicer method [/x]")
    )
    assert worth_a_line(by("streamer.x", gone))
    assert not worth_a_line(
        by("uvicorn.error", "Cancel %s running task(s), timeout graceful shutdown exceeded")
    )
    assert worth_a_line(by("uvicorn.error", "Exception in ASGI application"))
