"""Requests by chance: from well-formed ones with absurd values to plain noise."""

from __future__ import annotations

import random
from collections.abc import Callable

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

INTS = (
    0,
    1,
    -1,
    2,
    999,
    1_000,
    5_000,
    2**31 - 1,
    -(2**31),
    2**32 - 1,
    2**63 - 1,
    -(2**63),
    2**64 - 1,
    10**12,
    65_536,
)
BOUNDS = {
    FieldDescriptor.TYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.TYPE_UINT64: (0, 2**64 - 1),
}
TEXTS = (
    "",
    "0",
    "total",
    "1h",
    "1d",
    "-1h",
    "state=ACTIVE",
    "labels.a=b",
    "stream=st_",
    "in_doubt",
    "reason=",
    "=",
    "\x00",
    "é" * 50,
    "\U0010ffff",
    "ff" * 33,
    "02" + "ab" * 32,
    "00ff",
    "a" * 200,
    "9" * 400,
    "x" * 70_000,
    "../../etc/passwd",
    "{}",
    "%s%n",
    "' OR 1=1 --",
)
DEEPEST = 4
MOST = 3


class Nonsense:
    """What chance sends. known: texts that mean something here (destinations, ids), so that calls
    get far.
    """

    def __init__(self, rng: random.Random, known: list[str]) -> None:
        self._rng = rng
        self._known = known

    def request(self, kind: type[Message]) -> bytes:
        """The bytes of a request, or of something like one."""
        filled = self.filled(kind()).SerializeToString()
        spoil: Callable[[bytes], bytes] = self._rng.choice(
            (_as_it_is, _as_it_is, self._flipped, self._cut, self._with_unknown, self._noise)
        )
        return spoil(filled)

    def filled(self, message: Message, depth: int = 0) -> Message:
        """Some of a message's fields, set to anything that its types hold."""
        schema = message.DESCRIPTOR
        assert isinstance(schema, Descriptor)
        for field in schema.fields:
            if self._rng.random() < 0.6:
                self._fill(message, field, depth)
        return message

    def _fill(self, message: Message, field: FieldDescriptor, depth: int) -> None:
        place = getattr(message, field.name)
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            for _ in range(self._rng.randrange(MOST)):
                place[self.text()] = self._value(field.message_type.fields_by_name["value"])
        elif field.message_type is not None:
            if depth < DEEPEST:
                for inner in (
                    [place.add() for _ in range(self._rng.randrange(MOST))]
                    if field.is_repeated
                    else [place]
                ):
                    inner.SetInParent()
                    self.filled(inner, depth + 1)
        elif field.is_repeated:
            place.extend(self._value(field) for _ in range(self._rng.randrange(MOST)))
        else:
            setattr(message, field.name, self._value(field))

    def _value(self, field: FieldDescriptor) -> object:
        if field.type in BOUNDS:
            low, high = BOUNDS[field.type]
            return min(max(self._rng.choice(INTS), low), high)
        if field.type == FieldDescriptor.TYPE_STRING:
            return self.text()
        if field.type == FieldDescriptor.TYPE_BYTES:
            return self._rng.randbytes(self._rng.choice((0, 1, 33, 5_000)))
        if field.type == FieldDescriptor.TYPE_BOOL:
            return self._rng.random() < 0.5
        if field.type == FieldDescriptor.TYPE_DOUBLE:
            return self._rng.choice((0.0, -1.5, float("nan"), float("inf")))
        return self._rng.choice((0, 1, 2, 99, -1))

    def text(self) -> str:
        """Known, absurd, or any characters."""
        kind = self._rng.random()
        if kind < 0.4:
            return self._rng.choice(self._known)
        if kind < 0.8:
            return self._rng.choice(TEXTS)
        return "".join(
            chr(self._rng.choice((self._rng.randrange(128), self._rng.randrange(0xD800))))
            for _ in range(self._rng.randrange(40))
        )

    def _flipped(self, data: bytes) -> bytes:
        spoiled = bytearray(data or b"\x00")
        for _ in range(self._rng.randint(1, 5)):
            spoiled[self._rng.randrange(len(spoiled))] ^= 1 << self._rng.randrange(8)
        return bytes(spoiled)

    def _cut(self, data: bytes) -> bytes:
        return data[: self._rng.randrange(len(data) + 1)]

    def _with_unknown(self, data: bytes) -> bytes:
        """Fields nobody knows: a varint, bytes, and groups in groups."""
        deep = self._rng.choice((1, 50, 2_000))
        group = b"\xc3\x3e" * deep + b"\xc4\x3e" * deep
        return data + b"\xf8\x3e\xff\xff\x03" + b"\xfa\x3e\x03abc" + group

    def _noise(self, _: bytes) -> bytes:
        return self._rng.randbytes(self._rng.choice((1, 7, 60, 3_000)))


def _as_it_is(data: bytes) -> bytes:
    return data
