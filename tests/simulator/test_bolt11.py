"""BOLT 11 by the examples of the specification, and there and back."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.simulator.encoding.bolt11 import Bolt11, decode, encode
from streamer.simulator.encoding.keys import public_key, secret_scalar

DONATION = (
    "lnbc1pvjluezsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygspp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypq"
    "dpl2pkx2ctnv5sxxmmwwd5kgetjypeh2ursdae8g6twvus8g6rfwvs8qun0dfjkxaq9qrsgq357wnc5r2ueh7ck6q93dj32dlqnls087fxdwk8qakdyafkq3yap9"
    "us6v52vjjsrvywa6rt52cm9r9zqt8r2t7mlcwspyetp5h2tztugp9lfyql"
)
SPEC_PAYEE = "03e7156ae33b0a208d0744199163177e909e80176e55d97a2f221ede0f934dd9ad"


def test_the_specifications_donation() -> None:
    found = decode(DONATION, "mainnet")
    assert (found.chain, found.amount_msat, found.timestamp) == ("mainnet", 0, 1_496_314_658)
    assert (
        found.payment_hash.hex()
        == "0001020304050607080900010203040506070809000102030405060708090102"
    )
    assert found.payment_addr == b"\x11" * 32
    assert found.description == b"Please consider supporting this project"
    assert found.payee.hex() == SPEC_PAYEE


def test_one_wrong_letter_is_noticed() -> None:
    with pytest.raises(ValueError, match="checksum"):
        decode(DONATION[:40] + ("q" if DONATION[40] != "q" else "p") + DONATION[41:], "mainnet")


@settings(max_examples=15, deadline=None)
@given(
    amount=st.integers(0, 10**12),
    seconds=st.integers(1, 2**34),
    memo=st.text(max_size=150),
    name=st.text(max_size=5),
)
def test_there_and_back(amount: int, seconds: int, memo: str, name: str) -> None:
    invoice = Bolt11(
        "regtest",
        amount,
        seconds,
        b"h" * 32,
        b"a" * 32,
        memo.encode(),
        600,
        80,
        public_key("0", name),
    )
    assert decode(encode(invoice, secret_scalar("0", name)), "regtest") == invoice
