"""Macaroons as lnd makes and checks them: binary format 2, HMAC-SHA256 chain, permissions inside.

lnd (macaroon-bakery) writes the permissions into the identifier: a byte 3, then a protobuf of
nonce = 1, storage id = 2, ops = 3 {entity = 1, actions = 2}. The root key never leaves the node.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from streamer.simulator.lnrpc.permissions import REQUIRED, Permission
from streamer.simulator.network.books import Refused
from streamer.simulator.network.go_texts import from_hex
from streamer.words.money import SECOND_NS

VERSION = 2
TIME_BEFORE = "time-before"
ADDRESS = "ipaddr "
_END, _LOCATION, _IDENTIFIER, _VERIFICATION, _SIGNATURE = 0, 1, 2, 4, 6
_BAKERY_VERSION = b"\x03"
_KEY_GENERATOR = b"macaroons-key-generator"


def bake(
    root_key: bytes,
    permissions: Iterable[Permission],
    nonce: bytes = bytes(16),
    root_key_id: bytes = b"0",
) -> bytes:
    """A macaroon with these permissions and nothing more, in binary."""
    ops: dict[str, list[str]] = {}
    for entity, action in permissions:
        ops.setdefault(entity, []).append(action)
    identifier = _BAKERY_VERSION + _chunk(1, nonce) + _chunk(2, root_key_id)
    for entity, actions in ops.items():
        identifier += _chunk(
            3,
            _chunk(1, entity.encode()) + b"".join(_chunk(2, action.encode()) for action in actions),
        )
    body = _field(_LOCATION, b"lnd") + _field(_IDENTIFIER, identifier) + bytes([_END, _END])
    return bytes([VERSION]) + body + _field(_SIGNATURE, _sign(root_key, identifier, ()))


@dataclass(slots=True, frozen=True)
class Grant:
    """What a macaroon allows, until when (None: for ever; ns since 1970), and from which addresses
    (none: any).
    """

    permissions: frozenset[Permission]
    until_ns: int | None = None
    addresses: frozenset[str] = frozenset()


def read(root_key: bytes, macaroon: bytes) -> Grant:
    """What a macaroon that this root key signed allows; raises Refused with lnd's texts.

    Of the caveats lnd knows `time-before`, which lncli adds to each call, and `ipaddr` are
    understood.
    """
    try:
        identifier, caveats, signature = _parse(macaroon)
    except (IndexError, ValueError) as error:
        raise Refused(
            "UNKNOWN", "cannot determine data format of binary-encoded macaroon"
        ) from error
    if not hmac.compare_digest(signature, _sign(root_key, identifier, caveats)):
        raise Refused(
            "UNKNOWN", "verification failed: signature mismatch after caveat verification"
        )
    ends: list[int] = []
    addresses: list[str] = []
    for caveat in (raw.decode(errors="replace") for raw in caveats):
        if caveat.startswith(ADDRESS):
            addresses.append(caveat.removeprefix(ADDRESS))
        else:
            ends.append(_time_before(caveat))
    return Grant(frozenset(_permissions(identifier)), min(ends, default=None), frozenset(addresses))


def _time_before(caveat: str) -> int:
    condition, _, moment = caveat.partition(" ")
    try:
        if condition != TIME_BEFORE:
            raise ValueError(condition)
        return int(datetime.datetime.fromisoformat(moment).timestamp()) * SECOND_NS
    except ValueError as error:
        raise Refused(
            "UNKNOWN",
            f'verification failed: caveat "{caveat}" not satisfied: caveat not recognized',
        ) from error


def allows(permissions: frozenset[Permission], method: str) -> bool:
    """True if the macaroon's permissions cover the gRPC method ("/lnrpc.Lightning/GetInfo")."""
    return REQUIRED.get(method) in permissions or ("uri", method) in permissions


def restrict(macaroon: bytes, caveat: str) -> bytes:
    """The macaroon with one condition more, which needs no root key: that is what macaroons are
    for.
    """
    _, _, signature = _parse(macaroon)
    body = macaroon[: -len(_field(_SIGNATURE, signature)) - 1]
    text = caveat.encode()
    return (
        body
        + _field(_IDENTIFIER, text)
        + bytes([_END, _END])
        + _field(_SIGNATURE, _hash(signature, text))
    )


ELSEWHERE = "macaroon locked to different IP address"


class Guard:
    """Checks the macaroon of each call; remembers those that were right, for they come with every
    call.
    """

    MAX_REMEMBERED = 1_000

    def __init__(self, root_key: bytes) -> None:
        self._root_key = root_key
        self._known: dict[str, Grant] = {}

    def check(self, sent: Sequence[str], method: str, now_ns: int, peer: str = "") -> None:
        """sent: the hex values of the call's "macaroon" metadata; peer: its address. Raises Refused
        as lnd does.
        """
        if len(sent) != 1:
            raise Refused("UNKNOWN", f"expected 1 macaroon, got {len(sent)}")
        grant = self._known.get(sent[0])
        if grant is None:
            grant = self._read(sent[0])
        if grant.until_ns is not None and now_ns > grant.until_ns:
            raise Refused(
                "UNKNOWN",
                f'verification failed: caveat "{TIME_BEFORE}" not satisfied: macaroon has expired',
            )
        for address in grant.addresses - {peer}:
            raise Refused(
                "UNKNOWN",
                f'verification failed: caveat "{ADDRESS}{address}" not satisfied: {ELSEWHERE}',
            )
        if not allows(grant.permissions, method):
            raise Refused("UNKNOWN", "permission denied")

    def _read(self, text: str) -> Grant:
        grant = read(self._root_key, from_hex(text))
        if len(self._known) >= self.MAX_REMEMBERED:
            self._known.clear()
        self._known[text] = grant
        return grant


def _sign(root_key: bytes, identifier: bytes, caveats: Iterable[bytes]) -> bytes:
    signature = _hash(_hash(_KEY_GENERATOR, root_key), identifier)
    for caveat in caveats:
        signature = _hash(signature, caveat)
    return signature


def _hash(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, hashlib.sha256)


def _parse(macaroon: bytes) -> tuple[bytes, list[bytes], bytes]:
    if not macaroon or macaroon[0] != VERSION:
        raise ValueError("not a version 2 macaroon")
    identifier, position = _section(macaroon, 1)
    caveats = []
    while macaroon[position] != _END:
        caveat, position = _section(macaroon, position)
        caveats.append(caveat)
    kind, signature, position = _read_field(macaroon, position + 1)
    if kind != _SIGNATURE or position != len(macaroon):
        raise ValueError("no signature at the end")
    return identifier, caveats, signature


def _section(data: bytes, position: int) -> tuple[bytes, int]:
    """The identifier of one section (head or caveat), and where the next begins."""
    identifier = b""
    while data[position] != _END:
        kind, value, position = _read_field(data, position)
        if kind == _IDENTIFIER:
            identifier = value
        elif kind not in (_LOCATION, _VERIFICATION):
            raise ValueError("unknown field")
    return identifier, position + 1


def _read_field(data: bytes, position: int) -> tuple[int, bytes, int]:
    kind, position = _read_varint(data, position)
    length, position = _read_varint(data, position)
    if position + length > len(data):
        raise ValueError("field is longer than the macaroon")
    return kind, data[position : position + length], position + length


def _permissions(identifier: bytes) -> Iterator[Permission]:
    for number, operation in _chunks(identifier[1:]):
        if number == 3:
            parts = list(_chunks(operation))
            entity = b"".join(value for kind, value in parts if kind == 1).decode()
            for kind, value in parts:
                if kind == 2:
                    yield entity, value.decode()


def _chunks(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The fields of a protobuf message that has none but length-delimited ones."""
    position = 0
    while position < len(data):
        tag, value, position = _read_field(data, position)
        yield tag >> 3, value


def _chunk(number: int, value: bytes) -> bytes:
    return _field(number << 3 | 2, value)


def _field(kind: int, value: bytes) -> bytes:
    return _varint(kind) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
