"""Streams that have ended long ago, as the journal's archive has them: found and listed beside
those in memory.

Streams of nodes that are not configured any more are not shown, as in memory.
"""

from __future__ import annotations

from collections.abc import Iterable

from streamer.ports import ArchiveQuery
from streamer.service.filters import StreamFilter
from streamer.service.nodes import Nodes
from streamer.words.model import ENDED, ApiKey, Payment, Stream

PAGE = 1_000
WINDOW_KEYS = 20_000
"""Streams that one query of a filter looks at, so that other reads of the journal come in between:
a tenth of a second.
"""
NEWEST = 1 << 62
"""Above every key."""


async def find(nodes: Nodes, stream_id: str) -> Stream | None:
    """The archived stream of that id, or the one in memory if it was recalled while we looked."""
    found = leaving(nodes).get(stream_id)
    if found is None:
        page = await nodes.history.archived(ArchiveQuery(id=stream_id, limit=1))
        found = page[0] if page else None
    held = (engine.book.streams.get(stream_id) for engine in nodes.engines.values())
    found = next((stream for stream in held if stream is not None), found)
    return found if found is not None and found.terms.node in nodes.engines else None


def leaving(nodes: Nodes) -> dict[str, Stream]:
    """Those on their way to the archive, by id: in memory no more, and not yet to be read."""
    return {
        stream_id: stream
        for engine in nodes.engines.values()
        for stream_id, stream in engine.archive.leaving.items()
    }


async def newest_first(
    nodes: Nodes, caller: ApiKey, wanted: StreamFilter, below: int, limit: int
) -> list[Stream]:
    """At most limit archived streams of the caller with a key below (0: from the newest) that
    match, newest first.
    """
    if any(name == "state" and value not in ENDED for name, value in wanted.terms):
        return []
    found: list[Stream] = []
    newest = await nodes.history.archived(ArchiveQuery(before_key=below, limit=1))
    before = newest[0].key + 1 if newest else 0
    windowed = any(name != "id" for name, _ in wanted.terms)
    while before > 1 and len(found) < limit:
        asked = min(PAGE, limit - len(found))
        after = max(0, before - 1 - WINDOW_KEYS) if windowed else 0
        query = ArchiveQuery(
            terms=wanted.terms,
            api_key=0 if caller.admin else caller.number,
            after_key=after,
            before_key=before,
            limit=asked,
        )
        page = await nodes.history.archived(query)
        found += [stream for stream in page if stream.terms.node in nodes.engines]
        before = page[-1].key if len(page) == asked else after + 1
    return found


async def streams_of(nodes: Nodes, payments: Iterable[Payment]) -> dict[int, Stream]:
    """By key, the archived streams to which some of these payments belong."""
    held = {stream.key: stream for stream in leaving(nodes).values()}
    keys = sorted(
        {
            payment.stream_key
            for payment in payments
            if payment.seq and not _in_memory(nodes, payment)
        }
        - held.keys()
    )
    for first in range(0, len(keys), PAGE):
        page = await nodes.history.archived(ArchiveQuery(keys=tuple(keys[first : first + PAGE])))
        held |= {stream.key: stream for stream in page}
    return held


def _in_memory(nodes: Nodes, payment: Payment) -> bool:
    engine = nodes.engines.get(payment.node)
    return engine is None or payment.stream_key in engine.book.by_key
