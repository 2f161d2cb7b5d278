"""Gives each planned payment its identity: the hash of its preimage, and the records it carries.

The bytes are those of nodes/keysend.py; here is what is the same for every payment of a stream, or
for every payment at all, worked out once: this runs for each payment.
"""

from __future__ import annotations

import hashlib

from streamer.core.book import Stamp
from streamer.model import Rate, Stream
from streamer.nodes.keysend import STREAM_TYPE, StreamRecordFrame, derive_token, encode_records, preimages

MAX_FRAMES = 200_000
"""Streams whose frames are kept; when it is reached they are all made anew."""


def stamp_with(secret: bytes) -> Stamp:
    """A Stamp that derives everything from secret; the stream record says what the payment is."""
    derive = preimages(secret)
    frames: dict[str, tuple[Rate, StreamRecordFrame]] = {}

    def frame_of(stream: Stream) -> StreamRecordFrame:
        known = frames.get(stream.id)
        if known is not None and known[0] is stream.terms.rate:
            return known[1]
        if len(frames) >= MAX_FRAMES:
            frames.clear()
        frame = StreamRecordFrame(stream.terms.token or derive_token(secret, stream.id), stream.terms.rate)
        frames[stream.id] = (stream.terms.rate, frame)
        return frame

    def stamp(stream: Stream | None, owner: str, seq: int, amount_msat: int) -> tuple[bytes, bytes, bytes]:
        preimage = derive(owner, seq)
        digest = hashlib.sha256(preimage).digest()
        if stream is None:
            return digest, b"", preimage
        record = frame_of(stream).encode(seq, amount_msat, stream.account.settled_msat)
        own = stream.terms.records
        return digest, encode_records(((STREAM_TYPE, record), *own)) if own else StreamRecordFrame.alone(record), preimage

    return stamp
