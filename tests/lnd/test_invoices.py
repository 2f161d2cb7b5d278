"""The Impervious flow on real lnd, by gRPC and by HTTP: generate on one node, pay from the other,
check on the first.
"""

from __future__ import annotations

import hashlib
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from streamer._proto.imp.api.lightning import lightning_pb2 as ln
from streamer._proto.imp.api.lightning import lightning_pb2_grpc
from tests.lnd.daemon import DaemonProcess, until
from tests.lnd.network import Network

pytestmark = pytest.mark.lnd

CALL_SECONDS = 60


@pytest.fixture
def payer(lnd_network: Network, tmp_path: Path) -> Iterator[DaemonProcess]:
    with DaemonProcess(lnd_network.nodes[0], tmp_path / "payer") as process:
        yield process


@pytest.fixture
def payee(lnd_network: Network, tmp_path: Path) -> Iterator[DaemonProcess]:
    with DaemonProcess(lnd_network.nodes[1], tmp_path / "payee") as process:
        yield process


def by_grpc(daemon: DaemonProcess, method: str, request: Any) -> Any:
    """A call as any client of the Impervious protos makes it."""
    with grpc.insecure_channel(daemon.server) as channel:
        stub = lightning_pb2_grpc.LightningStub(channel)
        return getattr(stub, method)(
            request, timeout=CALL_SECONDS, metadata=(("x-api-key", daemon.key.read_text().strip()),)
        )


def by_http(daemon: DaemonProcess, method: str, **fields: Any) -> Any:
    """The same as curl does: POST, JSON, and the key in the header that Impervious has for it."""
    headers = {
        "Grpc-Metadata-X-API-KEY": daemon.key.read_text().strip(),
        "Content-Type": "application/json",
    }
    url = f"http://{daemon.http}/v1/lightning/{method}"
    request = urllib.request.Request(url, json.dumps(fields).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=CALL_SECONDS) as reply:
            return json.loads(reply.read())
    except urllib.error.HTTPError as error:
        with error:
            return {"status": error.code, **json.loads(error.read())}


def arrived(network: Network, invoice: str) -> int:
    """What the payee's own lnd says was paid for it, in msat."""
    payee = network.nodes[1]
    found = payee.cli(
        "lookupinvoice", "--rhash", payee.cli("decodepayreq", "--pay_req", invoice)["payment_hash"]
    )
    return int(found["amt_paid_msat"])


def test_generate_pay_and_check_by_grpc(
    lnd_network: Network, payer: DaemonProcess, payee: DaemonProcess
) -> None:
    made = by_grpc(
        payee, "GenerateInvoice", ln.GenerateInvoiceRequest(amount=25, memo="tea ☕")
    ).invoice
    assert not by_grpc(payee, "CheckInvoice", ln.CheckInvoiceRequest(invoice=made)).paid
    preimage = by_grpc(payer, "PayInvoice", ln.PayInvoiceRequest(invoice=made)).preimage
    payment_hash = lnd_network.nodes[1].cli("decodepayreq", "--pay_req", made)["payment_hash"]
    assert hashlib.sha256(bytes.fromhex(preimage)).hexdigest() == payment_hash
    assert by_grpc(payee, "CheckInvoice", ln.CheckInvoiceRequest(invoice=made)).paid
    payer.kill()
    payer.start()
    assert by_grpc(payer, "PayInvoice", ln.PayInvoiceRequest(invoice=made)).preimage == preimage
    assert arrived(lnd_network, made) == 25_000
    local = by_grpc(payer, "GetChannels", ln.GetChannelsRequest()).amt
    assert local == sum(
        channel.local_balance for channel in lnd_network.nodes[0].channels() if channel.active
    )
    [listed] = json.loads(by_grpc(payer, "ListPayments", ln.ListPaymentsRequest()).payments)
    assert (listed["paymentRequest"], listed["state"], listed["amountMsat"]) == (
        made,
        "SETTLED",
        "25000",
    )
    newest = json.loads(by_grpc(payee, "ListInvoices", ln.ListInvoicesRequest()).invoices)[0]
    assert (newest["invoice"], newest["state"], newest["paidMsat"]) == (made, "SETTLED", "25000")


def test_generate_pay_and_check_by_http(
    lnd_network: Network, payer: DaemonProcess, payee: DaemonProcess
) -> None:
    made = by_http(payee, "generateinvoice", amount="25", memo="tea")["invoice"]
    assert by_http(payee, "checkinvoice", invoice=made) == {"paid": False}
    paid = by_http(payer, "payinvoice", invoice=made)
    assert (
        by_http(payer, "payinvoice", invoice=made) == paid
        and len(bytes.fromhex(paid["preimage"])) == 32
    )
    assert by_http(payee, "checkinvoice", invoice=made) == {"paid": True}
    refused = by_http(payer, "payinvoice", invoice="lnbcrt1garbage")
    assert (refused["status"], refused["code"]) == (400, 3) and refused["message"].startswith(
        "the invoice cannot be read: "
    )
    own = by_http(payer, "generateinvoice", amount=5)["invoice"]
    assert (
        by_http(payer, "payinvoice", invoice=own)["message"]
        == "the invoice is our own node's: a node cannot pay itself"
    )
    assert arrived(lnd_network, made) == 25_000


def test_what_lncli_paid_is_not_paid_again(
    lnd_network: Network, payer: DaemonProcess, payee: DaemonProcess
) -> None:
    made = payee.cli("invoice", "create", "30sat")["invoice"]
    lnd_network.nodes[0].cli("payinvoice", "--force", "--pay_req", made)
    paid = payer.cli("invoice", "pay", made)
    assert paid["state"] == "SETTLED" and len(bytes.fromhex(paid["preimage"])) == 32
    assert payer.status()["spent_msat"] == 0
    assert arrived(lnd_network, made) == 30_000


def test_a_kill_in_the_middle_of_pay_invoice(
    lnd_network: Network, payer: DaemonProcess, payee: DaemonProcess
) -> None:
    receiver = lnd_network.nodes[1]
    made = [payee.cli("invoice", "create", f"{amount}sat")["invoice"] for amount in (31, 32, 33)]
    receiver.freeze()
    try:
        waited = payer.run("invoice", "pay", made[0], "--wait", "2")
        assert waited.returncode == 4 and "still open" in waited.stderr
        payer.kill()
        payer.start()
    finally:
        receiver.thaw()
    until("it is paid", lambda: payer.cli("invoice", "pay", made[0])["state"] == "SETTLED", 120)
    for invoice in made[1:]:
        assert payer.cli("invoice", "pay", invoice)["state"] == "SETTLED"
    assert [arrived(lnd_network, invoice) for invoice in made] == [31_000, 32_000, 33_000]
