import datetime

from google.api import annotations_pb2 as _annotations_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from streamer._proto.streamer.v1 import stream_pb2 as _stream_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StopSendingRequest(_message.Message):
    __slots__ = ("drain",)
    DRAIN_FIELD_NUMBER: _ClassVar[int]
    drain: bool
    def __init__(self, drain: _Optional[bool] = ...) -> None: ...

class StartSendingRequest(_message.Message):
    __slots__ = ("accept_node",)
    ACCEPT_NODE_FIELD_NUMBER: _ClassVar[int]
    accept_node: str
    def __init__(self, accept_node: _Optional[str] = ...) -> None: ...

class Status(_message.Message):
    __slots__ = ("healthy", "problems", "sending", "stopped_by", "nodes", "streams_by_state", "stalled_by_reason", "payments_open", "payments_in_doubt", "in_doubt_msat", "spent_msat", "spend_limit_msat", "spend_period_start", "store_bytes", "store_free_bytes", "start_time", "version", "p99_lateness_seconds", "payments_settled", "paid_msat", "fee_msat", "payments_failed", "skipped_msat", "payments_pending")
    class StreamsByStateEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class StalledByReasonEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    HEALTHY_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    SENDING_FIELD_NUMBER: _ClassVar[int]
    STOPPED_BY_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    STREAMS_BY_STATE_FIELD_NUMBER: _ClassVar[int]
    STALLED_BY_REASON_FIELD_NUMBER: _ClassVar[int]
    PAYMENTS_OPEN_FIELD_NUMBER: _ClassVar[int]
    PAYMENTS_IN_DOUBT_FIELD_NUMBER: _ClassVar[int]
    IN_DOUBT_MSAT_FIELD_NUMBER: _ClassVar[int]
    SPENT_MSAT_FIELD_NUMBER: _ClassVar[int]
    SPEND_LIMIT_MSAT_FIELD_NUMBER: _ClassVar[int]
    SPEND_PERIOD_START_FIELD_NUMBER: _ClassVar[int]
    STORE_BYTES_FIELD_NUMBER: _ClassVar[int]
    STORE_FREE_BYTES_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    P99_LATENESS_SECONDS_FIELD_NUMBER: _ClassVar[int]
    PAYMENTS_SETTLED_FIELD_NUMBER: _ClassVar[int]
    PAID_MSAT_FIELD_NUMBER: _ClassVar[int]
    FEE_MSAT_FIELD_NUMBER: _ClassVar[int]
    PAYMENTS_FAILED_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_MSAT_FIELD_NUMBER: _ClassVar[int]
    PAYMENTS_PENDING_FIELD_NUMBER: _ClassVar[int]
    healthy: bool
    problems: _containers.RepeatedScalarFieldContainer[str]
    sending: bool
    stopped_by: _containers.RepeatedScalarFieldContainer[str]
    nodes: _containers.RepeatedCompositeFieldContainer[NodeStatus]
    streams_by_state: _containers.ScalarMap[str, int]
    stalled_by_reason: _containers.ScalarMap[str, int]
    payments_open: int
    payments_in_doubt: int
    in_doubt_msat: int
    spent_msat: int
    spend_limit_msat: int
    spend_period_start: _timestamp_pb2.Timestamp
    store_bytes: int
    store_free_bytes: int
    start_time: _timestamp_pb2.Timestamp
    version: str
    p99_lateness_seconds: float
    payments_settled: int
    paid_msat: int
    fee_msat: int
    payments_failed: int
    skipped_msat: int
    payments_pending: int
    def __init__(self, healthy: _Optional[bool] = ..., problems: _Optional[_Iterable[str]] = ..., sending: _Optional[bool] = ..., stopped_by: _Optional[_Iterable[str]] = ..., nodes: _Optional[_Iterable[_Union[NodeStatus, _Mapping]]] = ..., streams_by_state: _Optional[_Mapping[str, int]] = ..., stalled_by_reason: _Optional[_Mapping[str, int]] = ..., payments_open: _Optional[int] = ..., payments_in_doubt: _Optional[int] = ..., in_doubt_msat: _Optional[int] = ..., spent_msat: _Optional[int] = ..., spend_limit_msat: _Optional[int] = ..., spend_period_start: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., store_bytes: _Optional[int] = ..., store_free_bytes: _Optional[int] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., version: _Optional[str] = ..., p99_lateness_seconds: _Optional[float] = ..., payments_settled: _Optional[int] = ..., paid_msat: _Optional[int] = ..., fee_msat: _Optional[int] = ..., payments_failed: _Optional[int] = ..., skipped_msat: _Optional[int] = ..., payments_pending: _Optional[int] = ...) -> None: ...

class NodeStatus(_message.Message):
    __slots__ = ("name", "pubkey", "network", "up", "problem", "stopped_by", "version", "window", "in_flight", "ready_streams", "capacity_payments_per_second", "wanted_payments_per_second", "alias")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PUBKEY_FIELD_NUMBER: _ClassVar[int]
    NETWORK_FIELD_NUMBER: _ClassVar[int]
    UP_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    STOPPED_BY_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    READY_STREAMS_FIELD_NUMBER: _ClassVar[int]
    CAPACITY_PAYMENTS_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    WANTED_PAYMENTS_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    ALIAS_FIELD_NUMBER: _ClassVar[int]
    name: str
    pubkey: str
    network: str
    up: bool
    problem: str
    stopped_by: _containers.RepeatedScalarFieldContainer[str]
    version: str
    window: int
    in_flight: int
    ready_streams: int
    capacity_payments_per_second: float
    wanted_payments_per_second: float
    alias: str
    def __init__(self, name: _Optional[str] = ..., pubkey: _Optional[str] = ..., network: _Optional[str] = ..., up: _Optional[bool] = ..., problem: _Optional[str] = ..., stopped_by: _Optional[_Iterable[str]] = ..., version: _Optional[str] = ..., window: _Optional[int] = ..., in_flight: _Optional[int] = ..., ready_streams: _Optional[int] = ..., capacity_payments_per_second: _Optional[float] = ..., wanted_payments_per_second: _Optional[float] = ..., alias: _Optional[str] = ...) -> None: ...

class Key(_message.Message):
    __slots__ = ("id", "name", "scopes", "budget", "destinations", "max_streams", "expire_time", "create_time", "revoke_time", "spent_msat", "reserved_msat", "period_start_time", "streams")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SCOPES_FIELD_NUMBER: _ClassVar[int]
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    DESTINATIONS_FIELD_NUMBER: _ClassVar[int]
    MAX_STREAMS_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    REVOKE_TIME_FIELD_NUMBER: _ClassVar[int]
    SPENT_MSAT_FIELD_NUMBER: _ClassVar[int]
    RESERVED_MSAT_FIELD_NUMBER: _ClassVar[int]
    PERIOD_START_TIME_FIELD_NUMBER: _ClassVar[int]
    STREAMS_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    scopes: _containers.RepeatedScalarFieldContainer[str]
    budget: _stream_pb2.Budget
    destinations: _containers.RepeatedScalarFieldContainer[str]
    max_streams: int
    expire_time: _timestamp_pb2.Timestamp
    create_time: _timestamp_pb2.Timestamp
    revoke_time: _timestamp_pb2.Timestamp
    spent_msat: int
    reserved_msat: int
    period_start_time: _timestamp_pb2.Timestamp
    streams: int
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., scopes: _Optional[_Iterable[str]] = ..., budget: _Optional[_Union[_stream_pb2.Budget, _Mapping]] = ..., destinations: _Optional[_Iterable[str]] = ..., max_streams: _Optional[int] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., revoke_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., spent_msat: _Optional[int] = ..., reserved_msat: _Optional[int] = ..., period_start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., streams: _Optional[int] = ...) -> None: ...

class CreateKeyRequest(_message.Message):
    __slots__ = ("key",)
    KEY_FIELD_NUMBER: _ClassVar[int]
    key: Key
    def __init__(self, key: _Optional[_Union[Key, _Mapping]] = ...) -> None: ...

class CreateKeyResponse(_message.Message):
    __slots__ = ("key", "text")
    KEY_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    key: Key
    text: str
    def __init__(self, key: _Optional[_Union[Key, _Mapping]] = ..., text: _Optional[str] = ...) -> None: ...

class ImportKeyRequest(_message.Message):
    __slots__ = ("key", "text")
    KEY_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    key: Key
    text: str
    def __init__(self, key: _Optional[_Union[Key, _Mapping]] = ..., text: _Optional[str] = ...) -> None: ...

class ListKeysRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListKeysResponse(_message.Message):
    __slots__ = ("keys",)
    KEYS_FIELD_NUMBER: _ClassVar[int]
    keys: _containers.RepeatedCompositeFieldContainer[Key]
    def __init__(self, keys: _Optional[_Iterable[_Union[Key, _Mapping]]] = ...) -> None: ...

class RevokeKeyRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...
