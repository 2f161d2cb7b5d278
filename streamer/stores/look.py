"""A look at a data folder from outside: what would keep a daemon from opening it, as far as can be
seen without writing there.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from streamer.stores.folder import JOURNAL, SECRET, kept_secret, no_parent, not_a_folder, unwritable
from streamer.stores.schema import known_version
from streamer.words.errors import StoreRefused

KINDS = {"simulator": "the simulator", "lnd": "a real node (lnd)"}


def look(path: Path, kind: str) -> None:
    """Raise StoreRefused for what open_folder and the journal's start would refuse; nothing is
    made, locked or changed.
    """
    try:
        _look(path, kind)
    except OSError as problem:
        raise unwritable(path, problem) from problem


def _look(path: Path, kind: str) -> None:
    if path.exists() and not path.is_dir():
        raise not_a_folder(path)
    nearest = path if path.is_dir() else path.parent
    if not nearest.is_dir():
        raise no_parent(path)
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    if (path / JOURNAL).exists() or (path / SECRET).exists():
        kept_secret(path)
    if (path / JOURNAL).exists():
        _look_at(path, kind)


def _look_at(path: Path, kind: str) -> None:
    journal = path / JOURNAL
    try:
        # immutable: nothing is written, not even the files beside it that WAL needs; what is in the
        # WAL alone is not seen
        with closing(
            sqlite3.connect(f"file:{quote(str(journal))}?immutable=1", uri=True)
        ) as connection:
            known_version(connection, str(journal))
            kept = dict(connection.execute("SELECT name,value FROM meta"))
    except sqlite3.DatabaseError:
        return
    require_kind(path, kept.get("kind", kind), kind)


def require_kind(path: Path, kept: str, mine: str) -> None:
    """Raise StoreRefused if the folder was written with another kind of money."""
    if kept != mine:
        raise StoreRefused(
            f"the data folder {path} was written with {KINDS.get(kept, kept)}, and cannot be used"
            f" with {KINDS.get(mine, mine)}: set another data_dir"
        )
