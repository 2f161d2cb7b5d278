"""How recovery asks: when, how many at once, what for, how long a ghost may live, and who cannot
pay.
"""

from __future__ import annotations

import asyncio
from unittest import mock

import pytest

from streamer.core import ends
from streamer.core.payment import Event as PaymentEvent
from streamer.doubt import recovery
from streamer.doubt.case import Phase
from streamer.doubt.channelview import ChannelView
from streamer.doubt.recovery import Patience, Recovery
from streamer.ports import Channel, Channels
from streamer.simulator.clock import VirtualClock, run_virtual
from streamer.words.errors import NodeRejected, NodeUnavailable
from streamer.words.model import Answer, Facts, Kind, PaymentState, Rate, Single, StreamState
from streamer.words.reasons import Reason
from tests.simulation.desk import (
    IN_FLIGHT,
    LOST,
    NOT_FOUND,
    WITNESS,
    Desk,
    S,
    channel,
    failed,
    known,
    settled,
)

CLOSED = Answer(Kind.LOST, closed=True)
SOON = 0.1


def test_what_was_lost_is_asked_for_at_once_and_then_ever_more_rarely_but_each_minute() -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        payment = desk.loose(IN_FLIGHT)
        await desk.run(260)
        assert desk.asked[payment.payment_hash] == pytest.approx(
            [0, 2, 6, 14, 30, 62, 122, 182, 242], abs=SOON
        )

    run_virtual(main)


def test_a_call_that_ends_wakes_it_and_what_is_not_due_is_not_asked_for() -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        early = desk.loose(IN_FLIGHT)
        running = asyncio.ensure_future(desk.run(20))
        await asyncio.sleep(10.5)
        late = desk.loose(settled())
        await asyncio.sleep(0.01)
        assert desk.asked[late.payment_hash] == [10.5] and late.state is PaymentState.SETTLED
        await running
        assert desk.asked[early.payment_hash] == pytest.approx([0, 2, 6, 14], abs=SOON)

    run_virtual(main)


def test_a_resend_that_is_lost_again_keeps_the_pace_of_asking() -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        payment = desk.loose()
        await desk.run(1)
        assert (
            desk.resent == [payment] and desk.recovery.cases[payment.row].phase is Phase.RESENDING
        )
        await desk.run(100)
        assert len(desk.asked[payment.payment_hash]) == 1, "nobody asks while it is sent"
        desk.lose(payment)
        await desk.run(1)
        assert len(desk.asked[payment.payment_hash]) == 2 and desk.resent == [payment, payment]
        desk.lose(payment)
        await desk.run(1)
        assert len(desk.asked[payment.payment_hash]) == 2, "not again before its time"

    run_virtual(main)


def test_sixteen_are_asked_for_at_once() -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        payments = [desk.loose(IN_FLIGHT) for _ in range(40)]
        desk.answer_seconds = 0.1
        await desk.run(0.5)
        assert desk.most_at_once == 16
        moments = [moment for payment in payments for moment in desk.asked[payment.payment_hash]]
        assert moments == pytest.approx([0.0] * 16 + [0.1] * 16 + [0.2] * 8)

    run_virtual(main)


@pytest.mark.parametrize("error", [NodeUnavailable("away"), NodeRejected("no")])
def test_nothing_is_decided_by_a_node_that_does_not_answer_and_all_is_asked_again(
    error: Exception,
) -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        payment, short = desk.loose(IN_FLIGHT), desk.payment()
        desk.recovery.take_short(short, failed())
        desk.trouble["channels"] = error
        await desk.run(2.5)
        assert (payment.state, short.open, desk.looks) == (
            PaymentState.PLANNED,
            True,
            3,
        ), "once a second"
        desk.trouble.clear()
        await desk.run(1)
        assert payment.state is PaymentState.IN_FLIGHT and short.state is PaymentState.FAILED

    run_virtual(main)


def test_a_node_that_is_away_is_not_asked() -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        payment = desk.loose(settled())
        desk.up_since_ns = 0
        await desk.run(100)
        assert not desk.asked
        desk.up_since_ns = clock.now_ns()
        await desk.run(1)
        assert payment.state is PaymentState.SETTLED

    run_virtual(main)


def test_before_the_node_opens_each_is_asked_for_once() -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        payments = [desk.loose(IN_FLIGHT), desk.payment()]
        await desk.run(10)
        desk.recovery.replay(payments[1])
        desk.answers[payments[1].payment_hash] = failed()
        desk.may, desk.up_since_ns = False, 0
        await desk.connect()
        assert [desk.asked[payment.payment_hash][-1] for payment in payments] == [10, 10]
        desk.up_since_ns = clock.now_ns()
        await desk.run(1)
        assert len(desk.asked[payments[0].payment_hash]) == 4, (
            "0, 2, 6, and at the connect: its pace begins anew"
        )
        assert desk.asked[payments[1].payment_hash] == pytest.approx([10, 10], abs=SOON), (
            "what could not be sent again is not left waiting"
        )
        await desk.run(1.5)
        assert desk.asked[payments[0].payment_hash][-1] == pytest.approx(12, abs=SOON)

    run_virtual(main)


# -- ghosts -------------------------------------------------------------------------------------


def test_a_ghost_lives_for_ghost_after_and_a_call_that_was_answered_has_none() -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock, ghost_after_ns=20 * S)
        haunted, closed = desk.loose(), desk.loose(lost=CLOSED)
        end = clock.now_ns() + 20 * S
        assert [
            desk.recovery.haunted(haunted, moment) for moment in (end - 20 * S, end - 1, end)
        ] == [True, True, False]
        assert not desk.recovery.haunted(closed, end - 20 * S)
        assert not desk.recovery.haunted(desk.payment(), end - 20 * S), (
            "nor has one that was never lost"
        )

    run_virtual(main)


def test_a_ghost_outlives_its_connection_until_the_node_is_back_and_then_for_ghost_after() -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock, ghost_after_ns=20 * S)
        haunted, closed, replayed = (
            desk.loose(IN_FLIGHT),
            desk.loose(IN_FLIGHT, lost=CLOSED),
            desk.payment(),
        )
        desk.answers[replayed.payment_hash] = IN_FLIGHT
        desk.recovery.replay(replayed)
        desk.recovery.lost_connection()
        later = clock.now_ns() + 10**6 * S
        assert [
            desk.recovery.haunted(payment, later) for payment in (haunted, closed, replayed)
        ] == [True, False, True]
        await asyncio.sleep(100)
        dies = clock.now_ns() + 20 * S
        await desk.connect()
        for payment in (haunted, replayed):
            assert desk.recovery.haunted(payment, dies - 1) and not desk.recovery.haunted(
                payment, dies
            )
        assert not desk.recovery.haunted(closed, clock.now_ns())

    run_virtual(main)


def test_a_payment_of_an_earlier_process_is_haunted_until_the_node_is_back_and_asked() -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        payment = desk.payment()
        desk.recovery.replay(payment)
        assert desk.recovery.haunted(payment, clock.now_ns() + 10**6 * S)
        desk.answers[payment.payment_hash] = settled()
        await desk.run(0.1)
        assert payment.state is PaymentState.SETTLED

    run_virtual(main)


# -- the witness --------------------------------------------------------------------------------


def test_the_witness_is_asked_for_only_when_a_payment_is_not_found_and_once_for_all() -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        desk.loose(IN_FLIGHT)
        await desk.run(0.5)
        assert desk.looks == 1 and not desk.asked[WITNESS]
        payments = [desk.loose(NOT_FOUND), desk.loose(NOT_FOUND)]
        await desk.run(0.5)
        assert desk.looks == 2 and len(desk.asked[WITNESS]) == 1 and desk.resent == payments

    run_virtual(main)


def test_no_channel_is_looked_at_for_what_has_ended() -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        ended = [
            desk.loose(settled(), CLOSED),
            desk.loose(failed(), CLOSED),
            desk.loose(LOST, CLOSED),
        ]
        await desk.run(0.5)
        assert [payment.state.value for payment in ended] == [
            "SETTLED",
            "FAILED",
            "PLANNED",
        ] and desk.looks == 0

    run_virtual(main)


@pytest.mark.parametrize("witness", [None, b"x" * 32])
def test_without_a_witness_that_the_node_knows_nothing_is_sent_again(witness: bytes | None) -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        desk.recovery.evidence.witness = witness
        payment = desk.loose()
        await desk.run(1)
        assert not desk.resent and payment.mark.value == "lost_sight" and payment.open

    run_virtual(main)


def test_a_witness_that_nobody_answers_for_proves_neither() -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        payment = desk.loose()
        desk.answers[WITNESS] = LOST
        await desk.run(5)
        assert not desk.resent and payment.mark.value == "" and len(desk.asked[WITNESS]) == 5
        desk.answers[WITNESS] = IN_FLIGHT
        await desk.run(1)
        assert desk.resent == [payment]

    run_virtual(main)


# -- an insufficient balance: whose fault it is, and whom it stops --------------------------------


@pytest.mark.parametrize(
    ("channels", "reason"),
    [
        ([channel(1_000)], Reason.NONE),
        ([channel(999)], Reason.NO_LIQUIDITY),
        ([channel(10**9, active=False)], Reason.NODE_DOWN),
        ([channel(10**9, active=False), channel(999)], Reason.NO_LIQUIDITY),
        ([channel(10**9, slots=483)], Reason.NO_SLOTS),
        ([channel(10**9, slots=483), channel(999)], Reason.NO_SLOTS),
        ([channel(10**9, slots=483), channel(1_000, slots=482)], Reason.NONE),
        ([channel(10**9, slots=30, max_htlcs=30)], Reason.NO_SLOTS),
        ([channel(10**9, slots=29, max_htlcs=30)], Reason.NONE),
        ([], Reason.NODE_DOWN),
    ],
)
def test_a_node_cannot_pay_if_no_active_channel_has_money_and_a_slot(
    channels: list[Channel], reason: Reason
) -> None:
    assert ChannelView(Channels(tuple(channels), frozenset(), 0)).why_unable(1_000) is reason


def test_the_room_in_the_channels_is_what_their_peers_accept_less_what_others_have_taken() -> None:
    ours, held, foreign = (bytes([number]) * 32 for number in range(3))
    listed = (
        channel(slots=2, pending={ours: 1, held: 1}, max_htlcs=30),
        channel(slots=12, pending={foreign: 1}, max_htlcs=10),
        channel(slots=3, max_htlcs=483, active=False),
    )
    view = ChannelView(Channels(listed, frozenset(), 0))
    assert view.slots == 40
    assert view.free({ours, b"not there yet"}) == 40 - 13
    assert view.free({ours, held}) == 40 - 12
    assert ChannelView(Channels(listed[1:2], frozenset(), 0)).free(set()) == 0


@pytest.mark.parametrize("asked", [True, False])
def test_too_large_for_any_channel_is_the_payments_own_failure(asked: bool) -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        desk.now_open = (channel(1_000),)
        payment = desk.payment(desk.open(rate=Rate(5_000, S, S)))
        if asked:
            desk.answers[payment.payment_hash] = failed(Reason.NO_LIQUIDITY, "")
            desk.lose(payment, CLOSED)
        else:
            desk.recovery.take_short(payment, failed(Reason.NO_LIQUIDITY, ""))
        await desk.run(1)
        text = "insufficient balance: no single channel could carry it, smaller payments can go"
        assert known(payment) == ("FAILED", "NO_LIQUIDITY", text)
        stream = desk.house.book.by_key[payment.stream_key]
        assert stream.account.streak == 1 and stream.last_failure == text and not desk.blocked

    run_virtual(main)


def test_the_nodes_own_words_are_kept() -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        payment = desk.payment()
        desk.recovery.take_short(payment, failed(Reason.NO_LIQUIDITY, "lnd says so"))
        await desk.run(1)
        assert (
            payment.message
            == "lnd says so: no single channel could carry it, smaller payments can go"
        )

    run_virtual(main)


@pytest.mark.parametrize(
    ("only", "reason", "word"),
    [
        (channel(999), Reason.NO_LIQUIDITY, "minimum payment"),
        (channel(active=False), Reason.NODE_DOWN, "active channel"),
        (channel(slots=483), Reason.NO_SLOTS, "HTLC slots"),
    ],
)
def test_a_node_that_can_pay_nothing_is_blocked_and_no_stream_is_blamed(
    only: object, reason: Reason, word: str
) -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        desk.now_open = (only,)  # type: ignore[assignment]
        payment = desk.payment()
        desk.recovery.take_short(payment, failed(Reason.NO_LIQUIDITY, "insufficient balance"))
        await desk.run(1)
        [(why, text)] = desk.blocked
        assert why is reason and word in text
        stream = desk.house.book.by_key[payment.stream_key]
        assert known(payment) == ("FAILED", reason.value, "insufficient balance")
        assert (stream.account.streak, stream.state, stream.account.owed_msat) == (
            0,
            StreamState.ACTIVE,
            1_000,
        )

    run_virtual(main)


def test_a_single_payment_that_no_channel_can_carry_blocks_nobody() -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        desk.now_open = (channel(4_999),)
        facts = Facts()
        payment = desk.house.book.single(
            Single("pay_1", b"\x02" * 33, 5_000, 100), clock.now_ns(), facts
        )
        assert payment is not None
        desk.house.commit(facts)
        desk.recovery.take_short(payment, failed(Reason.NO_LIQUIDITY, "insufficient balance"))
        await desk.run(1)
        assert (
            known(payment) == ("FAILED", "NO_LIQUIDITY", "insufficient balance")
            and not desk.blocked
        )

    run_virtual(main)


@pytest.mark.parametrize("lost", [False, True])
def test_what_is_found_short_before_the_node_is_up_is_judged_then_or_ends_if_it_never_is(
    lost: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        desk.up_since_ns = 0
        payment = desk.payment(desk.open(rate=Rate(5_000, S, S)))
        desk.now_open = (channel(1_000),)
        desk.answers[payment.payment_hash] = failed(Reason.NO_LIQUIDITY, "short")
        desk.lose(payment, CLOSED)
        running = asyncio.ensure_future(desk.run(20))
        await desk.connect()
        await asyncio.sleep(5)
        assert payment.open, "nobody has looked at the channels yet, and somebody will"
        stream = desk.house.book.by_key[payment.stream_key]
        if lost:
            monkeypatch.setattr(
                recovery, "LOOK_AT_LEAST_SECONDS", recovery.IDLE_SECONDS
            )  # while there is one, there is a look each second, too
            await asyncio.sleep(2)
            desk.recovery.lost_connection()
            await asyncio.sleep(0.1)
            assert (known(payment), stream.account.streak) == (
                ("FAILED", "NO_LIQUIDITY", "short"),
                0,
            )
        else:
            desk.up_since_ns = clock.now_ns()
            await asyncio.sleep(2)
            assert (
                known(payment)[2].startswith(
                    "short: no single channel could carry it, smaller payments can go"
                )
                and stream.account.streak == 1
            )
        await running

    run_virtual(main)


def test_what_was_short_and_has_ended_meanwhile_blocks_nobody() -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        desk.now_open = (channel(999),)
        payment = desk.payment()
        desk.trouble["channels"] = NodeUnavailable("away")
        desk.recovery.take_short(payment, failed(Reason.NO_LIQUIDITY, "short"))
        await desk.run(2)
        desk.defer(
            lambda now_ns, facts: (
                ends.resolve(desk.house.book, payment, PaymentEvent.WRITE_OFF, LOST, now_ns, facts)
                and None
            )
        )
        desk.trouble.clear()
        await desk.run(2)
        assert payment.state is PaymentState.WRITTEN_OFF and not desk.blocked

    run_virtual(main)


# -- what else is known -------------------------------------------------------------------------


@pytest.mark.parametrize(("open_seconds", "restarted"), [(9, False), (10, True), (11, True)])
def test_a_node_that_says_how_long_it_runs_has_restarted_since_or_not(
    open_seconds: int, restarted: bool
) -> None:
    now_ns = 10**18
    assert (
        ChannelView(Channels((), frozenset(), 0, running_seconds=10)).has_restarted(
            now_ns - open_seconds * S, now_ns
        )
        is restarted
    )


def test_a_refusal_needs_no_witness() -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        desk.recovery = Recovery(desk, desk.house.book, clock, Patience(), desk)  # type: ignore[arg-type]
        assert desk.recovery.evidence.witness is None, "until somebody finds one"
        payment = desk.loose(lost=Answer(Kind.REFUSED, message="no"))
        await desk.run(1)
        assert payment.state is PaymentState.REFUSED

    run_virtual(main)


def test_what_a_node_does_not_know_waits_until_all_its_channels_are_back() -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        desk.now_open = (channel(), channel(active=False))
        payment = desk.loose()
        await desk.run(10)
        assert not desk.resent and payment.mark.value == "" and payment.open
        desk.now_open = (channel(), channel())
        await desk.run(10)
        assert desk.resent == [payment]

    run_virtual(main)


def test_the_end_of_what_was_never_loose_is_no_news() -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        desk.recovery.forget(desk.payment())
        assert not desk.recovery.cases

    run_virtual(main)


@pytest.mark.parametrize(
    ("loose", "up", "looks"), [(False, True, 10), (False, False, 10), (True, False, 600)]
)
def test_it_sleeps_while_nothing_is_loose_and_looks_each_second_while_nobody_can_be_asked(
    loose: bool, up: bool, looks: int
) -> None:
    async def main(clock: VirtualClock) -> None:
        desk, looked = Desk(clock), list[int]()
        if loose:
            desk.loose(IN_FLIGHT)
        desk.up_since_ns = clock.now_ns() if up else 0
        with mock.patch.object(desk.recovery, "_mark_old", looked.append):
            await desk.run(600.5)
        assert looks <= len(looked) <= looks + 1, "a call that ends wakes it"

    run_virtual(main)


def test_nothing_is_an_orphan_before_the_node_is_up() -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(clock)
        payment = desk.payment()
        desk.answers[payment.payment_hash] = IN_FLIGHT
        desk.recovery.replay(payment)
        desk.up_since_ns = 0
        await asyncio.sleep(100)
        await desk.connect()
        assert payment.mark.value == "" and payment.state is PaymentState.IN_FLIGHT

    run_virtual(main)
