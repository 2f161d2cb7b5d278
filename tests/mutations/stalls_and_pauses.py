"""Mutations of what stalls a stream, of impossible time, and of pauses."""

from __future__ import annotations

from tests.mutations.mutation import BOOK, END, Mutation

IMPOSSIBLE = "streamer/core/impossible.py"
STREAMTIME = "streamer/core/streamtime.py"
LIFECYCLE = "streamer/core/lifecycle.py"
SCHEDULE = "streamer/core/schedule.py"
SPANS = "streamer/core/spans.py"
TESTS = ("tests/core/test_stalls.py", "tests/core/test_pauses.py")

STALL_MUTATIONS = (
    Mutation(
        4,
        "a failure goes before doubt",
        BOOK,
        "Reason.IN_DOUBT if stream.doubt_since_ns else stream.short_of or stream.stalled_by",
        "stream.stalled_by or stream.short_of or (Reason.IN_DOUBT if stream.doubt_since_ns else"
        " Reason.NONE)",
        TESTS,
    ),
    Mutation(
        4,
        "time in doubt is not impossible",
        IMPOSSIBLE,
        "stream.doubt_since_ns, stream.short_since_ns):\n        if",
        "):\n        if",
        TESTS,
    ),
    Mutation(
        4,
        "a failure under doubt stalls",
        END,
        "if not (stream.doubt_since_ns or stream.short_of) and (stream.stalled_by or"
        " retry.stalled):",
        "if True:",
        TESTS,
    ),
    Mutation(
        4,
        "what lay in bought time is forgotten by a plan",
        IMPOSSIBLE,
        "        return ()\n    spans = impossible(stream, now_ns, sources)\n",
        "        return ()\n    spans = list[Span]()\n",
        TESTS,
    ),
    Mutation(
        4,
        "what stood still is impossible",
        IMPOSSIBLE,
        "length_ns(without(gap, stopped(stream, now_ns)))",
        "length_ns(gap)",
        TESTS,
    ),
    Mutation(
        4,
        "a resume ends the row",
        LIFECYCLE,
        "stream.paused_at_ns = stream.account.next_attempt_ns = 0\n",
        "stream.paused_at_ns = stream.account.next_attempt_ns = stream.account.streak = 0\n   "
        " stream.stalled_by = Reason.NONE\n",
        (*TESTS, "tests/core/test_lifecycle.py"),
    ),
    Mutation(
        4,
        "a larger failure raises the cap",
        END,
        "min(account.probe_cap_msat or half, half)",
        "half",
        TESTS,
    ),
    Mutation(
        4,
        "what an end skips is dropped",
        BOOK,
        "        if skip is not None:\n            self._skip(",
        "        if False:\n            self._skip(",
        TESTS,
    ),
    Mutation(
        4,
        "what is dropped stays so",
        END,
        "if closed and stream.dropped_msat != (dropped",
        "if False and stream.dropped_msat != (dropped",
        TESTS,
    ),
    Mutation(
        4,
        "every rate is kept",
        SCHEDULE,
        "while len(changed) > MOST_SEGMENTS:",
        "while False:",
        TESTS,
    ),
    Mutation(
        4,
        "a mean over paid time and unpaid",
        SCHEDULE,
        "segments[index].start_ns < moment_ns < segments[index + 2].start_ns",
        "False",
        TESTS,
    ),
    Mutation(
        4,
        "a rate of nothing is one",
        SCHEDULE,
        "if price else Rate(1, time_ns + 1, step_ns)",
        "if price else second.rate",
        TESTS,
    ),
    Mutation(
        4,
        "a renewal waits for the other payment",
        BOOK,
        "if state is StreamState.STALLED and stream.short_of:",
        "if False:",
        TESTS,
    ),
    Mutation(
        4,
        "a skip has no place",
        BOOK,
        "        stream.stretches = with_stretch(stream, stretch)\n",
        "",
        TESTS,
    ),
)
