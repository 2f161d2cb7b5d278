"""Makes docs/demo.svg: a moving picture of `streamer demo`, of what it really prints (`make
picture`).

The command runs in a terminal of its own (a pty), the screen is kept as the control sequences say,
and each screen that was seen becomes a frame. Nothing is drawn that was not printed.
"""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import select
import struct
import sys
import termios
import time
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

COLUMNS, LINES = 106, 20
LENGTH = "8s"
FRAME_SECONDS = 0.5
LAST_SECONDS = 4.0
"""How long the last frame stays before the picture begins again."""
TYPED = "$ streamer demo --for "

CELL_WIDTH, CELL_HEIGHT, MARGIN = 8.4, 18, 14
INK, PAPER, FAINT = "#d8dee9", "#1e2430", "#8fa1b8"
_TOKEN = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|(\r|\n)|([^\x1b\r\n])")

Frame = tuple[float, tuple[str, ...]]
"""(seconds since the start, the lines of the screen)."""


class Screen:
    """As much of a terminal as the program uses: text, line ends, cursor up, erase."""

    def __init__(self, columns: int, lines: int) -> None:
        self.columns, self.lines = columns, lines
        self.rows: list[list[str]] = [[]]
        self.row = self.column = 0

    def feed(self, text: str) -> None:
        """Take what was printed."""
        for found in _TOKEN.finditer(text):
            numbers, command, control, letter = found.groups()
            if letter is not None:
                self._put(letter)
            elif control == "\r":
                self.column = 0
            elif control == "\n":
                self._down()
            else:
                self._command(command, numbers)

    def shown(self) -> tuple[str, ...]:
        """The lines as they are now, at most as many as the screen has."""
        return tuple("".join(row).rstrip() for row in self.rows)[-self.lines :]

    def _put(self, letter: str) -> None:
        if self.column >= self.columns:
            self._down()
            self.column = 0
        row = self.rows[self.row]
        row.extend(" " * (self.column + 1 - len(row)))
        row[self.column] = letter
        self.column += 1

    def _down(self) -> None:
        self.row += 1
        if self.row == len(self.rows):
            self.rows.append([])

    def _command(self, command: str, numbers: str) -> None:
        if command == "A":
            self.row = max(0, self.row - int(numbers or 1))
        elif command == "K":
            row = self.rows[self.row]
            del row[0 if numbers == "2" else self.column :]


def run(command: list[str], columns: int = COLUMNS, lines: int = LINES) -> Iterator[Frame]:
    """Run command in a terminal and give the screen after each piece that it prints. Raises
    OSError.
    """
    child, terminal = pty.fork()
    if child == 0:
        os.environ.update(
            TERM="xterm-256color", COLUMNS=str(columns), LINES=str(lines), NO_COLOR="1"
        )
        os.execvp(command[0], command)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    screen, decoder, began = (
        Screen(columns, lines),
        codecs.getincrementaldecoder("utf-8")(),
        time.monotonic(),
    )
    try:
        while True:
            select.select([terminal], [], [])
            try:
                printed = os.read(terminal, 65_536)
            except OSError:  # how Linux says that the other side of a pty is closed
                return
            if not printed:
                return
            screen.feed(decoder.decode(printed))
            yield time.monotonic() - began, screen.shown()
    finally:
        os.close(terminal)
        os.waitpid(child, 0)


def thinned(frames: Sequence[Frame]) -> list[Frame]:
    """At most one frame for each FRAME_SECONDS, the newest, counted from the first."""
    kept: dict[int, Frame] = {}
    for seconds, lines in frames:
        kept[int((seconds - frames[0][0]) / FRAME_SECONDS)] = (seconds - frames[0][0], lines)
    return list(kept.values())


def svg(typed: str, frames: Sequence[Frame], columns: int = COLUMNS) -> str:
    """The frames as one picture that repeats for ever."""
    total = frames[-1][0] + LAST_SECONDS
    height = (max(len(lines) for _, lines in frames) + 1) * CELL_HEIGHT + 2 * MARGIN
    width = int(columns * CELL_WIDTH) + 2 * MARGIN
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"'
            ' aria-label="streamer demo in a terminal">'
        ),
        (
            "<style>text{font:14px"
            f" ui-monospace,Menlo,Consolas,monospace;fill:{INK};white-space:pre}}"
            f".t{{fill:{FAINT}}}</style>"
        ),
        f'<rect width="{width}" height="{height}" rx="8" fill="{PAPER}"/>',
        _text(0, typed, ' class="t"'),
    ]
    for number, (began, lines) in enumerate(frames):
        ended = frames[number + 1][0] if number + 1 < len(frames) else total
        body = "".join(_text(row + 1, line) for row, line in enumerate(lines) if line)
        # what a viewer without animation shows
        still = "visible" if number + 1 == len(frames) else "hidden"
        parts.append(f'<g visibility="{still}">{_blink(began, ended, total)}{body}</g>')
    return "\n".join([*parts, "</svg>\n"])


def _text(row: int, line: str, style: str = "") -> str:
    length = f' textLength="{len(line) * CELL_WIDTH:.1f}" lengthAdjust="spacingAndGlyphs"'
    return (
        f'<text x="{MARGIN}" y="{MARGIN + (row + 0.8) * CELL_HEIGHT:.1f}"'
        f' xml:space="preserve"{style}{length}>{escape(line)}</text>'
    )


def _blink(began: float, ended: float, total: float) -> str:
    """Visible from began to ended, in each round of total seconds."""
    moments = f"0;{began / total:.4f};{ended / total:.4f}"
    return (
        f'<animate attributeName="visibility" values="hidden;visible;hidden" keyTimes="{moments}"'
        f' calcMode="discrete" dur="{total:.1f}s" repeatCount="indefinite"/>'
    )


def main() -> None:
    """Record the demo and write the picture beside this file."""
    frames = thinned(
        list(run([str(Path(sys.executable).parent / "streamer"), "demo", "--for", LENGTH]))
    )
    Path(__file__).with_name("demo.svg").write_text(svg(TYPED + LENGTH, frames), encoding="utf-8")


if __name__ == "__main__":
    main()
