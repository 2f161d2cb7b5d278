"""The control API of a simulator: faults over plain HTTP and JSON, on an address of its own.

GET /v1/nodes, GET /v1/faults, GET /v1/played, POST /v1/nodes/NODE/faults/FAULT with the parameters
as a JSON object. Nobody is asked who he is: it listens on this machine, and nothing behind it is
worth anything.
"""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from streamer.simulator.control.control import FAULTS, Control
from streamer.simulator.lnrpc.server import Unavailable

MAX_BODY_BYTES = 64 * 1024
MAX_CONNECTIONS = 100
BACKLOG = 16
STOP_SECONDS = 1


class ControlServer:
    """Serves one Control at host:port (0: any free one); start, then stop."""

    def __init__(self, control: Control, host: str = "127.0.0.1", port: int = 0) -> None:
        self._control = control
        self._host, self._port = host, port
        self._task: asyncio.Task[None] | None = None
        routes = [
            Route("/v1/nodes", self._nodes, methods=["GET"]),
            Route("/v1/faults", self._faults, methods=["GET"]),
            Route("/v1/played", self._played, methods=["GET"]),
            Route("/v1/nodes/{node}/faults/{fault}", self._strike, methods=["POST"]),
        ]
        config = uvicorn.Config(
            Starlette(routes=routes),
            log_config=None,
            log_level="error",
            access_log=False,
            lifespan="off",
            limit_concurrency=MAX_CONNECTIONS,
            timeout_graceful_shutdown=STOP_SECONDS,
            server_header=False,
        )
        self._server = uvicorn.Server(config)

    async def start(self) -> str:
        """Listen, and give the address ("http://127.0.0.1:40000"); raises Unavailable when it is
        taken.
        """
        try:
            bound = socket.create_server((self._host, self._port), backlog=BACKLOG)
        except OSError as error:
            raise Unavailable(
                f"cannot listen on {self._host}:{self._port} for control: {error.strerror}"
            ) from error
        self._server.config.load()
        self._server.lifespan = self._server.config.lifespan_class(self._server.config)
        await self._server.startup(sockets=[bound])
        self._task = asyncio.create_task(self._serve(bound))
        return f"http://{self._host}:{bound.getsockname()[1]}"

    async def stop(self) -> None:
        """Free the address."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task

    async def _serve(self, bound: socket.socket) -> None:
        # uvicorn.serve would take the signals for itself
        await self._server.main_loop()
        await self._server.shutdown(sockets=[bound])

    async def _nodes(self, request: Request) -> JSONResponse:
        return JSONResponse({"nodes": self._control.nodes()})

    async def _faults(self, request: Request) -> JSONResponse:
        return JSONResponse({"faults": {name: _described(name) for name in FAULTS}})

    async def _played(self, request: Request) -> JSONResponse:
        return JSONResponse({"played": list(self._control.played)})

    async def _strike(self, request: Request) -> JSONResponse:
        body = await request.body()
        try:
            if len(body) > MAX_BODY_BYTES:
                raise ValueError("the parameters are too long")
            self._control.strike(
                request.path_params["node"], request.path_params["fault"], _parameters(body)
            )
        except ValueError as error:
            return JSONResponse({"error": str(error)}, status_code=400)
        return JSONResponse({})


def _parameters(body: bytes) -> dict[str, Any]:
    found = json.loads(body) if body.strip() else {}
    if not isinstance(found, dict):
        raise ValueError("the parameters are not a JSON object")
    return found


def _described(name: str) -> dict[str, Any]:
    fault = FAULTS[name]
    parameters = {
        key: {"about": about, "default": default}
        for key, (_, default, about) in fault.parameters.items()
    }
    return {"about": fault.about, "parameters": parameters}
