"""The network as a fixture: in a thread, for code that knows no asyncio."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import grpc
import pytest

from streamer._proto.lnrpc import lightning_pb2 as ln
from streamer._proto.lnrpc import lightning_pb2_grpc, stateservice_pb2, stateservice_pb2_grpc
from streamer._proto.routerrpc import router_pb2 as router
from streamer._proto.routerrpc import router_pb2_grpc
from streamer.simulator.running import Plan, running
from streamer.simulator.serve import ServedNode
from tests.simulator.simnet import hash_of, preimage_of

KEYSEND = 5_482_373_484
START_CPU_SECONDS = 1.0


def channel_to(node: ServedNode) -> grpc.Channel:
    return grpc.secure_channel(
        node.rpcserver, grpc.ssl_channel_credentials(Path(node.tlscertpath).read_bytes())
    )


def pay(node: ServedNode, to: ServedNode, number: int) -> ln.Payment:
    request = router.SendPaymentRequest(
        dest=bytes.fromhex(to.pubkey),
        payment_hash=hash_of(number),
        amt_msat=2_000,
        timeout_seconds=30,
        dest_custom_records={KEYSEND: preimage_of(number)},
        no_inflight_updates=True,
    )
    with channel_to(node) as channel:
        metadata = (("macaroon", Path(node.macaroonpath).read_bytes().hex()),)
        updates: list[ln.Payment] = list(
            router_pb2_grpc.RouterStub(channel).SendPaymentV2(
                request, metadata=metadata, timeout=30
            )
        )
    (payment,) = updates
    return payment


def test_a_blocking_client_pays_and_feels_a_fault() -> None:
    with running(Plan(nodes=2, channels=1)) as network:
        payer, receiver = network.nodes
        assert pay(payer, receiver, 1).status == ln.Payment.SUCCEEDED
        assert [htlc.amount_msat for htlc in network.received(receiver.name)] == [2_000]
        network.strike(receiver.name, "keysend")
        assert pay(payer, receiver, 2).failure_reason == ln.FAILURE_REASON_INCORRECT_PAYMENT_DETAILS
        with pytest.raises(ValueError, match="no fault 'explode'"):
            network.strike(receiver.name, "explode")
        assert network.do(lambda served: served.node(payer.name).name) == "alice"
        with channel_to(payer) as channel:
            metadata = (("macaroon", Path(payer.macaroonpath).read_bytes().hex()),)
            info = lightning_pb2_grpc.LightningStub(channel).GetInfo(
                ln.GetInfoRequest(), metadata=metadata, timeout=30
            )
            assert info.num_active_channels == 1


def test_what_keeps_it_from_starting_is_raised(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text("{}")
    with (
        pytest.raises(ValueError, match="is not a state file"),
        running(Plan(state=tmp_path / "state.json")),
    ):
        pass


def test_it_is_active_in_less_than_a_second() -> None:
    """CPU time of the whole process, from exec to SERVER_ACTIVE: the machine may be busy with
    something else.
    """
    code = "from streamer.cli.simulate import command; command()"
    with subprocess.Popen(
        [sys.executable, "-c", code, "--json"], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            node = ServedNode(**json.loads(process.stdout.readline())["nodes"][0])
            with channel_to(node) as channel:
                state = stateservice_pb2_grpc.StateStub(channel).GetState(
                    stateservice_pb2.GetStateRequest(), timeout=30
                )
            fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
            cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        finally:
            process.terminate()
    assert state.state == stateservice_pb2.SERVER_ACTIVE
    assert cpu < START_CPU_SECONDS, f"it took {cpu} s of CPU time"
