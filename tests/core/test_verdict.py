"""What an answer means, over every combination of circumstances."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, fields, replace
from typing import Any

import pytest

from streamer.core import verdict as table
from streamer.core.verdict import (
    TABLE,
    Age,
    Circumstances,
    Gates,
    Ghost,
    History,
    Htlc,
    Verdict,
    Word,
    ghost_of,
    history_of,
    htlc_of,
    word_of,
)
from streamer.words.model import Answer, Kind, Mark, Payment
from tests.core.house import a_payment


@dataclass(slots=True, frozen=True, kw_only=True)
class So:
    """What may be seen, each by itself: more than can ever be so at once."""

    refused: bool
    ghost: bool
    haunted: bool
    may_resend: bool
    witness: bool
    closing: bool
    closed: bool
    partial: bool
    pending: bool
    down_since_send: bool
    steady: bool
    absent: bool
    long_open: bool


NAMES = [field.name for field in fields(So)]
ALL = [
    so
    for values in itertools.product((False, True), repeat=len(NAMES))
    if (so := So(**dict(zip(NAMES, values, strict=True)))).haunted or not so.ghost
]
CALM = dict.fromkeys(NAMES, False) | {"witness": True, "may_resend": True}


def circumstances(payment: Payment, answer: Answer, so: So) -> Circumstances:
    return Circumstances(
        word=word_of(payment, answer, so.refused),
        mark=payment.mark,
        ghost=ghost_of(so.haunted, so.ghost),
        history=history_of(witness=so.witness, closing=so.closing, gone=so.closed, away=so.partial),
        htlc=htlc_of(
            listed=so.pending,
            restarted=so.down_since_send,
            absent=so.absent,
            orphan=payment.mark is Mark.ORPHAN,
            steady=so.steady,
            closing=so.closing,
        ),
        age=Age.OLD if so.long_open else Age.YOUNG,
        gates=Gates.OPEN if so.may_resend else Gates.SHUT,
    )


def judge(payment: Payment, answer: Answer, so: So) -> Verdict:
    return table.judge(circumstances(payment, answer, so))


def payment(accepted: bool = False) -> Payment:
    return a_payment(fee_limit_msat=5, due_ns=0, planned_ns=0, accepted=accepted)


def verdict(kind: Kind, accepted: bool = False, **so: Any) -> Verdict:
    return judge(
        payment(accepted), Answer(kind), So(**(CALM | {"haunted": so.get("ghost", False)} | so))
    )


def every(kind: Kind, accepted: bool) -> list[tuple[So, Verdict]]:
    return [(so, judge(payment(accepted), Answer(kind), so)) for so in ALL]


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("accepted", [False, True])
def test_no_payment_fails_while_a_ghost_of_it_may_live(kind: Kind, accepted: bool) -> None:
    assert all(found is not Verdict.FAIL for so, found in every(kind, accepted) if so.ghost)


@pytest.mark.parametrize("accepted", [False, True])
def test_only_the_nodes_own_word_ends_a_payment(accepted: bool) -> None:
    for kind in Kind:
        found = {one for _, one in every(kind, accepted)}
        assert (Verdict.SETTLE in found) == (kind is Kind.SETTLED)
        assert kind in {Kind.FAILED, Kind.NOT_FOUND} or Verdict.FAIL not in found
        assert kind in {Kind.FAILED, Kind.NOT_FOUND} or Verdict.RESEND not in found
        assert kind is Kind.IN_FLIGHT or not found & {Verdict.HELD, Verdict.ORPHAN}
        assert kind in {Kind.FAILED, Kind.NOT_FOUND} or Verdict.LOST_SIGHT not in found


@pytest.mark.parametrize("kind", [Kind.LOST, Kind.DUPLICATE, Kind.REFUSED])
def test_what_says_nothing_decides_nothing(kind: Kind) -> None:
    assert {one for accepted in (False, True) for _, one in every(kind, accepted)} == {Verdict.WAIT}


def test_settled_is_settled_whatever_else_is_so() -> None:
    assert {one for accepted in (False, True) for _, one in every(Kind.SETTLED, accepted)} == {
        Verdict.SETTLE
    }


def test_accepted_and_not_found_is_always_lost_sight() -> None:
    assert {one for _, one in every(Kind.NOT_FOUND, True)} == {Verdict.LOST_SIGHT}


@pytest.mark.parametrize("accepted", [False, True])
def test_a_resend_passes_the_gates_and_has_a_witness(accepted: bool) -> None:
    for kind in Kind:
        for so, found in every(kind, accepted):
            if found is Verdict.RESEND:
                assert so.may_resend and so.ghost
                assert so.witness and not so.closing and not so.closed and not so.partial
                assert kind is Kind.FAILED or not accepted


def test_not_found_without_a_witness_or_after_a_channel_was_closed_is_lost_sight() -> None:
    for so, found in every(Kind.NOT_FOUND, False):
        suspicious = so.closing or so.closed or not so.witness
        if suspicious and (so.ghost or not so.refused):
            assert found is Verdict.LOST_SIGHT


def test_not_found_is_sent_again_held_or_final() -> None:
    assert verdict(Kind.NOT_FOUND, ghost=True) is Verdict.RESEND
    assert verdict(Kind.NOT_FOUND, ghost=True, may_resend=False) is Verdict.WAIT
    assert verdict(Kind.NOT_FOUND, may_resend=False) is Verdict.FAIL


def test_not_found_waits_for_the_channel_that_may_know_better() -> None:
    for so, found in every(Kind.NOT_FOUND, False):
        if so.partial and not so.refused:
            assert found in {Verdict.WAIT, Verdict.LOST_SIGHT}


def test_failed_is_final_unless_haunted_and_then_as_doubtful_as_not_found() -> None:
    """Put back to an old copy, a node may have paid it in what it lost, and failed it by the ghost;
    that it was accepted says nothing.
    """
    for so, found in every(Kind.FAILED, False) + every(Kind.FAILED, True):
        assert found is (
            judge(payment(), Answer(Kind.NOT_FOUND), replace(so, refused=False))
            if so.haunted
            else Verdict.FAIL
        )


def test_a_refusal_is_definite_without_a_ghost_even_without_a_witness() -> None:
    assert verdict(Kind.NOT_FOUND, refused=True, witness=False) is Verdict.FAIL
    assert verdict(Kind.NOT_FOUND, refused=True, ghost=True) is Verdict.RESEND
    assert verdict(Kind.NOT_FOUND, True, refused=True) is Verdict.LOST_SIGHT


def marked(mark: Mark) -> list[tuple[So, Verdict]]:
    """What is said of an IN_FLIGHT payment that was found to be so before."""
    before = payment(accepted=True)
    before.mark = mark
    return [(so, judge(before, Answer(Kind.IN_FLIGHT), so)) for so in ALL]


def test_an_orphan_has_no_htlc_at_a_steady_node_that_was_down_or_had_none_for_long() -> None:
    for so, found in every(Kind.IN_FLIGHT, True) + every(Kind.IN_FLIGHT, False):
        without = (so.down_since_send or so.absent) and not so.pending
        assert (found is Verdict.ORPHAN) == (without and so.steady and not so.closing)


def test_held_is_open_for_long_with_an_htlc() -> None:
    for so, found in every(Kind.IN_FLIGHT, True):
        if so.pending:
            assert found is (Verdict.HELD if so.long_open else Verdict.WAIT)
    assert verdict(Kind.IN_FLIGHT) is Verdict.WAIT


def test_an_orphan_stays_one_until_an_htlc_of_it_is_seen_whatever_a_later_process_knows() -> None:
    for so, found in marked(Mark.ORPHAN):
        with_htlc = Verdict.HELD if so.long_open else Verdict.WAIT
        assert found is (with_htlc if so.pending else Verdict.ORPHAN)


def test_nothing_stays_held_without_a_reason() -> None:
    for so, found in marked(Mark.HELD):
        if found not in {Verdict.HELD, Verdict.ORPHAN}:
            assert (found is Verdict.NOT_HELD) == (
                not so.pending and (so.down_since_send or so.absent)
            )
            assert found is Verdict.NOT_HELD or not so.long_open


def test_what_was_lost_sight_of_is_believed_nothing_but_that_it_settled() -> None:
    """Whatever else the node says of it is about a call that came after what it lost."""
    lost = payment()
    lost.mark = Mark.LOST_SIGHT
    for kind in (Kind.FAILED, Kind.NOT_FOUND, Kind.IN_FLIGHT):
        assert {judge(lost, Answer(kind), so) for so in ALL} == {Verdict.LOST_SIGHT}
    assert {judge(lost, Answer(Kind.SETTLED), so) for so in ALL} == {Verdict.SETTLE}


# -- the table by itself ------------------------------------------------------------------------


EVERYTHING = [
    Circumstances(
        word=word, mark=mark, ghost=ghost, history=history, htlc=htlc, age=age, gates=gates
    )
    for word, mark, ghost, history, htlc, age, gates in itertools.product(
        Word, Mark, Ghost, History, Htlc, Age, Gates
    )
]


def test_the_last_row_fits_always_and_none_is_named_twice() -> None:
    assert all(TABLE[-1].fits(so) for so in EVERYTHING)
    assert len({row.name for row in TABLE}) == len(TABLE)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_each_row_decides_something_that_the_rows_below_it_would_decide_otherwise(
    row: table.Row,
) -> None:
    """A row that could be left out is none."""
    mine = [so for so in EVERYTHING if table.row_of(so) is row]
    below = [
        next((other for other in TABLE if other is not row and other.fits(so)), None) for so in mine
    ]
    assert any(other is None or other.verdict is not row.verdict for other in below)
