"""Each row of the verdicts' table (core/verdict.py) by the scenario that comes to it, and what
follows from it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from streamer.core import verdict
from streamer.core.verdict import TABLE, Circumstances, Row
from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.words.model import Answer, Kind, Mark, Payment, PaymentState
from tests.simulation.desk import IN_FLIGHT, LOST, NOT_FOUND, Desk, channel, failed, settled

CLOSED = Answer(Kind.LOST, closed=True)
REFUSED = Answer(Kind.REFUSED, message="custom record not allowed here")
Scene = Callable[[Desk], Awaitable[Payment]]


async def asked_at_once(desk: Desk, answer: Answer | None, lost: Answer = LOST) -> Payment:
    payment = desk.loose(answer, lost)
    await desk.run(1)
    return payment


async def settles(desk: Desk) -> Payment:
    return await asked_at_once(desk, settled())


async def is_not_answered(desk: Desk) -> Payment:
    return await asked_at_once(desk, LOST)


async def failed_after_it_was_out_of_sight(desk: Desk) -> Payment:
    desk.recovery.evidence.witness = None
    payment = await asked_at_once(desk, NOT_FOUND)
    desk.answers[payment.payment_hash] = failed()
    await desk.run(5)
    return payment


async def stays_with_its_receiver(desk: Desk) -> Payment:
    payment = desk.loose(IN_FLIGHT)
    await desk.run(60)
    return payment


async def is_under_way(desk: Desk) -> Payment:
    return await asked_at_once(desk, IN_FLIGHT)


async def restarted(desk: Desk, seconds: float, mark: Mark = Mark.NONE) -> Payment:
    """What another process had sent is in flight, so long after the node came back."""
    payment = desk.payment()
    desk.answers[payment.payment_hash] = IN_FLIGHT
    desk.recovery.replay(payment)
    if mark:
        desk.house.mark(payment, mark)
    await asyncio.sleep(1)
    desk.up_since_ns = desk.clock.now_ns()
    await asyncio.sleep(seconds)
    await desk.connect()
    return payment


async def has_no_htlc_long_after_a_restart(desk: Desk) -> Payment:
    return await restarted(desk, 60)


async def was_an_orphan_for_an_earlier_process(desk: Desk) -> Payment:
    return await restarted(desk, 1, Mark.ORPHAN)


async def was_held_before_a_restart(desk: Desk) -> Payment:
    return await restarted(desk, 1, Mark.HELD)


async def has_no_htlc_soon_after_a_restart(desk: Desk) -> Payment:
    return await restarted(desk, 1)


async def fails_without_a_ghost(desk: Desk) -> Payment:
    return await asked_at_once(desk, failed(), CLOSED)


async def was_refused(desk: Desk) -> Payment:
    desk.recovery.evidence.witness = None
    return await asked_at_once(desk, NOT_FOUND, REFUSED)


async def was_accepted_and_is_unknown(desk: Desk) -> Payment:
    payment = await asked_at_once(desk, IN_FLIGHT)
    desk.answers[payment.payment_hash] = NOT_FOUND
    await desk.run(5)
    return payment


async def is_unknown_like_the_witness(desk: Desk) -> Payment:
    del desk.answers[desk.recovery.evidence.witness or b""]
    return await asked_at_once(desk, NOT_FOUND)


async def is_unknown_while_a_peer_is_away(desk: Desk) -> Payment:
    desk.now_open = (channel(), channel(active=False))
    return await asked_at_once(desk, NOT_FOUND)


async def is_unknown_without_a_ghost(desk: Desk) -> Payment:
    return await asked_at_once(desk, NOT_FOUND, CLOSED)


async def is_unknown_under_a_ghost(desk: Desk) -> Payment:
    return await asked_at_once(desk, NOT_FOUND)


async def is_unknown_while_nothing_may_be_sent(desk: Desk) -> Payment:
    desk.may = False
    return await asked_at_once(desk, NOT_FOUND)


S = PaymentState
SCENES: dict[str, tuple[Scene, PaymentState, Mark]] = {
    "settled": (settles, S.SETTLED, Mark.NONE),
    "silence": (is_not_answered, S.PLANNED, Mark.NONE),
    "out of sight": (failed_after_it_was_out_of_sight, S.PLANNED, Mark.LOST_SIGHT),
    "held": (stays_with_its_receiver, S.IN_FLIGHT, Mark.HELD),
    "under way": (is_under_way, S.IN_FLIGHT, Mark.NONE),
    "orphan": (has_no_htlc_long_after_a_restart, S.IN_FLIGHT, Mark.ORPHAN),
    "still an orphan": (was_an_orphan_for_an_earlier_process, S.IN_FLIGHT, Mark.ORPHAN),
    "let go": (was_held_before_a_restart, S.IN_FLIGHT, Mark.NONE),
    "not steady": (has_no_htlc_soon_after_a_restart, S.IN_FLIGHT, Mark.NONE),
    "failed": (fails_without_a_ghost, S.FAILED, Mark.NONE),
    "refused": (was_refused, S.REFUSED, Mark.NONE),
    "forgotten": (was_accepted_and_is_unknown, S.IN_FLIGHT, Mark.LOST_SIGHT),
    "past lost": (is_unknown_like_the_witness, S.PLANNED, Mark.LOST_SIGHT),
    "peer away": (is_unknown_while_a_peer_is_away, S.PLANNED, Mark.NONE),
    "never executed": (is_unknown_without_a_ghost, S.FAILED, Mark.NONE),
    "sent again": (is_unknown_under_a_ghost, S.PLANNED, Mark.NONE),
    "kept back": (is_unknown_while_nothing_may_be_sent, S.PLANNED, Mark.NONE),
}
"""What a row is come to by, and how the payment stands then: its state, its mark."""


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_each_row_has_its_scenario(row: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    found, row_of = list[str](), verdict.row_of

    def noting(so: Circumstances) -> Row:
        found.append(row_of(so).name)
        return row_of(so)

    monkeypatch.setattr(verdict, "row_of", noting)
    scene, state, mark = SCENES[row.name]

    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        payment = await scene(desk)
        assert found[-1] == row.name
        assert (payment.state, payment.mark) == (state, mark)
        assert desk.resent == ([payment] if row.name == "sent again" else [])

    run_virtual(main)


@pytest.mark.parametrize("answer", [IN_FLIGHT, NOT_FOUND, failed(), settled()])
@pytest.mark.parametrize("witness", [True, False])
def test_a_crashed_engine_comes_to_the_row_of_a_running_one(
    answer: Answer, witness: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same payment, the same node, the connection lost in between: once with the process, once
    without.
    """
    found, row_of = list[str](), verdict.row_of

    def noting(so: Circumstances) -> Row:
        found.append(row_of(so).name)
        return row_of(so)

    monkeypatch.setattr(verdict, "row_of", noting)

    async def main(clock: VirtualClock) -> None:
        for crashes in (False, True):
            desk = Desk(clock)
            if not witness:
                desk.recovery.evidence.witness = None
            payment = desk.payment()
            desk.answers[payment.payment_hash] = answer
            (desk.recovery.replay if crashes else desk.lose)(payment)
            desk.recovery.lost_connection()
            await desk.connect()

    run_virtual(main)
    running, crashed = found
    assert running == crashed
