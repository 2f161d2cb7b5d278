"""Installs the npm package once into .cache/node_client, and runs the client at the nodes of a
network.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.contract.script.player import Place

FOLDER = Path(__file__).parent
CACHE = FOLDER.parents[2] / ".cache" / "node_client"
INSTALL_SECONDS = 300
RUN_SECONDS = 180
NPM = (
    "npm",
    "install",
    "--no-package-lock",
    "--ignore-scripts",
    "--no-audit",
    "--no-fund",
    "--prefer-offline",
    "--loglevel=error",
)


def install() -> Path:
    """The folder with the packages. RuntimeError says what is missing."""
    for word in ("node", "npm"):
        if shutil.which(word) is None:
            raise RuntimeError(
                f"the test with a client in JavaScript runs {word}, and there is none: install"
                " Node.js 20 or newer"
            )
    CACHE.mkdir(parents=True, exist_ok=True)
    wanted, stamp = (FOLDER / "package.json").read_text(), CACHE / "installed.json"
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != wanted:
            (CACHE / "package.json").write_text(wanted)
            done = subprocess.run(
                NPM, cwd=CACHE, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
            )
            if done.returncode:
                raise RuntimeError(
                    f"npm did not install {FOLDER / 'package.json'}: {done.stderr[-2000:]}"
                )
            stamp.write_text(wanted)
    return CACHE / "node_modules"


def run(places: dict[str, Place]) -> list[tuple[str, Any]]:
    """What was asked, and what the library gave, one by one."""
    told = {
        name: {
            "socket": place.rpcserver,
            "cert": base64.b64encode(place.certificate).decode(),
            "macaroon": base64.b64encode(bytes.fromhex(place.macaroon)).decode(),
            "public_key": place.pubkey.hex(),
        }
        for name, place in places.items()
    }
    done = subprocess.run(
        ["node", "--no-deprecation", str(FOLDER / "client.js")],
        input=json.dumps(told),
        env={**os.environ, "NODE_PATH": str(install())},
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [(name, answer) for name, answer in json.loads(done.stdout)]
