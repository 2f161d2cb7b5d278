"""Puts the webhook together: the outbox at the desk, the delivery when there is a service."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from streamer.api.show import webhook_message
from streamer.api.webhook.delivery import Delivery
from streamer.api.webhook.outbox import Outbox
from streamer.api.webhook.signature import read_secret
from streamer.books.desk import Desk
from streamer.pay.engine import Engine
from streamer.ports import Clock
from streamer.service import Service
from streamer.service.reports import Event
from streamer.watch.feed import latest_ns, unused_number
from streamer.watch.metrics import Metrics
from streamer.watch.observer import WEBHOOK
from streamer.words.event_types import chosen
from streamer.words.model import Payment, Snapshot, Stream
from streamer.words.settings import WebhookSettings


def make_outbox(
    webhook: WebhookSettings, desk: Desk, snapshot: Snapshot, clock: Clock, metrics: Metrics
) -> Outbox | None:
    """What puts events into the journal, if there is a webhook."""
    if not webhook.url:
        return None
    above = unused_number(snapshot.settings, latest_ns(clock))
    outbox = Outbox(
        chosen(webhook.events),
        clock,
        snapshot.outgoing,
        snapshot.last_outgoing,
        snapshot.streams,
        above=above,
    )
    outbox.on_dropped = lambda: metrics.dropped(WEBHOOK)
    metrics.webhook_waiting = lambda: outbox.waiting
    desk.also = outbox.add
    return outbox


def start_delivery(
    webhook: WebhookSettings,
    outbox: Outbox,
    service: Service,
    engines: Mapping[str, Engine],
    desk: Desk,
    clock: Clock,
    metrics: Metrics,
    time_known: Callable[[], bool],
) -> asyncio.Task[None]:
    """Post what the outbox puts into the journal, until cancelled. Raises ConfigError if the secret
    cannot be read.
    """
    assert webhook.secret_file is not None

    def stream_of(payment: Payment) -> Stream | None:
        engine = engines.get(payment.node)
        return None if engine is None else engine.book.by_key.get(payment.stream_key)

    def show(event_id: str, kind: str, event: Event) -> bytes:
        return webhook_message(
            event_id, kind, event, *service.streams.report_event(event)
        ).SerializeToString()

    outbox.stream_of, outbox.show = stream_of, show
    delivery = Delivery(
        desk,
        outbox,
        clock,
        webhook.url,
        read_secret(webhook.secret_file),
        outbox.on_dropped,
        time_known=time_known,
    )
    service.sending.webhook_problem = metrics.webhook_problem = lambda: delivery.problem
    return asyncio.create_task(delivery.run())
