"""What may leave memory, and what must bring it back: broken, money of an ended stream would be
lost or forgotten.
"""

from __future__ import annotations

from tests.mutations.mutation import ADOPTION, BOOK, Mutation

ARCHIVE = "streamer/books/archive.py"
GIVEN_UP = "streamer/doubt/givenup.py"
BATCH = "streamer/stores/batch.py"
RETENTION = "streamer/stores/retention.py"
SHOWN = "streamer/service/archived.py"
WHOLE = ("tests/simulation/test_archive.py",)
STORED = ("tests/store/test_archive.py",)
LISTED = ("tests/simulation/test_adoption.py",)

ARCHIVE_MUTATIONS = (
    Mutation(
        4,
        "a stream leaves before its day is over",
        ARCHIVE,
        "= DAY_NS",
        "= DAY_NS - 120 * 10**9",
        WHOLE,
    ),
    Mutation(
        9,
        "a stream leaves while its node is away",
        ARCHIVE,
        ("            and self._turns.up\n"),
        "",
        WHOLE,
    ),
    Mutation(
        6,
        "a book lets an orphan's stream go",
        BOOK,
        "            or stream.reserved_msat\n",
        "",
        ("tests/core/test_leaving.py",),
    ),
    Mutation(
        2,
        "a stream leaves while the book waits for it",
        BOOK,
        "            or stream.key in self.gate\n",
        "",
        ("tests/core/test_leaving.py",),
    ),
    Mutation(
        4,
        "a stream leaves whose failure is watched",
        ARCHIVE,
        " and stream.key not in watched",
        "",
        WHOLE,
    ),
    Mutation(
        4,
        "a ghost of an archived stream is posted to none",
        GIVEN_UP,
        "await self._journal.archive.recall(payment.owner)",
        "pass",
        WHOLE,
    ),
    Mutation(
        4,
        "a ghost is posted although its stream cannot be read",
        GIVEN_UP,
        "        with suppress(*UNREADABLE):\n            if payment.stream_key and",
        "        if True:\n            if payment.stream_key and False and",
        WHOLE,
    ),
    Mutation(
        6,
        "what an archived stream gets back is lost",
        "streamer/doubt/refunds.py",
        "await self._journal.archive.recall(payment.owner)",
        "pass",
        WHOLE,
    ),
    Mutation(
        4, "a recall is not durable", ARCHIVE, "facts.recalled.append(found[0])", "pass", WHOLE
    ),
    Mutation(
        9,
        "archived tokens are not looked for",
        ADOPTION,
        "archived[record.token] = await self._journal.archive.of_token(record.token)",
        "archived[record.token] = []",
        (*LISTED, *WHOLE),
    ),
    Mutation(
        9,
        "without a stream in memory the list is not read",
        ADOPTION,
        " and await self._journal.archive.is_empty()",
        "",
        (*LISTED, *WHOLE),
    ),
    Mutation(
        9,
        "what is adopted of an archived stream stays outside",
        ADOPTION,
        (
            "held = self._book.streams.get(stream.id) or await self._journal.archive.recall(\n"
            "                stream.id\n"
            "            )"
        ),
        "held = self._book.streams.get(stream.id)",
        LISTED,
    ),
    Mutation(
        10,
        "an archived stream changes unnoticed",
        BATCH,
        "not self.archived.keys().isdisjoint",
        "not set().isdisjoint",
        STORED,
    ),
    Mutation(
        10,
        "a recalled stream is archived by the commit before",
        BATCH,
        "        self.archived.pop(stream.key, None)\n",
        "",
        STORED,
    ),
    Mutation(
        10,
        "an archived stream comes back by the commit before",
        BATCH,
        "        self.streams.pop(stream.key, None)\n",
        "",
        STORED,
    ),
    Mutation(
        2,
        "a key of a stream is given again",
        "streamer/stores/replay.py",
        'for table in ("streams", "archive"))',
        'for table in ("streams",))',
        STORED,
    ),
    Mutation(
        2,
        "a key of a purged stream is given again",
        RETENTION,
        "        connection.execute(_MARK, (PURGED_STREAM,))\n",
        "",
        STORED,
    ),
    Mutation(
        3,
        "a stream goes before its payments",
        RETENTION,
        (" AND NOT EXISTS\n  (SELECT 1 FROM payments WHERE stream_key = archive.key AND seq > 0)"),
        "",
        STORED,
    ),
    Mutation(
        3,
        "a request_id outlives its stream",
        RETENTION,
        "        connection.execute(_FORGET_STREAMS)\n",
        "",
        STORED,
    ),
    Mutation(
        3,
        "a request_id outlives its payment",
        RETENTION,
        "        connection.execute(_FORGET)\n",
        "",
        STORED,
    ),
    Mutation(
        10,
        "a bit that turned in the archive is shown",
        "streamer/stores/archive.py",
        "        if not proven:",
        "        if False:",
        STORED,
    ),
    Mutation(
        3,
        "a stream on its way to the archive is nowhere",
        SHOWN,
        "    found = leaving(nodes).get(stream_id)\n",
        "    found = None\n",
        WHOLE,
    ),
)
