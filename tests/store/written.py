"""A journal in a folder: written, and read whole."""

from __future__ import annotations

import asyncio
from pathlib import Path

from streamer.words.model import Facts, PaymentState, Snapshot
from tests.store.both import sqlite_store
from tests.store.given import a_payment, a_stream


def filled(path: Path, payments: int = 400) -> None:
    async def write() -> None:
        store = sqlite_store(path)
        store.load()
        streams = [a_stream(key) for key in range(1, 41)]
        for stream in streams:
            stream.account.seq = payments
        made = [a_payment(streams[n % 40], n + 1, n + 1) for n in range(payments)]
        for payment in made[::2]:
            payment.state = PaymentState.SETTLED
        await store.append(Facts(streams=streams, intents=made))
        await store.close()

    asyncio.run(write())


def loaded(path: Path) -> Snapshot:
    store = sqlite_store(path)
    try:
        return store.load()
    finally:
        asyncio.run(store.close())
