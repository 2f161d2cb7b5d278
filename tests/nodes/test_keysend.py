from __future__ import annotations

import hashlib
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.core import keysend
from streamer.words.model import Rate

SECRET = bytes(range(32))
STREAM = "st_" + "00112233445566778899aabbccddeeff"
PAYMENT = "pay_" + "00112233445566778899aabbccddeeff"
RATE = Rate(50_000, 60_000_000_000, 60_000_000_000)
U64 = st.integers(min_value=0, max_value=2**64 - 1)
RECORDS = st.dictionaries(
    U64.filter(lambda kind: kind != keysend.PREIMAGE_TYPE), st.binary(max_size=300), max_size=6
)


def hmac_by_hand(key: bytes, text: bytes) -> bytes:
    """RFC 2104, so that the derivation does not lean on the module it tests."""
    block = key.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(b ^ 0x36 for b in block) + text).digest()
    return hashlib.sha256(bytes(b ^ 0x5C for b in block) + inner).digest()


def test_preimage_is_the_hmac_of_label_id_and_seq() -> None:
    text = (
        b"streamer/preimage/v1"
        + bytes.fromhex("00112233445566778899aabbccddeeff")
        + b"\0\0\0\0\0\0\0\x07"
    )
    assert keysend.derive_preimage(SECRET, STREAM, 7) == hmac_by_hand(SECRET, text)


def test_token_has_its_own_label_and_16_bytes() -> None:
    text = b"streamer/token/v1" + bytes.fromhex("00112233445566778899aabbccddeeff")
    assert keysend.derive_token(SECRET, STREAM) == hmac_by_hand(SECRET, text)[:16]


def test_preimages_differ_by_secret_owner_and_seq() -> None:
    other = STREAM[:-1] + "e"
    made = {
        keysend.derive_preimage(secret, owner, seq)
        for secret in (SECRET, SECRET[::-1])
        for owner in (STREAM, other)
        for seq in (1, 2)
    }
    assert len(made) == 8


def test_hash_is_sha256() -> None:
    assert keysend.payment_hash(b"") == bytes.fromhex(
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )


@pytest.mark.parametrize(
    "owner", ["", "st_", "st_00", "key_" + "00" * 16, "st_" + "zz" * 16, STREAM + "00"]
)
def test_an_owner_that_is_no_id_is_refused(owner: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        keysend.derive_preimage(SECRET, owner, 1)


def test_seq_fills_eight_bytes_and_no_more() -> None:
    keysend.derive_preimage(SECRET, PAYMENT, 2**64 - 1)
    with pytest.raises(OverflowError):
        keysend.derive_preimage(SECRET, PAYMENT, 2**64)
    with pytest.raises(OverflowError):
        keysend.derive_preimage(SECRET, PAYMENT, -1)


def test_stream_record_byte_by_byte() -> None:
    value = keysend.encode_stream_record(b"\xaa" * 16, 7, 50_000, 0, RATE)
    assert (
        value.hex()
        == "0110" + "aa" * 16 + "030107" + "0502c350" + "0700" + "0902c350" + "0b050df8475800"
    )


def test_records_byte_by_byte() -> None:
    assert keysend.STREAM_TYPE.to_bytes(4, "big") == b"strm"
    made = keysend.encode_records(
        [(keysend.STREAM_TYPE, b"xy"), (65536, b""), (2**40, b"\x01" * 253)]
    )
    assert (
        made.hex()
        == "fe00010000"
        + "00"
        + "fe7374726d"
        + "02"
        + b"xy".hex()
        + "ff0000010000000000"
        + "fd00fd"
        + "01" * 253
    )


@pytest.mark.parametrize(
    ("number", "wire"),
    [  # the vectors of BOLT 1, appendix A
        (0, "00"),
        (252, "fc"),
        (253, "fd00fd"),
        (65535, "fdffff"),
        (65536, "fe00010000"),
        (4294967295, "feffffffff"),
        (4294967296, "ff0000000100000000"),
        (18446744073709551615, "ffffffffffffffffff"),
    ],
)
def test_bigsize_as_in_bolt_1(number: int, wire: str) -> None:
    stream = bytes.fromhex(wire + "00")
    assert keysend.encode_records([(number, b"")]) == stream
    assert keysend.decode_records(stream) == {number: b""}


@pytest.mark.parametrize(
    ("wire", "says"),
    [
        ("fd00fc00", "minimal"),
        ("fe0000ffff00", "minimal"),
        ("ff00000000ffffffff00", "minimal"),
        ("fd00", "within a number"),
        ("feffff", "within a number"),
        ("ffffffffff", "within a number"),
        ("01", "within a number"),
        ("0102ff", "before its length"),
        ("03000100", "after type"),
        ("01000100", "after type"),
    ],
)
def test_torn_streams_are_refused(wire: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        keysend.decode_records(bytes.fromhex(wire))


def test_a_type_twice_and_the_preimage_are_refused() -> None:
    with pytest.raises(ValueError, match="65536 comes twice"):
        keysend.encode_records([(65536, b"a"), (65536, b"b")])
    with pytest.raises(ValueError, match="preimage"):
        keysend.encode_records([(keysend.PREIMAGE_TYPE, b"p" * 32)])
    assert keysend.without_preimage({keysend.PREIMAGE_TYPE: b"p", 65536: b"a"}) == {65536: b"a"}


@given(RECORDS)
def test_records_come_back(records: dict[int, bytes]) -> None:
    stream = keysend.encode_records(records.items())
    assert keysend.decode_records(stream) == records
    assert list(keysend.decode_records(stream)) == sorted(records)


@given(st.binary(max_size=40), U64, U64, U64, U64, U64)
def test_stream_records_come_back(
    token: bytes, seq: int, amount: int, settled: int, rate_amount: int, interval: int
) -> None:
    value = keysend.encode_stream_record(
        token, seq, amount, settled, Rate(rate_amount, interval, interval)
    )
    assert keysend.decode_stream_record(value) == keysend.StreamRecord(
        token, seq, amount, settled, rate_amount, interval
    )


@given(st.binary(max_size=60))
def test_bytes_of_a_stranger_give_records_or_value_error(stream: bytes) -> None:
    try:
        records = keysend.decode_records(stream)
    except ValueError:
        return
    if keysend.PREIMAGE_TYPE not in records:
        assert keysend.encode_records(records.items()) == stream


def test_stream_record_of_a_stranger() -> None:
    whole = keysend.encode_stream_record(b"t" * 16, 1, 1000, 0, Rate(1000, 1, 1))
    assert keysend.decode_stream_record(whole + b"\x0d\x01x").seq == 1
    with pytest.raises(ValueError, match="even type 12"):
        keysend.decode_stream_record(whole + b"\x0c\x01x")
    with pytest.raises(ValueError, match="lacks the type 11"):
        keysend.decode_stream_record(whole[:-3])
    with pytest.raises(ValueError, match="minimal tu64"):
        keysend.decode_stream_record(whole[:-3] + b"\x0b\x02\x00\x01")


def test_numbers_that_do_not_fit_are_not_sent() -> None:
    with pytest.raises(OverflowError):
        keysend.encode_stream_record(b"t", 1, -1, 0, RATE)
    with pytest.raises(OverflowError):
        keysend.encode_stream_record(b"t", 2**64, 1, 0, RATE)


def test_keysend_imports_no_grpc() -> None:
    code = "import sys, streamer.core.keysend; sys.exit('grpc' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
