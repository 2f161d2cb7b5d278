"""One real lnd: started, asked, frozen, killed and started again."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from streamer._proto.lnrpc import lightning_pb2 as ln
from streamer._proto.lnrpc import lightning_pb2_grpc, stateservice_pb2, stateservice_pb2_grpc
from tests.lnd.binaries import Binaries
from tests.lnd.btcd import PASSWORD, USER, Btcd
from tests.lnd.process import Child, free_port, until

CALL_SECONDS = 30
GIVEN_BACK = re.compile(
    r"unable to decode onion hop iterator for htlc\(id=(\d+), hash=([0-9a-f]{64})\):"
    r" InvalidOnionVersion"
)
"""What lnd logs of an HTLC that it takes for the replay of another one, and fails."""
MAX_MESSAGE_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Received:
    """One settled HTLC in a receiver's own books."""

    chan_id: int
    htlc_index: int
    payment_hash: bytes
    amt_msat: int
    custom_records: dict[int, bytes]
    given_back: bool = False


class Lnd:
    def __init__(
        self, binaries: Binaries, btcd: Btcd, folder: Path, name: str, *options: str
    ) -> None:
        self.name = name
        self.folder = folder
        self.port = free_port()
        self.peer_port = free_port()
        self._binaries = binaries
        self._channel: grpc.Channel | None = None
        flags = {
            "lnddir": folder,
            "alias": name,
            "rpclisten": self.rpcserver,
            "listen": f"127.0.0.1:{self.peer_port}",
            "bitcoin.node": "btcd",
            "btcd.rpchost": f"127.0.0.1:{btcd.port}",
            "btcd.rpcuser": USER,
            "btcd.rpcpass": PASSWORD,
            "btcd.rpccert": btcd.certificate,
            "trickledelay": 50,
            "bitcoin.defaultchanconfs": 1,
            "maxpendingchannels": 20,
            "debuglevel": "error",
        }
        switches = ("--bitcoin.regtest", "--nobootstrap", "--norest", *options)
        folder.mkdir(parents=True)
        self.child = Child(
            [binaries.lnd, *switches, *(f"--{key}={value}" for key, value in flags.items())],
            folder / "lnd.log",
        )

    @property
    def rpcserver(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def tlscertpath(self) -> Path:
        return self.folder / "tls.cert"

    @property
    def macaroonpath(self) -> Path:
        return self.folder / "data" / "chain" / "bitcoin" / "regtest" / "admin.macaroon"

    # -- its life

    def start(self, wait: bool = True) -> None:
        self.child.start()
        if wait:
            self.wait_ready()

    def wait_ready(self, seconds: float = 60) -> None:
        try:
            until(
                f"{self.name} is SERVER_ACTIVE",
                lambda: self.state() == stateservice_pb2.SERVER_ACTIVE,
                seconds,
            )
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.child.tail()}") from None

    def stop(self) -> None:
        self._hang_up()
        self.child.stop(signal.SIGTERM)

    def kill(self) -> None:
        self._hang_up()
        self.child.stop(signal.SIGKILL)

    def freeze(self) -> None:
        self.child.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.child.send_signal(signal.SIGCONT)

    # -- asking it

    def connect(self) -> grpc.Channel:
        if self._channel is None:
            credentials = grpc.ssl_channel_credentials(self.tlscertpath.read_bytes())
            self._channel = grpc.secure_channel(
                self.rpcserver,
                credentials,
                [("grpc.max_receive_message_length", MAX_MESSAGE_BYTES)],
            )
        return self._channel

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        return (("macaroon", self.macaroonpath.read_bytes().hex()),)

    def state(self) -> int:
        try:
            return int(
                stateservice_pb2_grpc.StateStub(self.connect())
                .GetState(stateservice_pb2.GetStateRequest(), timeout=5)
                .state
            )
        except grpc.RpcError:
            self._hang_up()
            raise

    def rpc(self, method: str, request: Any) -> Any:
        """One unary call of lnrpc.Lightning."""
        stub = lightning_pb2_grpc.LightningStub(self.connect())
        return getattr(stub, method)(request, metadata=self.metadata, timeout=CALL_SECONDS)

    def cli(self, *words: str) -> Any:
        """What lncli says, for everything that streamer's own protocol subset does not hold."""
        flags = (f"--rpcserver={self.rpcserver}", f"--lnddir={self.folder}", "--network=regtest")
        command: list[str | Path] = [self._binaries.lncli, *flags, *words]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=CALL_SECONDS, check=False
        )
        assert done.returncode == 0, f"lncli {' '.join(words)}: {done.stderr or done.stdout}"
        return (
            json.loads(done.stdout) if done.stdout.lstrip().startswith("{") else done.stdout.strip()
        )

    @property
    def pubkey(self) -> bytes:
        return bytes.fromhex(self.rpc("GetInfo", ln.GetInfoRequest()).identity_pubkey)

    def channels(self) -> list[ln.Channel]:
        return list(self.rpc("ListChannels", ln.ListChannelsRequest()).channels)

    def given_back(self) -> set[tuple[int, bytes]]:
        """(htlc index, payment hash) of HTLCs that this node failed as replays: their money went
        back.

        lnd notes an onion as seen before it notes that the HTLC was dealt with. Killed in between
        it takes the HTLC, locked in as it is, for a replay when it is up again, whatever its
        invoice says, and even if the payer has the preimage already (lnd 0.21.2:
        DecodeHopIterators, DecayedLog.PutBatch, SetFwdFilter).
        """
        return {
            (int(index), bytes.fromhex(digest))
            for index, digest in GIVEN_BACK.findall(self.child.log.read_text(errors="replace"))
        }

    def received(self) -> list[Received]:
        """All HTLCs that the invoices call settled, in their order: what this node was paid, but
        for what it gave back.
        """
        given_back = self.given_back()
        found: list[Received] = []
        offset = 0
        while True:
            page = self.rpc(
                "ListInvoices", ln.ListInvoiceRequest(index_offset=offset, num_max_invoices=1000)
            )
            for invoice in page.invoices:
                found += [
                    Received(
                        htlc.chan_id,
                        htlc.htlc_index,
                        invoice.r_hash,
                        htlc.amt_msat,
                        dict(htlc.custom_records),
                        (htlc.htlc_index, invoice.r_hash) in given_back,
                    )
                    for htlc in invoice.htlcs
                    if htlc.state == ln.SETTLED
                ]
            if not page.invoices:
                return found
            offset = page.last_index_offset

    def money_sat(self) -> dict[int, int]:
        """chan_id → its own side of the channel, where it has a satoshi or more; an HTLC under way
        is on neither side.
        """
        return {
            channel.chan_id: channel.local_balance
            for channel in self.channels()
            if channel.local_balance
        }

    def received_of(self, payment_hash: bytes) -> list[Received]:
        return [htlc for htlc in self.received() if htlc.payment_hash == payment_hash]

    def _hang_up(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None
