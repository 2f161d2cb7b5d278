"""A btcd on regtest: the chain below the lnds, with a tap to mine from."""

from __future__ import annotations

import base64
import json
import signal
import ssl
import urllib.request
from pathlib import Path
from typing import Any

from tests.lnd import block
from tests.lnd.binaries import Binaries
from tests.lnd.process import Child, free_port, until

NOBODY = "mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn"
"""An address of the test networks that no wallet here owns."""

USER, PASSWORD = "chain", "regtest"


class Btcd:
    def __init__(self, binaries: Binaries, folder: Path) -> None:
        self.port = free_port()
        self.certificate = folder / "rpc.cert"
        self._folder = folder
        self._binary = binaries.btcd
        self._child = Child([], folder / "btcd.log")
        folder.mkdir(parents=True)

    def start(self, miner: str = NOBODY) -> None:
        options = {
            "configfile": self._folder / "btcd.conf",
            "datadir": self._folder / "data",
            "logdir": self._folder / "logs",
            "rpccert": self.certificate,
            "rpckey": self._folder / "rpc.key",
            "rpclisten": f"127.0.0.1:{self.port}",
            "listen": f"127.0.0.1:{free_port()}",
            "rpcuser": USER,
            "rpcpass": PASSWORD,
            "miningaddr": miner,
            "debuglevel": "warn",
        }
        flags = ("--regtest", "--txindex", "--nobanning", "--nostalldetect", "--nodnsseed")
        (self._folder / "btcd.conf").touch()
        self._child.command = [
            str(self._binary),
            *flags,
            *(f"--{name}={value}" for name, value in options.items()),
        ]
        self._child.start()
        until("btcd answers", lambda: self.call("getblockcount") >= 0)

    def mine(self, blocks: int = 1) -> None:
        self.call("generate", blocks)

    def mine_at(self, *times_seconds: int) -> None:
        """Empty blocks with these times (Unix) in their headers, whatever the clock says."""
        parent = self.call("getbestblockhash")
        for time_seconds in times_seconds:
            parent, made = block.made(parent, time_seconds)
            refusal = self.call("submitblock", made)
            assert refusal is None, refusal

    def height(self) -> int:
        return int(self.call("getblockcount"))

    def stop(self) -> None:
        self._child.stop()

    def freeze(self) -> None:
        self._child.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._child.send_signal(signal.SIGCONT)

    def call(self, method: str, *arguments: Any) -> Any:
        body = json.dumps(
            {"jsonrpc": "1.0", "id": 1, "method": method, "params": arguments}
        ).encode()
        key = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        headers = {"Authorization": f"Basic {key}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"https://127.0.0.1:{self.port}", body, headers)
        context = ssl.create_default_context(cafile=str(self.certificate))
        with urllib.request.urlopen(request, context=context, timeout=60) as reply:
            answer = json.load(reply)
        assert answer["error"] is None, answer["error"]
        return answer["result"]
