"""The options that open and set share, and the message they make."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from streamer.cli.words import AMOUNT, BUDGET, CATCH_UP, DURATION, PAIR, RECORD, TIME, TTL

if TYPE_CHECKING:
    from streamer._proto.streamer.v1 import stream_pb2

WIRE, SMALL_WIRE = click.IntRange(0, 2**63 - 1), click.IntRange(0, 2**31 - 1)
"""What the schema's int64 and int32 hold; the daemon says what is sensible."""

_OPTIONS = (
    click.option(
        "--budget",
        type=BUDGET,
        help="Most that it may spend, fees included: 10000sat, or 10000sat/1d for each day.",
    ),
    click.option(
        "--for",
        "for_",
        type=DURATION,
        help="End after this time, counted from now, or from its start if that is later.",
    ),
    click.option("--end", type=TIME, help="End at this moment, such as 2030-01-31T12:00:00Z."),
    click.option(
        "--payment-interval",
        type=DURATION,
        help="How much time one payment buys.  [default: enough for 1 sat, at least 1s]",
    ),
    click.option(
        "--catch-up",
        type=CATCH_UP,
        help="How much impossible time is paid afterwards; 0s for none, or forever.",
    ),
    click.option("--ttl", type=TTL, help="Pause by itself unless renewed within this time."),
    click.option(
        "--max-payment",
        type=AMOUNT,
        help="No payment is larger.  [default: half of the most an active channel can send]",
    ),
    click.option(
        "--max-open-payments",
        type=SMALL_WIRE,
        help="Payments that may be open at once.  [default: 1]",
    ),
    click.option("--fee-floor", type=AMOUNT, help="Fee limit of a small payment.  [default: 5sat]"),
    click.option(
        "--fee-limit-ppm",
        type=WIRE,
        help="Fee limit of a large payment, in parts per million.  [default: 10000]",
    ),
    click.option("--group", help="A label of the metrics."),
    click.option(
        "--label",
        "labels",
        type=PAIR,
        multiple=True,
        metavar="NAME=VALUE",
        help="For filters; may be repeated.",
    ),
    click.option(
        "--record",
        "records",
        type=RECORD,
        multiple=True,
        metavar="TYPE=HEX",
        help="A custom record; may be repeated.",
    ),
)

_PATHS = {
    "rate": ("amount_msat", "interval"),
    "payment_interval": ("payment_interval",),
    "budget": ("budget",),
    "for_": ("end_time",),
    "end": ("end_time",),
    "catch_up": ("catch_up",),
    "ttl": ("ttl",),
    "max_payment": ("max_payment_msat",),
    "max_open_payments": ("max_open_payments",),
    "fee_floor": ("fee_floor_msat",),
    "fee_limit_ppm": ("fee_limit_ppm",),
    "group": ("group",),
    "labels": ("labels",),
    "records": ("tlv_records",),
}
REMOVABLE = {
    "budget": "budget",
    "end": "end_time",
    "ttl": "ttl",
    "labels": "labels",
    "records": "tlv_records",
}


def limits(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the shared options to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def given(options: dict[str, Any]) -> set[str]:
    """The names of the options that were written."""
    context = click.get_current_context()
    return {
        name
        for name in options
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
    }


def mask_of(options: dict[str, Any]) -> list[str]:
    """The update mask of what was written."""
    written = given(options)
    if "start" in written:
        raise click.UsageError("the start of a stream cannot be changed")
    paths = {path for name in written for path in _PATHS.get(name, ())}
    removed = {REMOVABLE[name]: name for name in options["without"]}
    if both := sorted(paths & removed.keys()):
        raise click.UsageError(
            f"--no {removed[both[0]]} takes back what another option sets: write one of the two"
        )
    return sorted(paths | removed.keys())


def build(*, rate: tuple[int, int] | None = None, **options: Any) -> stream_pb2.Stream:
    """A Stream message with what was written, and nothing else."""
    from google.protobuf.duration_pb2 import Duration
    from google.protobuf.timestamp_pb2 import Timestamp

    from streamer._proto.streamer.v1 import payment_pb2, stream_pb2

    if options["for_"] is not None and options["end"] is not None:
        raise click.UsageError("--for and --end exclude each other")
    stream = stream_pb2.Stream()
    if rate is not None:
        stream.amount_msat = _fitting(rate[0])
        stream.interval.CopyFrom(_duration(Duration, rate[1]))
    for name, field in (("payment_interval", stream.payment_interval), ("ttl", stream.ttl)):
        if options[name] is not None:
            field.CopyFrom(_duration(Duration, options[name]))
    if "catch_up" in given(options):
        if options["catch_up"] is None:
            stream.catch_up_forever = True
        else:
            stream.catch_up.CopyFrom(_duration(Duration, options["catch_up"]))
    end_ns = (
        options["end"]
        if options["for_"] is None
        else max(_now_ns(), options["start"] or 0) + options["for_"]
    )
    for moment_ns, when in ((options["start"], stream.start_time), (end_ns, stream.end_time)):
        if moment_ns is not None:
            when.CopyFrom(Timestamp(seconds=moment_ns // 10**9, nanos=moment_ns % 10**9))
    if options["budget"] is not None:
        stream.budget.CopyFrom(
            stream_pb2.Budget(
                amount_msat=_fitting(options["budget"][0]), period=options["budget"][1]
            )
        )
    for name, path in (("max_payment", "max_payment_msat"), ("fee_floor", "fee_floor_msat")):
        if options[name] is not None:
            setattr(stream, path, _fitting(options[name]))
    for name in ("max_open_payments", "fee_limit_ppm", "group"):
        if options[name] is not None:
            setattr(stream, name, options[name])
    labels = dict(options["labels"])
    if len(labels) < len(options["labels"]):
        raise click.UsageError("--label: a name is there twice")
    stream.labels.update(labels)
    stream.tlv_records.extend(
        payment_pb2.TlvRecord(type=kind, value_hex=value) for kind, value in options["records"]
    )
    return stream


def _now_ns() -> int:
    """Whole microseconds, which `--end` can repeat."""
    return time.time_ns() // 1_000 * 1_000


def _duration(kind: type[Any], span_ns: int) -> Any:
    return kind(seconds=span_ns // 10**9, nanos=span_ns % 10**9)


def _fitting(msat: int) -> int:
    """An amount that the wire can carry; what is absurd beyond that is refused by the daemon
    too.
    """
    return max(-(2**63), min(msat, 2**63 - 1))
