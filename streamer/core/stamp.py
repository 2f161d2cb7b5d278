"""Gives each planned payment its identity: the hash of its preimage, and the records it carries.

The bytes are those of nodes/keysend.py; here is what is the same for every payment of a stream, or
for every payment at all, worked out once: this runs for each payment.
"""

from __future__ import annotations

import hashlib

from streamer.core.book import Stamp
from streamer.core.keysend import (
    STREAM_TYPE,
    StreamRecordFrame,
    derive_token,
    encode_records,
    id_bytes,
    preimages,
)
from streamer.words.model import Rate, Stream

MAX_FRAMES = 200_000
"""Streams whose frames are kept; when it is reached they are all made anew."""


def stamp_with(secret: bytes) -> Stamp:
    """A Stamp that derives everything from secret; the stream record says what the payment is."""
    derive = preimages(secret)
    frames: dict[str, tuple[Rate, bytes, StreamRecordFrame]] = {}

    def frame_of(stream: Stream) -> tuple[Rate, bytes, StreamRecordFrame]:
        rate = stream.terms.rate
        if len(frames) >= MAX_FRAMES:
            frames.clear()
        frame = StreamRecordFrame(stream.terms.token or derive_token(secret, stream.id), rate)
        known = frames[stream.id] = (rate, id_bytes(stream.id), frame)
        return known

    def stamp(
        stream: Stream | None, owner: str, seq: int, amount_msat: int
    ) -> tuple[bytes, bytes, bytes]:
        if stream is None:
            preimage = derive(id_bytes(owner), seq)
            return hashlib.sha256(preimage).digest(), b"", preimage
        known = frames.get(owner)
        if known is None or known[0] is not stream.terms.rate:
            known = frame_of(stream)
        preimage = derive(known[1], seq)
        record = known[2].encode(seq, amount_msat, stream.account.settled_msat)
        own = stream.terms.records
        records = (
            encode_records(((STREAM_TYPE, record), *own))
            if own
            else StreamRecordFrame.alone(record)
        )
        return hashlib.sha256(preimage).digest(), records, preimage

    return stamp
