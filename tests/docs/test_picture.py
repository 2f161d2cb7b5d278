"""The picture in the README is of what `streamer demo` prints now."""

from __future__ import annotations

import re
import runpy
import sys
from html import unescape
from pathlib import Path

from tests.docs.pages import DOCS

PICTURE = DOCS / "demo.svg"
MOST_BYTES = 300_000
record = runpy.run_path(str(DOCS / "record.py"))


def shape(line: str) -> str:
    """A line without what changes from run to run: numbers, names of temporary folders, padding."""
    return re.sub(
        r"[─━═]+",
        "─",
        re.sub(
            r"\s+", " ", re.sub(r"[0-9][0-9,.]*", "0", re.sub(r"streamer-demo-\w+", "folder", line))
        ),
    ).strip()


def lines_of(picture: str) -> list[str]:
    return [unescape(line) for line in re.findall(r"<text [^>]*>([^<]*)</text>", picture)]


def test_the_picture_is_what_the_demo_prints() -> None:
    drawn = PICTURE.read_text(encoding="utf-8")
    assert len(drawn.encode()) < MOST_BYTES
    typed, *lines = lines_of(drawn)
    assert typed.startswith(record["TYPED"])
    frames = list(
        record["run"]([str(Path(sys.executable).parent / "streamer"), "demo", "--for", "2s"])
    )
    printed = {shape(line) for line in frames[-1][1]}
    last = drawn[drawn.rindex("<g ") :]
    assert {shape(line) for line in lines_of(last)} == printed - {""}
    assert len(lines) > 5 * len(printed)


def test_a_screen_follows_the_control_sequences() -> None:
    screen = record["Screen"](5, 3)
    screen.feed("abcdefg\r\nxy\x1b[1A\r\x1b[2KZ\x1b[?25l\x1b[1m!")
    assert screen.shown() == ("abcde", "Z!", "xy")


def test_frames_are_thinned_to_the_newest_of_each_step() -> None:
    frames = [(1.0, ("a",)), (1.1, ("b",)), (1.6, ("c",)), (3.0, ("d",))]
    assert [lines for _, lines in record["thinned"](frames)] == [("b",), ("c",), ("d",)]


def test_each_frame_is_seen_in_turn() -> None:
    picture = record["svg"]("$ x", [(0.0, ("one",)), (0.5, ("<two>",))])
    assert lines_of(picture) == ["$ x", "one", "<two>"]
    assert re.findall(r'keyTimes="([^"]*)"', picture) == ["0;0.0000;0.1111", "0;0.1111;1.0000"]
    assert re.findall(r'<g visibility="(\w+)"', picture) == ["hidden", "visible"]
