"""From the model to the wire: streams, payments, events and the daemon's status as messages."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from streamer import __version__
from streamer._proto.streamer.v1 import admin_pb2, payment_pb2, stream_pb2, webhook_pb2
from streamer.service.keys import KeyReport
from streamer.service.orders import Forecast
from streamer.service.reports import DaemonReport, Event, NodeReport, PaymentReport, StreamReport
from streamer.words.model import OPEN, BudgetTerms, Mark, PaymentState, Record, Terms
from streamer.words.money import LAST_MOMENT_NS, SECOND_NS, format_duration

_PAYMENT_STATE = {
    **dict.fromkeys(OPEN, payment_pb2.Payment.PENDING),
    PaymentState.SETTLED: payment_pb2.Payment.SETTLED,
    PaymentState.FAILED: payment_pb2.Payment.FAILED,
    PaymentState.REFUSED: payment_pb2.Payment.FAILED,
    PaymentState.WRITTEN_OFF: payment_pb2.Payment.WRITTEN_OFF,
}


def timestamp(moment_ns: int | None) -> Timestamp | None:
    """A moment on the wire, the year 9999 for later ones; None (unset) for None and 0."""
    if not moment_ns:
        return None
    seconds, nanos = divmod(min(moment_ns, LAST_MOMENT_NS), SECOND_NS)
    return Timestamp(seconds=seconds, nanos=nanos)


def duration(span_ns: int | None) -> Duration | None:
    """A span on the wire; None (unset) for None."""
    if span_ns is None:
        return None
    seconds, nanos = divmod(abs(span_ns), SECOND_NS)
    sign = -1 if span_ns < 0 else 1
    return Duration(seconds=sign * seconds, nanos=sign * nanos)


def stream_message(report: StreamReport) -> stream_pb2.Stream:
    """A stream with its figures."""
    stream, account = report.stream, report.stream.account
    message = _ordered(stream.terms)
    message.MergeFrom(
        stream_pb2.Stream(
            id=stream.id,
            expire_time=timestamp(stream.expire_time_ns),
            state=stream.state.value,
            reason=stream.reason,
            state_time=timestamp(stream.state_time_ns),
            paid_until=timestamp(report.paid_until_ns),
            next_attempt_time=timestamp(report.next_attempt_ns),
            paid_msat=account.settled_msat,
            fee_msat=account.fee_msat,
            reserved_msat=stream.reserved_msat,
            owed_msat=report.owed_msat,
            skipped_msat=stream.skipped_msat,
            skipped_time=duration(stream.skipped_ns),
            dropped_msat=stream.dropped_msat,
            last_payment=None
            if report.last_payment is None
            else payment_message(report.last_payment),
            runway_end_time=timestamp(report.runway_end_ns),
            create_time=timestamp(stream.create_time_ns),
            forecast=None if report.forecast is None else forecast_message(report.forecast),
            explanation=report.explanation,
            payments_settled=account.settled_count,
            payments_failed=account.failed_count,
            last_failure=stream.last_failure,
            key_id=report.key_id,
        )
    )
    return message


def event_message(
    event: Event, stream: StreamReport | None, payment: PaymentReport | None
) -> stream_pb2.StreamEvent:
    """An event; its stream in the state it had then, with the figures of now."""
    message = stream_pb2.StreamEvent(cursor=event.cursor, time=timestamp(event.time_ns))
    if stream is not None:
        message.stream.CopyFrom(stream_message(stream))
        if (event.state, event.reason) != (stream.stream.state, stream.stream.reason):
            message.stream.explanation = ""
        message.stream.MergeFrom(stream_pb2.Stream(state=event.state, reason=event.reason))
        message.stream.state_time.FromNanoseconds(event.state_time_ns)
    if payment is not None:
        message.payment.CopyFrom(payment_message(payment))
    return message


def webhook_message(
    event_id: str,
    kind: str,
    event: Event,
    stream: StreamReport | None,
    payment: PaymentReport | None,
) -> webhook_pb2.WebhookEvent:
    """The same event as a webhook is sent it."""
    shown = event_message(event, stream, payment)
    message = webhook_pb2.WebhookEvent(id=event_id, type=kind, time=shown.time)
    if shown.HasField("stream"):
        message.stream.CopyFrom(shown.stream)
    if shown.HasField("payment"):
        message.payment.CopyFrom(shown.payment)
    return message


def _ordered(terms: Terms) -> stream_pb2.Stream:
    return stream_pb2.Stream(
        node=terms.node,
        destination=terms.destination.hex(),
        amount_msat=terms.rate.amount_msat,
        interval=duration(terms.rate.interval_ns),
        payment_interval=duration(terms.rate.payment_interval_ns),
        start_time=timestamp(terms.start_time_ns),
        end_time=timestamp(terms.end_time_ns),
        budget=_budget(terms.budget),
        fee_floor_msat=terms.fee_floor_msat,
        fee_limit_ppm=terms.fee_limit_ppm,
        max_payment_msat=terms.max_payment_msat,
        catch_up=duration(terms.catch_up_ns),
        catch_up_forever=terms.catch_up_ns is None,
        ttl=duration(terms.ttl_ns),
        max_open_payments=terms.max_open_payments,
        group=terms.group,
        labels=dict(terms.labels),
        tlv_records=[_record(record) for record in terms.records],
        token=terms.token.hex(),
    )


def _budget(terms: BudgetTerms | None) -> stream_pb2.Budget | None:
    if terms is None:
        return None
    period = "total" if terms.period_ns is None else format_duration(terms.period_ns)
    return stream_pb2.Budget(amount_msat=terms.amount_msat, period=period)


def _record(record: Record) -> payment_pb2.TlvRecord:
    return payment_pb2.TlvRecord(type=record[0], value_hex=record[1].hex())


def payment_message(report: PaymentReport) -> payment_pb2.Payment:
    """A payment as users see it: open ones are PENDING, with their marks."""
    payment = report.payment
    return payment_pb2.Payment(
        id=payment.id,
        stream_id=payment.owner if payment.seq else "",
        seq=payment.seq,
        node=payment.node,
        destination=payment.destination.hex(),
        amount_msat=payment.settled_msat
        if payment.state is PaymentState.SETTLED
        else payment.amount_msat,
        fee_msat=payment.fee_msat,
        fee_limit_msat=payment.fee_limit_msat,
        payment_hash=payment.payment_hash.hex(),
        state=_PAYMENT_STATE[payment.state],
        reason=payment.reason,
        message=payment.message,
        create_time=timestamp(payment.planned_ns),
        end_time=timestamp(payment.end_ns),
        in_doubt=report.in_doubt,
        held=payment.open and payment.mark is Mark.HELD,
        orphan=payment.open and payment.mark is Mark.ORPHAN,
        lost_sight=payment.open and payment.mark is Mark.LOST_SIGHT,
        bought_until=timestamp(report.bought_until_ns),
        preimage=report.preimage.hex(),
        payment_request=payment.payment_request,
    )


def forecast_message(forecast: Forecast) -> stream_pb2.Forecast:
    """A forecast with its warnings."""
    return stream_pb2.Forecast(
        msat_per_hour=forecast.msat_per_hour,
        fee_msat_per_hour=forecast.fee_msat_per_hour,
        payments_per_day=forecast.payments_per_day,
        runway_end_time=timestamp(forecast.runway_end_ns),
        warnings=forecast.warnings,
    )


def status_message(report: DaemonReport) -> admin_pb2.Status:
    """The daemon at one look; healthy means that there are no problems."""
    totals = report.totals
    return admin_pb2.Status(
        healthy=not report.problems,
        problems=report.problems,
        sending=not report.stopped_by,
        stopped_by=report.stopped_by,
        nodes=[_node(node) for node in report.nodes],
        streams_by_state=report.streams_by_state,
        stalled_by_reason=report.stalled_by_reason,
        payments_open=report.payments_open,
        payments_in_doubt=report.payments_in_doubt,
        payments_pending=report.payments_pending,
        in_doubt_msat=report.in_doubt_msat,
        spent_msat=report.spent_msat,
        spend_limit_msat=report.spend_limit_msat,
        spend_period_start=timestamp(report.spend_period_start_ns),
        store_bytes=report.store_bytes,
        store_free_bytes=report.store_free_bytes,
        start_time=timestamp(report.start_time_ns),
        version=__version__,
        p99_lateness_seconds=totals.p99_lateness_seconds,
        payments_settled=totals.payments_settled,
        paid_msat=totals.paid_msat,
        fee_msat=totals.fee_msat,
        payments_failed=totals.payments_failed,
        skipped_msat=totals.skipped_msat,
    )


def _node(node: NodeReport) -> admin_pb2.NodeStatus:
    return admin_pb2.NodeStatus(
        name=node.name,
        pubkey=node.pubkey.hex(),
        network=node.network,
        up=node.up,
        problem=node.problem,
        stopped_by=node.stopped_by,
        version=node.version,
        window=node.window,
        in_flight=node.in_flight,
        ready_streams=node.ready_streams,
        capacity_payments_per_second=node.capacity_per_second,
        wanted_payments_per_second=node.wanted_per_second,
        alias=node.alias,
    )


def key_message(report: KeyReport) -> admin_pb2.Key:
    """A key with its figures; nothing of its text."""
    key = report.key
    return admin_pb2.Key(
        id=key.id,
        name=key.name,
        scopes=sorted(key.scopes),
        budget=_budget(key.budget),
        destinations=sorted(destination.hex() for destination in key.destinations),
        max_streams=key.max_streams,
        expire_time=timestamp(key.expire_time_ns),
        create_time=timestamp(key.create_time_ns),
        revoke_time=timestamp(key.revoke_time_ns),
        spent_msat=report.spent_msat,
        reserved_msat=report.reserved_msat,
        period_start_time=timestamp(report.period_start_ns),
        streams=report.streams,
    )
