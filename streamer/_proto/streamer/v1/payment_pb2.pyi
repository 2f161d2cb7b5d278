import datetime

from google.api import annotations_pb2 as _annotations_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Payment(_message.Message):
    __slots__ = ("id", "stream_id", "seq", "node", "destination", "amount_msat", "fee_msat", "fee_limit_msat", "payment_hash", "state", "reason", "message", "create_time", "end_time", "in_doubt", "held", "orphan", "lost_sight", "bought_until", "preimage", "payment_request")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATE_UNSPECIFIED: _ClassVar[Payment.State]
        PENDING: _ClassVar[Payment.State]
        SETTLED: _ClassVar[Payment.State]
        FAILED: _ClassVar[Payment.State]
        WRITTEN_OFF: _ClassVar[Payment.State]
    STATE_UNSPECIFIED: Payment.State
    PENDING: Payment.State
    SETTLED: Payment.State
    FAILED: Payment.State
    WRITTEN_OFF: Payment.State
    ID_FIELD_NUMBER: _ClassVar[int]
    STREAM_ID_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MSAT_FIELD_NUMBER: _ClassVar[int]
    FEE_MSAT_FIELD_NUMBER: _ClassVar[int]
    FEE_LIMIT_MSAT_FIELD_NUMBER: _ClassVar[int]
    PAYMENT_HASH_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    IN_DOUBT_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    ORPHAN_FIELD_NUMBER: _ClassVar[int]
    LOST_SIGHT_FIELD_NUMBER: _ClassVar[int]
    BOUGHT_UNTIL_FIELD_NUMBER: _ClassVar[int]
    PREIMAGE_FIELD_NUMBER: _ClassVar[int]
    PAYMENT_REQUEST_FIELD_NUMBER: _ClassVar[int]
    id: str
    stream_id: str
    seq: int
    node: str
    destination: str
    amount_msat: int
    fee_msat: int
    fee_limit_msat: int
    payment_hash: str
    state: Payment.State
    reason: str
    message: str
    create_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    in_doubt: bool
    held: bool
    orphan: bool
    lost_sight: bool
    bought_until: _timestamp_pb2.Timestamp
    preimage: str
    payment_request: str
    def __init__(self, id: _Optional[str] = ..., stream_id: _Optional[str] = ..., seq: _Optional[int] = ..., node: _Optional[str] = ..., destination: _Optional[str] = ..., amount_msat: _Optional[int] = ..., fee_msat: _Optional[int] = ..., fee_limit_msat: _Optional[int] = ..., payment_hash: _Optional[str] = ..., state: _Optional[_Union[Payment.State, str]] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., in_doubt: _Optional[bool] = ..., held: _Optional[bool] = ..., orphan: _Optional[bool] = ..., lost_sight: _Optional[bool] = ..., bought_until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., preimage: _Optional[str] = ..., payment_request: _Optional[str] = ...) -> None: ...

class TlvRecord(_message.Message):
    __slots__ = ("type", "value_hex")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    VALUE_HEX_FIELD_NUMBER: _ClassVar[int]
    type: int
    value_hex: str
    def __init__(self, type: _Optional[int] = ..., value_hex: _Optional[str] = ...) -> None: ...

class CreatePaymentRequest(_message.Message):
    __slots__ = ("destination", "amount_msat", "request_id", "fee_limit_msat", "node", "tlv_records", "payment_request")
    DESTINATION_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MSAT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    FEE_LIMIT_MSAT_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    TLV_RECORDS_FIELD_NUMBER: _ClassVar[int]
    PAYMENT_REQUEST_FIELD_NUMBER: _ClassVar[int]
    destination: str
    amount_msat: int
    request_id: str
    fee_limit_msat: int
    node: str
    tlv_records: _containers.RepeatedCompositeFieldContainer[TlvRecord]
    payment_request: str
    def __init__(self, destination: _Optional[str] = ..., amount_msat: _Optional[int] = ..., request_id: _Optional[str] = ..., fee_limit_msat: _Optional[int] = ..., node: _Optional[str] = ..., tlv_records: _Optional[_Iterable[_Union[TlvRecord, _Mapping]]] = ..., payment_request: _Optional[str] = ...) -> None: ...

class GetPaymentRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class ListPaymentsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "filter")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    filter: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., filter: _Optional[str] = ...) -> None: ...

class ListPaymentsResponse(_message.Message):
    __slots__ = ("payments", "next_page_token")
    PAYMENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    payments: _containers.RepeatedCompositeFieldContainer[Payment]
    next_page_token: str
    def __init__(self, payments: _Optional[_Iterable[_Union[Payment, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class WriteOffPaymentRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...
