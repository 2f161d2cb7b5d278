"""Gives each planned payment its identity: the hash of its preimage, and the records it carries."""

from __future__ import annotations

from streamer.core.book import Stamp
from streamer.model import Stream
from streamer.nodes.keysend import STREAM_TYPE, derive_preimage, derive_token, encode_records, encode_stream_record, payment_hash


def stamp_with(secret: bytes) -> Stamp:
    """A Stamp that derives everything from secret; the stream record says what the payment is."""

    def stamp(stream: Stream | None, owner: str, seq: int, amount_msat: int) -> tuple[bytes, bytes]:
        digest = payment_hash(derive_preimage(secret, owner, seq))
        if stream is None:
            return digest, b""
        terms = stream.terms
        token = terms.token or derive_token(secret, owner)
        record = encode_stream_record(token, seq, amount_msat, stream.account.settled_msat, terms.rate)
        return digest, encode_records(((STREAM_TYPE, record), *terms.records))

    return stamp
