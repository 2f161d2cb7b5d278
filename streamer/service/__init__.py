"""The use cases behind the doors: streams, payments, invoices, the sending switch, the status."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from streamer.service.channels import Channels
from streamer.service.invoices import Invoices
from streamer.service.keyring import Keyring
from streamer.service.keys import Keys
from streamer.service.nodes import Nodes
from streamer.service.paying import Paying
from streamer.service.payments import Payments
from streamer.service.reports import Events, Totals
from streamer.service.requests import Requests
from streamer.service.sending import Sending
from streamer.service.streams import Streams
from streamer.words.settings import InvoiceSettings, StreamSettings

__all__ = ["Keyring", "Nodes", "Service"]


class Service:
    """All use cases, by the noun that they are about: what gRPC, and later HTTP, call."""

    def __init__(
        self,
        nodes: Nodes,
        ring: Keyring,
        events: Events,
        *,
        stream_keys: Iterator[int],
        preimage: Callable[[str], bytes],
        totals: Callable[[], Totals],
        replay: Callable[[], None],
        settings: StreamSettings | None = None,
        invoice_settings: InvoiceSettings | None = None,
    ) -> None:
        """What each of them takes says its class. It begins now."""
        settings, of_invoices = settings or StreamSettings(), invoice_settings or InvoiceSettings()
        # one for all that a request_id can make: a stream and a payment that are asked for at once
        # would both find it unused
        request_ids = Requests(nodes.desk)
        self.streams = Streams(nodes, ring, settings, events, stream_keys, request_ids)
        self.payments = Payments(nodes, settings, preimage, request_ids)
        self.paying = Paying(nodes, self.payments, of_invoices, request_ids)
        self.invoices = Invoices(nodes, of_invoices)
        self.channels = Channels(nodes)
        self.sending = Sending(nodes, ring, totals, replay, nodes.clock.now_ns())
        self.keys = Keys(nodes, ring)
