"""Puts the webhook together: the outbox before the journal is written, the delivery when there is a service."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from streamer.api.show import webhook_message
from streamer.engine import Engine
from streamer.feed import unused_number
from streamer.metrics import Metrics
from streamer.model import Payment, Snapshot, Stream
from streamer.observer import WEBHOOK
from streamer.ports import Clock, Store
from streamer.service import Service
from streamer.service.reports import Event
from streamer.settings import WebhookSettings
from streamer.stores.sqlite import SqliteStore
from streamer.webhook.delivery import Delivery
from streamer.webhook.kinds import chosen
from streamer.webhook.outbox import Outbox
from streamer.webhook.signature import read_secret


def make_outbox(webhook: WebhookSettings, store: SqliteStore, snapshot: Snapshot, clock: Clock, metrics: Metrics) -> Outbox | None:
    """What puts events into the journal, if there is a webhook."""
    if not webhook.url:
        return None
    above = unused_number(snapshot.settings, clock.now_ns())
    outbox = Outbox(chosen(webhook.events), clock, snapshot.outgoing, snapshot.last_outgoing, snapshot.streams, above=above)
    outbox.on_dropped = lambda: metrics.dropped(WEBHOOK)
    metrics.webhook_waiting = lambda: outbox.waiting
    store.also = outbox.add
    return outbox


def start_delivery(
    webhook: WebhookSettings, outbox: Outbox, service: Service, engines: Mapping[str, Engine], store: Store, clock: Clock, metrics: Metrics
) -> asyncio.Task[None]:
    """Post what the outbox puts into the journal, until cancelled. Raises ConfigError if the secret cannot be read."""
    assert webhook.secret_file is not None

    def stream_of(payment: Payment) -> Stream | None:
        engine = engines.get(payment.node)
        return None if engine is None else engine.book.by_key.get(payment.stream_key)

    def show(event_id: str, kind: str, event: Event) -> bytes:
        return webhook_message(event_id, kind, event, *service.streams.report_event(event)).SerializeToString()

    outbox.stream_of, outbox.show = stream_of, show
    delivery = Delivery(store, outbox, clock, webhook.url, read_secret(webhook.secret_file), outbox.on_dropped)
    service.sending.webhook_problem = metrics.webhook_problem = lambda: delivery.problem
    return asyncio.create_task(delivery.run())
