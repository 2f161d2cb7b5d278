"""The HTTP port: the gateway to every method, its description, /metrics, /healthz (alive), /readyz
(can pay).

What only says how the daemon is needs no key; it tells nothing about money but sums.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable
from typing import Any

import grpc
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from streamer.api.errors import refusal, refused
from streamer.api.http.answers import JsonResponse, error_response
from streamer.api.http.connection import IDLE_SECONDS, Connection
from streamer.api.http.gateway import MAX_CALLS
from streamer.api.http.openapi import description
from streamer.api.http.page import POLICY, page
from streamer.api.tls import Tls
from streamer.words.errors import ConfigError
from streamer.words.net import bound

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Prometheus' text format."""
MAX_CONNECTIONS = 2 * MAX_CALLS
"""Twice the calls: whoever comes when those are full is told so in JSON."""
BACKLOG = 128
STOP_SECONDS = 2
UNSENT_BYTES = 16 * 1024
"""Of what one reader does not take, so much waits in the kernel, and HIGH_WATER_LIMIT of uvicorn's
above it.
"""
CORS_METHODS = ("GET", "POST", "PATCH", "DELETE")
CORS_HEADERS = (
    "Authorization",
    "Content-Type",
    "X-API-KEY",
    "Idempotency-Key",
    "Grpc-Timeout",
    "Grpc-Metadata-X-API-KEY",
)
CORS_SHOWN = ("Retry-After", "WWW-Authenticate")


def make_app(
    metrics: Callable[[], bytes],
    unready: Callable[[], str],
    gateway: ASGIApp,
    cors_origins: Iterable[str] = (),
) -> Starlette:
    """The application; unready says why the daemon cannot pay, "" if it can. gateway answers every
    other path.
    """

    async def show_metrics(_: Request) -> Response:
        return Response(metrics(), media_type=METRICS_TYPE)

    async def show_health(_: Request) -> Response:
        return PlainTextResponse("alive\n")

    async def show_ready(_: Request) -> Response:
        problem = unready()
        return PlainTextResponse(f"{problem or 'ready'}\n", status_code=503 if problem else 200)

    routes = [
        Route("/metrics", show_metrics),
        Route("/healthz", show_health),
        Route("/readyz", show_ready),
    ]
    routes += [Route("/openapi.json", _show_description), Route("/docs", _show_page)]
    app = Starlette(
        routes=routes,
        middleware=_cors(cors_origins),
        exception_handlers={405: _other_verb, Exception: _unforeseen},
    )
    app.router.redirect_slashes = False
    app.router.default = gateway
    return app


async def _show_description(_: Request) -> Response:
    return JsonResponse(description())


async def _show_page(_: Request) -> Response:
    return HTMLResponse(page(), headers={"Content-Security-Policy": POLICY})


def _cors(origins: Iterable[str]) -> list[Middleware]:
    """Closed unless origins are listed: no page in a browser may call."""
    allowed = list(origins)
    if not allowed:
        return []
    options: dict[str, Any] = {
        "allow_methods": CORS_METHODS,
        "allow_headers": CORS_HEADERS,
        "expose_headers": CORS_SHOWN,
    }
    return [Middleware(CORSMiddleware, allow_origins=allowed, **options)]


async def _other_verb(request: Request, _: Exception) -> Response:
    text = f"{request.url.path} is not called by {request.method}, but by GET"
    return error_response(refused(grpc.StatusCode.UNIMPLEMENTED, text, "METHOD_NOT_ALLOWED"))


async def _unforeseen(_: Request, error: Exception) -> Response:
    return error_response(refusal(error))


class HttpDoor:
    """The server; its socket is bound in start, so that a taken port is an error and not a log
    line.
    """

    def __init__(self, app: Starlette, listen: str, tls: Tls | None = None) -> None:
        self._listen = listen
        self._tls = tls
        config = uvicorn.Config(
            app,
            http=Connection,
            log_config=None,
            log_level="error",  # not a warning for each request that is no HTTP
            access_log=False,
            lifespan="off",
            limit_concurrency=MAX_CONNECTIONS,
            timeout_keep_alive=IDLE_SECONDS,
            timeout_graceful_shutdown=STOP_SECONDS,
            server_header=False,
        )
        self._server = uvicorn.Server(config)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> str:
        """Open the door and give its address. Raises ConfigError if the port is taken."""
        try:
            door = bound(self._listen, BACKLOG)
        except OSError as error:
            raise ConfigError(
                f"{self._listen}: cannot listen there (api.http_listen): {error.strerror}"
            ) from None
        # Accepted sockets inherit both; without the first, the end of an answer waits 40 ms for an
        # acknowledgement.
        door.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        door.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
        self._server.config.load()
        self._server.config.ssl = None if self._tls is None else self._tls.context
        self._server.lifespan = self._server.config.lifespan_class(self._server.config)
        await self._server.startup(sockets=[door])
        self._task = asyncio.create_task(self._serve(door))
        return f"{self._listen.rpartition(':')[0]}:{door.getsockname()[1]}"

    async def _serve(self, door: socket.socket) -> None:
        # uvicorn.serve would take SIGINT and SIGTERM for itself; they belong to the daemon.
        await self._server.main_loop()
        await self._server.shutdown(sockets=[door])

    async def stop(self) -> None:
        """Close the door; requests that are being answered may end, but not wait for readers who
        take nothing.
        """
        for connection in tuple(self._server.server_state.connections):
            if isinstance(connection, Connection) and connection.stuck:
                connection.cut()
        self._server.should_exit = True
        if self._task is not None:
            await self._task
