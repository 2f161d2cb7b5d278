"""Appends to a journal until it is killed, and prints the row of every append that was
acknowledged.

Each append holds an intent, the end of the one before, and a setting; so a half of one would show.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from streamer.words.model import Facts, PaymentState
from tests.store.both import sqlite_store
from tests.store.given import a_payment, a_stream


async def main() -> None:
    store = sqlite_store(Path(sys.argv[1]))
    store.load()
    streams = [a_stream(key) for key in range(1, 9)]
    await store.append(Facts(streams=streams))
    rows = iter(range(1, 10**9))

    async def work(number: int) -> None:
        stream, before = streams[number], None
        for seq in range(1, 10**6):
            row = next(rows)
            stream.account.seq = seq
            payment = a_payment(stream, row, seq)
            if before is not None:
                before.state, before.settled_msat = PaymentState.SETTLED, 1_000
                stream.account.settled_count = seq - 1
            facts = Facts(
                intents=[payment],
                ends=[before] if before else [],
                accounts=[stream],
                settings=[(stream.id, str(seq))],
            )
            await store.append(facts)
            sys.stdout.write(f"{stream.key} {seq}\n")
            sys.stdout.flush()
            before = payment

    await asyncio.gather(*(work(number) for number in range(8)))


asyncio.run(main())
