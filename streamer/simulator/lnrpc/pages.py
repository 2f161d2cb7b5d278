"""How lnd pages its lists: ascending by index, after or (reversed) before an offset.

An offset of 0 means from the start, or from the end when reversed; a page is ascending either way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Reversible
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def page(
    records: Reversible[T],
    index_of: Callable[[T], int],
    offset: int,
    most: int,
    *,
    reverse: bool,
    keep: Callable[[T], bool],
) -> list[T]:
    """At most `most` of the records (ascending by index) that keep accepts; most 0 is all."""
    bound = most or None
    if reverse:
        before = (record for record in reversed(records) if not offset or index_of(record) < offset)
        return list(islice(filter(keep, before), bound))[::-1]
    return list(islice(filter(keep, _after(records, index_of, offset)), bound))


def _after(records: Reversible[T], index_of: Callable[[T], int], offset: int) -> Iterable[T]:
    if not offset:
        return iter(records)
    # from the end: whoever follows the list asks for its newest few
    newer = _until(reversed(records), index_of, offset)
    return reversed(list(newer))


def _until(records: Iterator[T], index_of: Callable[[T], int], offset: int) -> Iterator[T]:
    for record in records:
        if index_of(record) <= offset:
            return
        yield record
