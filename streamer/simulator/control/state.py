"""A network's state in a file: balances, payments, invoices, so that a restart keeps the history.

HTLCs that were pending when the state was written come back to their payer, and their payments stay
IN_FLIGHT without an HTLC: the same orphans that a restarted lnd leaves. The file holds preimages of
simulated money and is readable by its owner only.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from streamer.simulator.encoding.bolt11 import HopHint
from streamer.simulator.network.books import (
    Failure,
    HtlcState,
    InvoiceRecord,
    InvoiceState,
    Order,
    PaymentRecord,
    ReceivedHtlc,
    Status,
)
from streamer.simulator.network.channels import Channel
from streamer.simulator.network.lightning_node import LightningNode
from streamer.simulator.network.network import Network

FORMAT = 1
"""Version of the file."""


def save(network: Network, path: Path) -> None:
    """Write the state beside path, then in its place. Raises OSError with the name of the file."""
    content = {
        "format": FORMAT,
        "seed": network.seed,
        "chain": network.chain,
        "start_ns": network.start_ns,
        "channels": {
            str(channel.id): (
                [_settled_balance(side) for side in channel.sides]
                + [channel.closing, channel.updates, *_closed_how(channel)]
            )
            for channel in network.channels.values()
        },
        "nodes": {name: _node_out(node) for name, node in network.named.items()},
    }
    draft = path.with_name(path.name + ".new")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        error.filename = str(draft)  # a write to an open file does not say which
        raise


def require_writable(path: Path) -> None:
    """Raise OSError if the state could not be written there; what is there stays."""
    draft = path.with_name(path.name + ".new")
    os.close(os.open(draft, os.O_WRONLY | os.O_CREAT, 0o600))
    draft.unlink()


def load(network: Network, path: Path) -> None:
    """Put the saved state into a network of the same plan. Raises OSError, or ValueError in
    words.
    """
    try:
        content = json.loads(path.read_text())
        same = (content["format"], content["seed"], content["chain"]) == (
            FORMAT,
            network.seed,
            network.chain,
        )
        channels, nodes = content["channels"], content["nodes"]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is not a state file of the simulator") from error
    fits = set(channels) == {str(number) for number in network.channels} and set(nodes) == set(
        network.named
    )
    if not same or not fits:
        raise ValueError(
            f"{path} belongs to a network of another seed, chain or size: give the same options, or"
            " another file"
        )
    network.start_ns = content["start_ns"]
    for number, (first, second, closing, updates, *how) in channels.items():
        channel = network.channels[int(number)]
        channel.sides[0].balance_msat, channel.sides[0].next_htlc = first
        channel.sides[1].balance_msat, channel.sides[1].next_htlc = second
        channel.updates = updates
        if closing:
            closer, forced = how or (0, False)
            channel.sides[closer].close(forced=forced)
    for name, saved in nodes.items():
        _node_in(network.named[name], saved)


def _closed_how(channel: Channel) -> tuple[int, bool] | tuple[()]:
    """Which end of a channel in closing closed it, and whether by force."""
    return (
        ([side.closer for side in channel.sides].index(True), channel.forced)
        if channel.closing
        else ()
    )


def _settled_balance(side: Any) -> tuple[int, int]:
    """A side's balance with its pending HTLCs given back, and its next HTLC number."""
    return side.balance_msat + sum(htlc.amount_msat for htlc in side.htlcs.values()), side.next_htlc


def _node_out(node: LightningNode) -> dict[str, Any]:
    return {
        "last_index": node.last_index,
        "add_index": node.add_index,
        "settle_index": node.settle_index,
        "payments": [_payment_out(record) for record in node.payments.values()],
        "invoices": [_invoice_out(invoice) for invoice in node.invoices.values()],
    }


def _node_in(node: LightningNode, saved: dict[str, Any]) -> None:
    node.last_index, node.add_index, node.settle_index = (
        saved["last_index"],
        saved["add_index"],
        saved["settle_index"],
    )
    for row in saved["payments"]:
        record = _payment_in(row)
        node.payments[record.order.payment_hash] = record
    for row in saved["invoices"]:
        invoice = _invoice_in(row)
        node.invoices[invoice.payment_hash] = invoice
    htlcs = (
        htlc
        for invoice in node.invoices.values()
        for htlc in invoice.htlcs
        if htlc.state is HtlcState.SETTLED
    )
    node.received = sorted(htlcs, key=lambda htlc: htlc.settled_ns)


def _payment_out(record: PaymentRecord) -> list[Any]:
    order = record.order
    return [
        order.destination.hex(),
        order.payment_hash.hex(),
        order.amount_msat,
        order.fee_limit_msat,
        _records_out(order.records),
        order.payment_request,
        record.index,
        record.created_ns,
        int(record.status),
        int(record.failure),
        record.fee_msat,
        record.preimage.hex(),
        record.ended_ns,
    ]


def _payment_in(row: list[Any]) -> PaymentRecord:
    (
        destination,
        payment_hash,
        amount,
        fee_limit,
        records,
        request,
        index,
        created,
        status,
        failure,
        fee,
        preimage,
        ended,
    ) = row
    order = Order(
        bytes.fromhex(destination),
        bytes.fromhex(payment_hash),
        amount,
        fee_limit,
        records=_records_in(records),
        payment_request=request,
    )
    found = Status(status)
    settled = found is Status.SUCCEEDED
    return PaymentRecord(
        order,
        index,
        created,
        found,
        Failure(failure),
        fee if settled else 0,
        bytes.fromhex(preimage),
        ended,
        orphan=found is Status.IN_FLIGHT,
    )


def _invoice_out(invoice: InvoiceRecord) -> list[Any]:
    htlcs = [
        [
            *(
                htlc.channel_id,
                htlc.htlc_index,
                htlc.amount_msat,
                _records_out(htlc.records),
                htlc.settled_ns,
                htlc.expiry_height,
            ),
            *(htlc.accepted_ns, htlc.accept_height, htlc.total_msat, int(htlc.state)),
        ]
        for htlc in invoice.htlcs
    ]
    return [
        invoice.payment_hash.hex(),
        invoice.preimage.hex(),
        invoice.value_msat,
        invoice.created_ns,
        invoice.add_index,
        invoice.memo,
        invoice.expiry_seconds,
        invoice.payment_request,
        invoice.payment_addr.hex(),
        invoice.is_keysend,
        int(invoice.state),
        invoice.settle_index,
        invoice.settled_ns,
        invoice.paid_msat,
        htlcs,
        invoice.description_hash.hex(),
        invoice.cltv_expiry,
        invoice.fallback,
        [[_hint_out(hint) for hint in route] for route in invoice.hints],
        invoice.private,
    ]


def _invoice_in(row: list[Any]) -> InvoiceRecord:
    (
        payment_hash,
        preimage,
        value,
        created,
        added,
        memo,
        expiry,
        request,
        address,
        keysend,
        state,
        index,
        settled,
        paid,
        htlcs,
        *terms,
    ) = row
    found = bytes.fromhex(payment_hash)
    return InvoiceRecord(
        payment_hash=found,
        preimage=bytes.fromhex(preimage),
        value_msat=value,
        created_ns=created,
        add_index=added,
        memo=memo,
        expiry_seconds=expiry,
        payment_request=request,
        payment_addr=bytes.fromhex(address),
        is_keysend=keysend,
        state=InvoiceState(state),
        settle_index=index,
        settled_ns=settled,
        paid_msat=paid,
        htlcs=[_htlc_in(found, htlc) for htlc in htlcs],
        **_terms_in(terms),
    )


def _terms_in(terms: list[Any]) -> dict[str, Any]:
    """What format 1 did not hold at first: a file without it is read with what lnd fills in."""
    if not terms:
        return {}
    digest, cltv, fallback, hints, private = terms
    return {
        "description_hash": bytes.fromhex(digest),
        "cltv_expiry": cltv,
        "fallback": fallback,
        "hints": tuple(tuple(_hint_in(hint) for hint in route) for route in hints),
        "private": private,
    }


def _hint_out(hint: HopHint) -> list[Any]:
    return [hint.node.hex(), hint.channel_id, hint.base_msat, hint.ppm, hint.cltv_delta]


def _hint_in(row: list[Any]) -> HopHint:
    return HopHint(bytes.fromhex(row[0]), *row[1:])


def _htlc_in(payment_hash: bytes, row: list[Any]) -> ReceivedHtlc:
    channel, index, amount, records, settled, height, *since = row
    accepted, accept_height, total, state = since or (settled, 0, 0, HtlcState.SETTLED)
    return ReceivedHtlc(
        payment_hash=payment_hash,
        channel_id=channel,
        htlc_index=index,
        amount_msat=amount,
        records=_records_in(records),
        settled_ns=settled,
        expiry_height=height,
        accepted_ns=accepted,
        accept_height=accept_height,
        total_msat=total,
        state=HtlcState(state),
    )


def _records_out(records: dict[int, bytes]) -> dict[str, str]:
    return {str(kind): value.hex() for kind, value in records.items()}


def _records_in(saved: dict[str, str]) -> dict[int, bytes]:
    return {int(kind): bytes.fromhex(value) for kind, value in saved.items()}
