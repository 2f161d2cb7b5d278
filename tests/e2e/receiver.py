"""A web server that takes a webhook's events, or does something else with them."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

OK, BROKEN, SLOW, REDIRECT = 200, 500, -1, 302
SLOW_SECONDS = 300
ELSEWHERE = "elsewhere"


@dataclass
class Receiver:
    """mode says what it answers; calls are all attempts, taken those answered well, followed what
    was asked for after a redirect.
    """

    mode: int = OK
    calls: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    taken: list[dict[str, Any]] = field(default_factory=list)
    followed: list[str] = field(default_factory=list)
    url: str = ""
    closing: threading.Event = field(default_factory=threading.Event)

    def ids(self) -> set[str]:
        return {event["id"] for event in list(self.taken)}

    def settled(self) -> set[str]:
        """The payments of which it was told that they settled."""
        return {
            event["payment"]["id"]
            for event in list(self.taken)
            if event["type"] == "payment.settled"
        }


@contextmanager
def receiving(port: int = 0, context: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """A receiver on loopback until the block ends; with a context it speaks TLS."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            mode = receiver.mode
            receiver.calls.append(
                ({name.lower(): value for name, value in self.headers.items()}, body)
            )
            if self.path.endswith(ELSEWHERE):
                receiver.followed.append(self.path)
            if mode == SLOW:
                receiver.closing.wait(SLOW_SECONDS)
                return
            if mode == OK:
                receiver.taken.append(json.loads(body))
            self.send_response(mode)
            if mode == REDIRECT:
                self.send_header("Location", f"{receiver.url}{ELSEWHERE}")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            receiver.followed.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    if context is not None:
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    receiver.url = f"{'http' if context is None else 'https'}://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield receiver
    finally:
        receiver.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()
