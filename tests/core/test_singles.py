"""Single payments: a keysend has a hash of its own, an attempt to pay an invoice has the
invoice's.
"""

from __future__ import annotations

import hashlib
import itertools

import pytest

from streamer.core.payment import Event
from streamer.core.singles import LEAST_WAITING, Singles
from streamer.words.model import Answer, Facts, Kind, Mark, Payment, PaymentState, Request, Single
from streamer.words.reasons import Halt
from tests.core.house import MINUTE, PEER, T0, House, S

INVOICE = Single("pay_1", PEER, 7_000, 500, payment_hash=b"h" * 32, payment_request="lnbcrt70n1p")
PREIMAGE = b"p" * 32
OTHER = b"\x03" * 33


def begin(house: House, order: Single) -> Payment:
    facts = Facts()
    payment = house.book.single(order, house.now_ns, facts)
    assert payment is not None and facts.intents == [payment]
    house.commit(facts)
    return payment


def test_a_keysend_is_stamped_and_an_attempt_has_the_hash_of_its_invoice() -> None:
    house = House()
    keysend, attempt = begin(house, Single("pay_0", PEER, 1_000, 100)), begin(house, INVOICE)
    assert (keysend.payment_hash, keysend.records) == (
        hashlib.sha256(b"pay_0.0").digest(),
        b"records",
    )
    assert (attempt.payment_hash, attempt.payment_request, attempt.records) == (
        INVOICE.payment_hash,
        INVOICE.payment_request,
        b"",
    )
    assert (attempt.cltv_limit, attempt.timeout_seconds) == (
        house.limits.cltv_limit,
        house.limits.timeout_seconds,
    )
    assert house.book.budgets.spend_limit.reserved_msat == 1_100 + 7_500


def test_the_preimage_that_the_node_gave_is_kept_with_the_invoice_only() -> None:
    house = House()
    keysend, attempt = begin(house, Single("pay_0", PEER, 7_000, 100)), begin(house, INVOICE)
    for payment in (keysend, attempt):
        house.resolve(
            payment,
            Event.SETTLED,
            Answer(Kind.SETTLED, True, amount_msat=7_000, fee_msat=3, preimage=PREIMAGE),
        )
    assert (keysend.preimage, attempt.preimage) == (b"", PREIMAGE)
    assert PREIMAGE.hex() not in repr(attempt) and repr(PREIMAGE) not in repr(attempt)
    assert house.book.budgets.spend_limit.spent_msat == 14_006


def test_a_failed_attempt_that_settles_late_has_its_preimage_and_is_charged() -> None:
    house = House()
    attempt = begin(house, INVOICE)
    house.fail(attempt)
    assert house.book.budgets.spend_limit.reserved_msat == 0
    house.resolve(
        attempt,
        Event.SETTLED,
        Answer(Kind.SETTLED, True, amount_msat=7_000, fee_msat=3, preimage=PREIMAGE),
    )
    assert (attempt.state, attempt.preimage) == (PaymentState.SETTLED, PREIMAGE)
    assert house.book.budgets.spend_limit.spent_msat == 7_003


def test_an_attempt_beyond_the_spend_limit_is_not_made_and_stops_everything() -> None:
    house = House(spend_limit_msat=7_499)
    facts = Facts()
    assert house.book.single(INVOICE, house.now_ns, facts) is None
    assert not facts.intents and Halt.SPEND_LIMIT in house.switch.halts


def test_the_stamp_knows_owner_and_amount_and_its_preimage_is_kept_until_it_is_sent() -> None:
    house, asked = House(), list[tuple[object, str, int, int]]()

    def stamp(stream: object, owner: str, seq: int, amount_msat: int) -> tuple[bytes, bytes, bytes]:
        asked.append((stream, owner, seq, amount_msat))
        return b"h" * 32, b"records", PREIMAGE

    house.book._stamp = stamp
    keysend, attempt = begin(house, Single("pay_0", PEER, 1_000, 100)), begin(house, INVOICE)
    assert asked == [(None, "pay_0", 0, 1_000)]
    assert (keysend.preimage, attempt.preimage) == (PREIMAGE, b"")


def test_a_key_whose_budget_renews_may_pay_again_in_the_next_period() -> None:
    house = House()
    house.add_key(1, 1_100, MINUTE)
    begin(house, Single("pay_0", PEER, 1_000, 100, api_key=1))
    assert (
        house.book.single(Single("pay_1", PEER, 1_000, 100, api_key=1), house.now_ns, Facts())
        is None
    )
    house.at(60)
    assert begin(house, Single("pay_2", PEER, 1_000, 100, api_key=1)).key_period_ns == house.now_ns


def test_orders_and_streams_go_by_since_when_they_wait_a_full_destination_holds_up_none() -> None:
    house = House(per_destination=2)
    house.book.slots.prove(OTHER, 2)
    house.open(destination=OTHER)
    for number, peer in enumerate((PEER, PEER, PEER, OTHER)):
        order = Single(f"pay_{number}", peer, 1_000, 100)
        assert house.book.singles.add(order, [Request("r", order.owner, b"")], T0 + 5 * S, 10)
    house.at(6)
    assert house.book.next_ns() == 0
    facts = Facts()
    planned = house.book.plan(house.now_ns, 10, facts)
    house.commit(facts)
    assert [payment.owner for payment in planned] == ["st_1", "pay_0", "pay_1", "pay_3"]
    assert facts.intents == planned and [request.resource_id for request in facts.requests] == [
        "pay_0",
        "pay_1",
        "pay_3",
    ]
    assert (
        len(house.book.singles) == 1 and "pay_2" in house.book.singles and house.book.next_ns() != 0
    )
    house.settle(planned[1])
    assert [payment.owner for payment in house.plan()] == ["pay_2"] and not house.book.singles


def test_as_many_wait_as_a_second_takes_and_half_of_them_for_one_key() -> None:
    singles = Singles()

    def fill(api_key: int, per_second: int) -> int:
        return sum(
            singles.add(
                Single(f"pay_{api_key}.{number}", PEER, 1, 1, api_key=api_key), [], 0, per_second
            )
            for number in range(100)
        )

    assert (fill(1, 30), fill(2, 30), fill(3, 30)) == (15, 15, 0)
    singles.remove("pay_1.0")
    singles.remove("pay_1.0")
    assert (fill(2, 30), fill(1, 30), len(singles)) == (0, 1, 30)
    singles = Singles()
    assert (fill(1, 1), fill(2, 1)) == (LEAST_WAITING // 2, LEAST_WAITING // 2)


@pytest.mark.parametrize("per_second", [30, 31])
def test_what_waits_no_more_makes_room_for_one_of_its_key_and_never_for_more_than_half(
    per_second: int,
) -> None:
    singles, numbers = Singles(), itertools.count()

    def fill() -> int:
        return sum(
            singles.add(Single(f"pay_{next(numbers)}", PEER, 1, 1, api_key=1), [], 0, per_second)
            for _ in range(100)
        )

    assert fill() == 15
    singles.remove("pay_0")
    assert (fill(), len(singles)) == (1, 15)


def wait(house: House, order: Single, due_ns: int) -> None:
    assert house.book.singles.add(order, [], due_ns, 10)


def test_whose_receiver_holds_is_refused_when_its_turn_comes_and_the_others_are_not() -> None:
    house = House()
    held = begin(house, Single("pay_0", PEER, 1_000, 100))
    house.mark(held, Mark.HELD)
    wait(house, Single("pay_1", PEER, 1_000, 100), T0)
    wait(house, Single("pay_2", OTHER, 1_000, 100), T0)
    assert [payment.owner for payment in house.plan()] == ["pay_2"]
    assert not house.book.singles


def test_what_was_due_first_goes_first_a_single_payment_as_a_stream() -> None:
    house = House()
    early = house.open()
    house.now_ns += 5 * S
    wait(house, Single("pay_1", OTHER, 1_000, 100), house.now_ns - 1)
    late = house.open(start_time_ns=house.now_ns)
    house.now_ns += S
    assert [payment.owner for payment in house.plan(1)] == [early.id]
    assert [payment.owner for payment in house.plan(1)] == ["pay_1"]
    assert [payment.owner for payment in house.plan(1)] == [late.id]


def test_what_belongs_to_a_key_that_ended_is_not_sent() -> None:
    house = House()
    key = house.add_key(7, 10_000)
    house.add_key(8, 10_000)
    payments = [
        begin(house, Single(f"pay_{number}", PEER, 1_000, 100, api_key=number))
        for number in (7, 8, 0)
    ]
    assert all(house.book.may_send(payment, house.now_ns) for payment in payments)
    key.expire_time_ns = house.now_ns + S
    assert [house.book.may_send(payment, house.now_ns + S - 1) for payment in payments] == [
        True,
        True,
        True,
    ]
    assert [house.book.may_send(payment, house.now_ns + S) for payment in payments] == [
        False,
        True,
        True,
    ]
