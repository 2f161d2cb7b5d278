import datetime

from google.api import annotations_pb2 as _annotations_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import field_mask_pb2 as _field_mask_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from streamer._proto.streamer.v1 import payment_pb2 as _payment_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Stream(_message.Message):
    __slots__ = ("id", "node", "destination", "amount_msat", "interval", "payment_interval", "start_time", "end_time", "budget", "fee_floor_msat", "fee_limit_ppm", "max_payment_msat", "catch_up", "catch_up_forever", "ttl", "expire_time", "max_open_payments", "group", "labels", "tlv_records", "token", "state", "reason", "state_time", "paid_until", "next_attempt_time", "paid_msat", "fee_msat", "reserved_msat", "owed_msat", "skipped_msat", "skipped_time", "dropped_msat", "last_payment", "runway_end_time", "create_time", "forecast", "explanation", "payments_settled", "payments_failed", "last_failure", "key_id")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATE_UNSPECIFIED: _ClassVar[Stream.State]
        PENDING: _ClassVar[Stream.State]
        ACTIVE: _ClassVar[Stream.State]
        PAUSED: _ClassVar[Stream.State]
        STALLED: _ClassVar[Stream.State]
        CLOSING: _ClassVar[Stream.State]
        COMPLETED: _ClassVar[Stream.State]
        CANCELLED: _ClassVar[Stream.State]
    STATE_UNSPECIFIED: Stream.State
    PENDING: Stream.State
    ACTIVE: Stream.State
    PAUSED: Stream.State
    STALLED: Stream.State
    CLOSING: Stream.State
    COMPLETED: Stream.State
    CANCELLED: Stream.State
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MSAT_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_FIELD_NUMBER: _ClassVar[int]
    PAYMENT_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    FEE_FLOOR_MSAT_FIELD_NUMBER: _ClassVar[int]
    FEE_LIMIT_PPM_FIELD_NUMBER: _ClassVar[int]
    MAX_PAYMENT_MSAT_FIELD_NUMBER: _ClassVar[int]
    CATCH_UP_FIELD_NUMBER: _ClassVar[int]
    CATCH_UP_FOREVER_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    MAX_OPEN_PAYMENTS_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    TLV_RECORDS_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    STATE_TIME_FIELD_NUMBER: _ClassVar[int]
    PAID_UNTIL_FIELD_NUMBER: _ClassVar[int]
    NEXT_ATTEMPT_TIME_FIELD_NUMBER: _ClassVar[int]
    PAID_MSAT_FIELD_NUMBER: _ClassVar[int]
    FEE_MSAT_FIELD_NUMBER: _ClassVar[int]
    RESERVED_MSAT_FIELD_NUMBER: _ClassVar[int]
    OWED_MSAT_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_MSAT_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_TIME_FIELD_NUMBER: _ClassVar[int]
    DROPPED_MSAT_FIELD_NUMBER: _ClassVar[int]
    LAST_PAYMENT_FIELD_NUMBER: _ClassVar[int]
    RUNWAY_END_TIME_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    FORECAST_FIELD_NUMBER: _ClassVar[int]
    EXPLANATION_FIELD_NUMBER: _ClassVar[int]
    PAYMENTS_SETTLED_FIELD_NUMBER: _ClassVar[int]
    PAYMENTS_FAILED_FIELD_NUMBER: _ClassVar[int]
    LAST_FAILURE_FIELD_NUMBER: _ClassVar[int]
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    node: str
    destination: str
    amount_msat: int
    interval: _duration_pb2.Duration
    payment_interval: _duration_pb2.Duration
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    budget: Budget
    fee_floor_msat: int
    fee_limit_ppm: int
    max_payment_msat: int
    catch_up: _duration_pb2.Duration
    catch_up_forever: bool
    ttl: _duration_pb2.Duration
    expire_time: _timestamp_pb2.Timestamp
    max_open_payments: int
    group: str
    labels: _containers.ScalarMap[str, str]
    tlv_records: _containers.RepeatedCompositeFieldContainer[_payment_pb2.TlvRecord]
    token: str
    state: Stream.State
    reason: str
    state_time: _timestamp_pb2.Timestamp
    paid_until: _timestamp_pb2.Timestamp
    next_attempt_time: _timestamp_pb2.Timestamp
    paid_msat: int
    fee_msat: int
    reserved_msat: int
    owed_msat: int
    skipped_msat: int
    skipped_time: _duration_pb2.Duration
    dropped_msat: int
    last_payment: _payment_pb2.Payment
    runway_end_time: _timestamp_pb2.Timestamp
    create_time: _timestamp_pb2.Timestamp
    forecast: Forecast
    explanation: str
    payments_settled: int
    payments_failed: int
    last_failure: str
    key_id: str
    def __init__(self, id: _Optional[str] = ..., node: _Optional[str] = ..., destination: _Optional[str] = ..., amount_msat: _Optional[int] = ..., interval: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., payment_interval: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., budget: _Optional[_Union[Budget, _Mapping]] = ..., fee_floor_msat: _Optional[int] = ..., fee_limit_ppm: _Optional[int] = ..., max_payment_msat: _Optional[int] = ..., catch_up: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., catch_up_forever: _Optional[bool] = ..., ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., max_open_payments: _Optional[int] = ..., group: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., tlv_records: _Optional[_Iterable[_Union[_payment_pb2.TlvRecord, _Mapping]]] = ..., token: _Optional[str] = ..., state: _Optional[_Union[Stream.State, str]] = ..., reason: _Optional[str] = ..., state_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., paid_until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., next_attempt_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., paid_msat: _Optional[int] = ..., fee_msat: _Optional[int] = ..., reserved_msat: _Optional[int] = ..., owed_msat: _Optional[int] = ..., skipped_msat: _Optional[int] = ..., skipped_time: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., dropped_msat: _Optional[int] = ..., last_payment: _Optional[_Union[_payment_pb2.Payment, _Mapping]] = ..., runway_end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., forecast: _Optional[_Union[Forecast, _Mapping]] = ..., explanation: _Optional[str] = ..., payments_settled: _Optional[int] = ..., payments_failed: _Optional[int] = ..., last_failure: _Optional[str] = ..., key_id: _Optional[str] = ...) -> None: ...

class Budget(_message.Message):
    __slots__ = ("amount_msat", "period")
    AMOUNT_MSAT_FIELD_NUMBER: _ClassVar[int]
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    amount_msat: int
    period: str
    def __init__(self, amount_msat: _Optional[int] = ..., period: _Optional[str] = ...) -> None: ...

class Forecast(_message.Message):
    __slots__ = ("msat_per_hour", "fee_msat_per_hour", "payments_per_day", "runway_end_time", "warnings")
    MSAT_PER_HOUR_FIELD_NUMBER: _ClassVar[int]
    FEE_MSAT_PER_HOUR_FIELD_NUMBER: _ClassVar[int]
    PAYMENTS_PER_DAY_FIELD_NUMBER: _ClassVar[int]
    RUNWAY_END_TIME_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    msat_per_hour: int
    fee_msat_per_hour: int
    payments_per_day: int
    runway_end_time: _timestamp_pb2.Timestamp
    warnings: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, msat_per_hour: _Optional[int] = ..., fee_msat_per_hour: _Optional[int] = ..., payments_per_day: _Optional[int] = ..., runway_end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., warnings: _Optional[_Iterable[str]] = ...) -> None: ...

class CreateStreamRequest(_message.Message):
    __slots__ = ("stream", "request_id", "validate_only")
    STREAM_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    stream: Stream
    request_id: str
    validate_only: bool
    def __init__(self, stream: _Optional[_Union[Stream, _Mapping]] = ..., request_id: _Optional[str] = ..., validate_only: _Optional[bool] = ...) -> None: ...

class GetStreamRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class ListStreamsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "filter")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    filter: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., filter: _Optional[str] = ...) -> None: ...

class ListStreamsResponse(_message.Message):
    __slots__ = ("streams", "next_page_token")
    STREAMS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    streams: _containers.RepeatedCompositeFieldContainer[Stream]
    next_page_token: str
    def __init__(self, streams: _Optional[_Iterable[_Union[Stream, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class UpdateStreamRequest(_message.Message):
    __slots__ = ("stream", "update_mask")
    STREAM_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    stream: Stream
    update_mask: _field_mask_pb2.FieldMask
    def __init__(self, stream: _Optional[_Union[Stream, _Mapping]] = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ...) -> None: ...

class PauseStreamRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class ResumeStreamRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class CancelStreamRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class RenewStreamsRequest(_message.Message):
    __slots__ = ("filter",)
    FILTER_FIELD_NUMBER: _ClassVar[int]
    filter: str
    def __init__(self, filter: _Optional[str] = ...) -> None: ...

class RenewStreamsResponse(_message.Message):
    __slots__ = ("renewed",)
    RENEWED_FIELD_NUMBER: _ClassVar[int]
    renewed: int
    def __init__(self, renewed: _Optional[int] = ...) -> None: ...

class WatchStreamsRequest(_message.Message):
    __slots__ = ("filter", "cursor")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    filter: str
    cursor: int
    def __init__(self, filter: _Optional[str] = ..., cursor: _Optional[int] = ...) -> None: ...

class StreamEvent(_message.Message):
    __slots__ = ("cursor", "time", "stream", "payment")
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    PAYMENT_FIELD_NUMBER: _ClassVar[int]
    cursor: int
    time: _timestamp_pb2.Timestamp
    stream: Stream
    payment: _payment_pb2.Payment
    def __init__(self, cursor: _Optional[int] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., stream: _Optional[_Union[Stream, _Mapping]] = ..., payment: _Optional[_Union[_payment_pb2.Payment, _Mapping]] = ...) -> None: ...
