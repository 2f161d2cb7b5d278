"""Use cases of invoices that our node makes: make one, say whether it is paid, list them."""

from __future__ import annotations

from streamer.ports import InvoiceState, NodeInvoice
from streamer.service.nodes import Nodes, own_pubkey
from streamer.service.terms import check_amount
from streamer.words.errors import InvalidArgument, NotFound
from streamer.words.money import SECOND_NS
from streamer.words.settings import InvoiceSettings

MAX_INVOICE_CHARS = 7_089
"""Longest invoice that lnd reads (zpay32): the capacity of a QR code."""
MAX_MEMO_BYTES = 639
"""Longest description of an invoice: 1,023 groups of 5 bits (BOLT 11)."""
MAX_LISTED = 1_000
LIST_PAGE = 1_000
LIST_PAGES = 50
"""Pages that are looked through for invoices: a node that is paid by keysends keeps an entry for
each of those.
"""
URI = "lightning:"


class Invoices:
    """The use cases of whoever is paid."""

    def __init__(self, nodes: Nodes, settings: InvoiceSettings) -> None:
        self._nodes = nodes
        self._settings = settings

    async def create(self, amount_msat: int, memo: str) -> str:
        """Make an invoice at the first node. Raises InvalidArgument, NodeUnavailable,
        NodeRejected.
        """
        check_amount("amount", amount_msat)
        if len(memo.encode(errors="surrogatepass")) > MAX_MEMO_BYTES:
            raise InvalidArgument(
                f"memo has {len(memo.encode(errors='surrogatepass'))} bytes: at most"
                f" {MAX_MEMO_BYTES} fit into an invoice"
            )
        expiry_seconds = self._settings.expiry_ns // SECOND_NS
        return await self._nodes.engine_for("").node.add_invoice(amount_msat, memo, expiry_seconds)

    async def paid(self, invoice: str) -> bool:
        """Whether an invoice that one of our nodes made is paid. Raises InvalidArgument, NotFound,
        NodeUnavailable, NodeRejected.
        """
        text, engines = read_invoice(invoice), tuple(self._nodes.engines.values())
        reader = next((engine for engine in engines if engine.up), self._nodes.engine_for(""))
        asked = await reader.node.decode_invoice(text)
        maker = next(
            (engine for engine in engines if own_pubkey(engine) == asked.destination), reader
        )
        found = await maker.node.find_invoice(asked.payment_hash)
        if found is None or found.payment_request != text:
            raise NotFound(
                "this node did not make that invoice: only who made one can say whether it is paid"
            )
        return found.state is InvoiceState.SETTLED

    async def newest(self) -> list[NodeInvoice]:
        """The newest invoices of the first node, at most MAX_LISTED."""
        node, index, newest = self._nodes.engine_for("").node, 0, list[NodeInvoice]()
        for _ in range(LIST_PAGES):
            page, index = await node.invoices_before(index, LIST_PAGE)
            newest += page
            if not index or len(newest) >= MAX_LISTED:
                break
        return newest[:MAX_LISTED]


def read_invoice(text: str) -> str:
    """An invoice as people copy it, in the one way that it is kept: without "lightning:", in small
    letters.
    """
    text = text.strip()
    if text[: len(URI)].lower() == URI:
        text = text[len(URI) :]
    if not text:
        raise InvalidArgument("invoice is missing")
    if len(text) > MAX_INVOICE_CHARS:
        raise InvalidArgument(f"invoice has {len(text)} characters: at most {MAX_INVOICE_CHARS}")
    return text.lower() if text.isupper() else text
