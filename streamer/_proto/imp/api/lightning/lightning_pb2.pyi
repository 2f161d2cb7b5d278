from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class GenerateInvoiceRequest(_message.Message):
    __slots__ = ("amount", "memo")
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    MEMO_FIELD_NUMBER: _ClassVar[int]
    amount: int
    memo: str
    def __init__(self, amount: _Optional[int] = ..., memo: _Optional[str] = ...) -> None: ...

class GenerateInvoiceResponse(_message.Message):
    __slots__ = ("invoice",)
    INVOICE_FIELD_NUMBER: _ClassVar[int]
    invoice: str
    def __init__(self, invoice: _Optional[str] = ...) -> None: ...

class PayInvoiceRequest(_message.Message):
    __slots__ = ("invoice",)
    INVOICE_FIELD_NUMBER: _ClassVar[int]
    invoice: str
    def __init__(self, invoice: _Optional[str] = ...) -> None: ...

class PayInvoiceResponse(_message.Message):
    __slots__ = ("preimage",)
    PREIMAGE_FIELD_NUMBER: _ClassVar[int]
    preimage: str
    def __init__(self, preimage: _Optional[str] = ...) -> None: ...

class CheckInvoiceRequest(_message.Message):
    __slots__ = ("invoice",)
    INVOICE_FIELD_NUMBER: _ClassVar[int]
    invoice: str
    def __init__(self, invoice: _Optional[str] = ...) -> None: ...

class CheckInvoiceResponse(_message.Message):
    __slots__ = ("paid",)
    PAID_FIELD_NUMBER: _ClassVar[int]
    paid: bool
    def __init__(self, paid: _Optional[bool] = ...) -> None: ...

class GetChannelsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetChannelsResponse(_message.Message):
    __slots__ = ("amt",)
    AMT_FIELD_NUMBER: _ClassVar[int]
    amt: int
    def __init__(self, amt: _Optional[int] = ...) -> None: ...

class ListPaymentsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListPaymentsResponse(_message.Message):
    __slots__ = ("payments",)
    PAYMENTS_FIELD_NUMBER: _ClassVar[int]
    payments: str
    def __init__(self, payments: _Optional[str] = ...) -> None: ...

class ListInvoicesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListInvoicesResponse(_message.Message):
    __slots__ = ("invoices",)
    INVOICES_FIELD_NUMBER: _ClassVar[int]
    invoices: str
    def __init__(self, invoices: _Optional[str] = ...) -> None: ...

class KeysendRequest(_message.Message):
    __slots__ = ("destination", "amount", "request_id")
    DESTINATION_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    destination: str
    amount: int
    request_id: str
    def __init__(self, destination: _Optional[str] = ..., amount: _Optional[int] = ..., request_id: _Optional[str] = ...) -> None: ...

class KeysendResponse(_message.Message):
    __slots__ = ("preimage", "payment_hash", "fee_msat")
    PREIMAGE_FIELD_NUMBER: _ClassVar[int]
    PAYMENT_HASH_FIELD_NUMBER: _ClassVar[int]
    FEE_MSAT_FIELD_NUMBER: _ClassVar[int]
    preimage: str
    payment_hash: str
    fee_msat: int
    def __init__(self, preimage: _Optional[str] = ..., payment_hash: _Optional[str] = ..., fee_msat: _Optional[int] = ...) -> None: ...
