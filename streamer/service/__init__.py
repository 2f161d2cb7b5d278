"""The use cases behind the doors: streams, payments, invoices, the sending switch, the status."""

from __future__ import annotations

from streamer.service.channels import Channels
from streamer.service.invoices import Invoices
from streamer.service.keyring import Keyring
from streamer.service.keys import Keys
from streamer.service.paying import Paying
from streamer.service.payments import Payments
from streamer.service.seams import Surroundings
from streamer.service.sending import Sending
from streamer.service.streams import Streams

__all__ = ["Keyring", "Service", "Surroundings"]


class Service:
    """All use cases, by the noun that they are about: what gRPC, and later HTTP, call."""

    def __init__(self, around: Surroundings) -> None:
        self.streams = Streams(around)
        self.payments = Payments(around)
        self.paying = Paying(around, self.payments)
        self.invoices = Invoices(around)
        self.channels = Channels(around)
        self.sending = Sending(around)
        self.keys = Keys(around)
