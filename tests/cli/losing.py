"""A wire to a daemon that loses its answers: requests get through, and what comes back is swallowed
until it is cut.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Losing:
    """From when the mark passes on the way there, nothing comes back. cut ends every connection."""

    def __init__(self, server: str, mark: bytes) -> None:
        host, _, port = server.rpartition(":")
        self._server, self._mark = (host, int(port)), mark
        self._open: list[socket.socket] = [socket.create_server(("127.0.0.1", 0))]
        self.address = f"127.0.0.1:{self._open[0].getsockname()[1]}"
        self._deaf = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._open[0].accept()
                far = socket.create_connection(self._server)
                self._open += [near, far]
                threading.Thread(target=self._there, args=(near, far), daemon=True).start()
                threading.Thread(target=self._back, args=(far, near), daemon=True).start()

    def _there(self, near: socket.socket, far: socket.socket) -> None:
        with suppress(OSError):
            while data := near.recv(65_536):
                if self._mark in data:
                    self._deaf.set()
                far.sendall(data)

    def _back(self, far: socket.socket, near: socket.socket) -> None:
        with suppress(OSError):
            while data := far.recv(65_536):
                if not self._deaf.is_set():
                    near.sendall(data)

    def cut(self) -> None:
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


@contextmanager
def losing(server: str, mark: bytes) -> Iterator[Losing]:
    wire = Losing(server, mark)
    try:
        yield wire
    finally:
        wire.cut()
