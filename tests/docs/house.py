"""A place in which the printed commands run as they are: `streamer` on the path, a home, an lnd in
it.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from streamer.nodes.credentials import access
from streamer.nodes.lnd import LndNode
from tests.cli.daemon import environment, free_port

PATIENCE_SECONDS = 60


class House:
    """A home folder with ~/.lnd of a simulated node; what the daemon listens on is in the
    environment.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.grpc, self.http = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        more = {
            "PATH": path,
            "STREAMER_API_GRPC_LISTEN": self.grpc,
            "STREAMER_API_HTTP_LISTEN": self.http,
            "TERM": "dumb",
        }
        self.environment = environment(home, **more)

    def settle_lnd(self, node: dict[str, str]) -> None:
        """Put the node's files where lnd has them, and its address where lnd listens unless told
        otherwise.
        """
        lnddir = self.home / ".lnd"
        chain = lnddir / "data" / "chain" / "bitcoin" / "mainnet"
        chain.mkdir(parents=True)
        shutil.copy(node["tlscertpath"], lnddir / "tls.cert")
        shutil.copy(node["macaroonpath"], chain / "admin.macaroon")
        least = Path(node["macaroonpath"]).with_name("streamer.macaroon")
        shutil.copy(least, self.home / "streamer.macaroon")
        der = ssl.PEM_cert_to_DER_cert((lnddir / "tls.cert").read_text())
        cert, macaroon = (
            base64.urlsafe_b64encode(raw).decode().rstrip("=") for raw in (der, least.read_bytes())
        )
        (self.home / "lndconnect.txt").write_text(
            f"lndconnect://{node['rpcserver']}?cert={cert}&macaroon={macaroon}\n"
        )
        self.lnd = node["rpcserver"]
        self.environment["THEIRS"] = node["theirs"]

    def bash(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run lines as a person would type them; the first that fails ends it."""
        command = ["bash", "-euo", "pipefail", "-c", script]
        return subprocess.run(
            command,
            cwd=self.home,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )

    @contextmanager
    def begun(self, line: str, **more: str) -> Iterator[subprocess.Popen[str]]:
        """A command that runs until it is stopped; it must then end well."""
        with subprocess.Popen(
            ["bash", "-c", f"exec {line}"],
            cwd=self.home,
            env={**self.environment, **more},
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield process
                process.send_signal(signal.SIGTERM)
                assert process.wait(PATIENCE_SECONDS) == 0
            finally:
                process.kill()

    def wait_healthy(self, daemon: subprocess.Popen[str]) -> None:
        """Until `streamer status` has nothing to complain about."""
        until = time.monotonic() + PATIENCE_SECONDS
        while (status := self.bash("streamer status")).returncode:
            assert daemon.poll() is None, "the daemon ended"
            assert time.monotonic() < until, status.stdout + status.stderr


@contextmanager
def simulated_lnd(folder: Path) -> Iterator[dict[str, str]]:
    """A simulated mainnet; its first node, as `streamer simulate --json` tells of it, and an
    invoice of the second ("theirs").
    """
    command = [
        sys.executable,
        "-m",
        "streamer",
        "simulate",
        "--network",
        "mainnet",
        "--dir",
        str(folder),
        "--json",
    ]
    with subprocess.Popen(
        command, env=environment(folder), stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            first, second = json.loads(process.stdout.readline())["nodes"][:2]
            yield {**first, "theirs": asyncio.run(_invoice_of(second))}
        finally:
            process.terminate()


async def _invoice_of(node: dict[str, str]) -> str:
    lnd = LndNode("theirs", access(node["rpcserver"], node["tlscertpath"], node["macaroonpath"]))
    await lnd.open()
    try:
        return await lnd.add_invoice(7_000, "bread", 3_600)
    finally:
        await lnd.close()
