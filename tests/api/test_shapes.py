"""Durations and times that the wire's types hold and ours do not: the bound is in the words."""

from __future__ import annotations

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from streamer._proto.streamer.v1 import stream_pb2
from streamer.api.convert import duration_ns, time_ns
from streamer.words.errors import InvalidArgument


def test_the_bound_of_a_duration_and_a_time_is_told() -> None:
    for seconds, nanos, says in (
        (400_000_000_000, 0, "interval is not .*: it is longer than ten thousand years"),
        (1, -1, "sign of seconds"),
    ):
        with pytest.raises(InvalidArgument, match=says):
            duration_ns(
                stream_pb2.Stream(interval=Duration(seconds=seconds, nanos=nanos)), "interval"
            )
    for seconds in (-1, 9_000_000_001):
        with pytest.raises(
            InvalidArgument,
            match="end_time is not a valid time: from 1970-01-01T00:00:00Z to 2255-03-14T16:00:00Z",
        ):
            time_ns(stream_pb2.Stream(end_time=Timestamp(seconds=seconds)), "end_time")
    latest = Timestamp()
    latest.FromJsonString("2255-03-14T16:00:00Z")
    assert time_ns(stream_pb2.Stream(end_time=latest), "end_time") == latest.seconds * 10**9
