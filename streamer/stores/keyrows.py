"""API keys as rows, and back: one JSON text each, with a checksum; of the key itself only a
digest.
"""

from __future__ import annotations

import json
from typing import Any
from zlib import crc32

from streamer.stores.rows import Row, plain
from streamer.words.apikey import Scope
from streamer.words.model import ApiKey, BudgetTerms


def key_row(key: ApiKey) -> Row:
    """(number, id, document, crc)."""
    text = json.dumps(
        {
            "name": plain(key.name),
            "scopes": sorted(key.scopes),
            "digest": key.digest.hex(),
            "budget": None
            if key.budget is None
            else [key.budget.amount_msat, key.budget.period_ns],
            "destinations": sorted(destination.hex() for destination in key.destinations),
            "max_streams": key.max_streams,
            "create_time_ns": key.create_time_ns,
            "expire_time_ns": key.expire_time_ns,
            "revoke_time_ns": key.revoke_time_ns,
        }
    )
    return (key.number, key.id, text, _crc(key.id, text))


def key_from(row: Row) -> ApiKey:
    """The key of such a row. Raises KeyError, TypeError or ValueError if it is not whole."""
    number, key_id, text, crc = row
    if _crc(key_id, text) != crc:
        raise ValueError("its text is not what was written")
    read: dict[str, Any] = json.loads(text)
    budget = read["budget"]
    return ApiKey(
        number=number,
        id=key_id,
        name=read["name"],
        scopes=frozenset(map(Scope, read["scopes"])),
        digest=bytes.fromhex(read["digest"]),
        budget=None if budget is None else BudgetTerms(*budget),
        destinations=frozenset(map(bytes.fromhex, read["destinations"])),
        max_streams=read["max_streams"],
        create_time_ns=read["create_time_ns"],
        expire_time_ns=read["expire_time_ns"],
        revoke_time_ns=read["revoke_time_ns"],
    )


def _crc(key_id: str, text: str) -> int:
    return crc32(text.encode(), crc32(key_id.encode()))
