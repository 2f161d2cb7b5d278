"""The two stores behind one face: make, and reopen as after a crash or a stop."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from streamer.stores.folder import open_folder
from streamer.stores.memory import MemoryStore
from streamer.stores.sqlite import SqliteStore
from streamer.words.model import Snapshot

Either = SqliteStore | MemoryStore


def sqlite_store(path: Path, kind: str = "lnd") -> SqliteStore:
    return SqliteStore(open_folder(path, kind))


class Bench:
    """One journal of one kind of store, reopened as often as wanted."""

    def __init__(self, kind: str, path: Path) -> None:
        self._path = path / "data"
        self.store: Either = MemoryStore() if kind == "memory" else sqlite_store(self._path)
        self.store.load()

    async def reopened(self) -> Snapshot:
        """Close, open again, and what the journal says then."""
        if isinstance(self.store, MemoryStore):
            self.store = self.store.reopen()
        else:
            await self.store.close()
            self.store = sqlite_store(self._path)
        return self.store.load()


KINDS = ("memory", "sqlite")
Story = Callable[[Bench], Awaitable[None]]


def play(kind: str, story: Story) -> None:
    """Tell a story on a new store of this kind."""

    async def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            bench = Bench(kind, Path(folder))
            try:
                await story(bench)
            finally:
                await bench.store.close()

    asyncio.run(run())
