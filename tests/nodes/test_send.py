"""What send and track make of everything that a server can answer."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import ParseDict

from streamer._proto.lnrpc import lightning_pb2 as ln
from streamer._proto.routerrpc import router_pb2
from streamer.core.keysend import PREIMAGE_TYPE
from streamer.nodes.lnd import LndNode
from streamer.ports import Answer, Kind
from streamer.words.reasons import Reason
from tests.nodes.tiny import PREIMAGE, PUBKEY, Answers, TinyLnd, intent

Play = Callable[..., None]
Code = grpc.StatusCode
UNHEARD_OF = ParseDict({"status": 77}, ln.Payment())
FLYING = ln.Payment(status=ln.Payment.IN_FLIGHT, value_msat=5000, payment_index=9)
WAVERING = ln.Payment(
    status=ln.Payment.IN_FLIGHT,
    value_msat=5000,
    payment_index=9,
    failure_reason=ln.FAILURE_REASON_TIMEOUT,
)
SETTLED = ln.Payment(
    status=ln.Payment.SUCCEEDED,
    value_msat=5000,
    fee_msat=3,
    payment_index=9,
    payment_preimage=PREIMAGE.hex(),
)


def failed(reason: Any) -> ln.Payment:
    return ln.Payment(
        status=ln.Payment.FAILED, value_msat=5000, failure_reason=reason, payment_index=9
    )


def doubt(text: str) -> Answer:
    """Lost, and perhaps still alive at the node."""
    return Answer(Kind.LOST, False, False, message=text)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([FLYING, SETTLED], Answer(Kind.SETTLED, True, True, 5000, 3, index=9, preimage=PREIMAGE)),
        (
            [WAVERING, SETTLED],
            Answer(Kind.SETTLED, True, True, 5000, 3, index=9, preimage=PREIMAGE),
        ),
        (
            [SETTLED, (Code.UNKNOWN, "after the end")],
            Answer(Kind.SETTLED, True, True, 5000, 3, index=9, preimage=PREIMAGE),
        ),
        ([FLYING], Answer(Kind.LOST, True, True, message="lnd ended the call without a result")),
        ([], Answer(Kind.LOST, False, False, message="lnd ended the call without a result")),
        (
            [UNHEARD_OF],
            Answer(Kind.LOST, True, True, message="lnd ended the call without a result"),
        ),
        ([FLYING, (Code.UNKNOWN, "no more")], Answer(Kind.LOST, True, True, message="no more")),
        ([(Code.UNAVAILABLE, "stopping")], doubt("stopping")),
        ([(Code.CANCELLED, "gone")], doubt("gone")),
        ([(Code.DEADLINE_EXCEEDED, "late")], doubt("late")),
        (
            [(Code.INTERNAL, "Received RST_STREAM with error code 2")],
            doubt("Received RST_STREAM with error code 2"),
        ),
        (
            [(Code.UNKNOWN, "Received http2 header with status: 500")],
            doubt("Received http2 header with status: 500"),
        ),
        ([(Code.RESOURCE_EXHAUSTED, "calm")], doubt("calm")),
        (
            [FLYING, (Code.UNAVAILABLE, "stopping")],
            Answer(Kind.LOST, True, True, message="stopping"),
        ),
        (
            [(Code.ALREADY_EXISTS, "invoice is already paid")],
            Answer(Kind.DUPLICATE, message="invoice is already paid"),
        ),
        (
            [(Code.UNKNOWN, "self-payments not allowed")],
            Answer(Kind.REFUSED, message="self-payments not allowed"),
        ),
        ([(Code.INVALID_ARGUMENT, "no")], Answer(Kind.REFUSED, message="no")),
        (
            [FLYING, failed(1)],
            Answer(
                Kind.FAILED, True, True, 5000, reason=Reason.TIMEOUT, message="TIMEOUT", index=9
            ),
        ),
        (
            [failed(2)],
            Answer(
                Kind.FAILED, True, True, 5000, reason=Reason.NO_ROUTE, message="NO_ROUTE", index=9
            ),
        ),
        (
            [failed(3)],
            Answer(Kind.FAILED, True, True, 5000, reason=Reason.TIMEOUT, message="ERROR", index=9),
        ),
        (
            [failed(4)],
            Answer(
                Kind.FAILED,
                True,
                True,
                5000,
                reason=Reason.RECEIVER_REJECTED,
                message="INCORRECT_PAYMENT_DETAILS",
                index=9,
            ),
        ),
        (
            [failed(5)],
            Answer(
                Kind.FAILED,
                True,
                True,
                5000,
                reason=Reason.NO_LIQUIDITY,
                message="INSUFFICIENT_BALANCE",
                index=9,
            ),
        ),
        (
            [failed(6)],
            Answer(
                Kind.FAILED, True, True, 5000, reason=Reason.TIMEOUT, message="CANCELED", index=9
            ),
        ),
        (
            [failed(99)],
            Answer(
                Kind.FAILED,
                True,
                True,
                5000,
                reason=Reason.TIMEOUT,
                message="failure reason 99",
                index=9,
            ),
        ),
    ],
)
def test_send(play: Play, answers: Answers, expected: Answer) -> None:
    async def scene(lnd: TinyLnd, node: LndNode) -> None:
        lnd.payment = answers
        assert await node.send(intent(), PREIMAGE, 10) == expected
        assert len(lnd.sent) == 1

    play(scene)


@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        ([SETTLED], Kind.SETTLED),
        ([failed(2)], Kind.FAILED),
        ([FLYING, asyncio.Event()], Kind.IN_FLIGHT),
        ([WAVERING, asyncio.Event()], Kind.IN_FLIGHT),
        ([ln.Payment(status=ln.Payment.INITIATED), asyncio.Event()], Kind.IN_FLIGHT),
        ([(Code.NOT_FOUND, "payment isn't initiated")], Kind.NOT_FOUND),
        ([(Code.UNKNOWN, "the RPC server is in the process of starting up")], Kind.LOST),
        ([(Code.UNAVAILABLE, "stopping")], Kind.LOST),
        ([asyncio.Event()], Kind.LOST),
    ],
)
def test_track(play: Play, answers: Answers, kind: Kind) -> None:
    async def scene(lnd: TinyLnd, node: LndNode) -> None:
        lnd.tracked = answers
        assert (await node.track(b"h" * 32, 1)).kind is kind

    play(scene)


def test_the_request_holds_what_the_intent_says(play: Play) -> None:
    async def scene(lnd: TinyLnd, node: LndNode) -> None:
        lnd.payment = [SETTLED]
        await node.send(intent(), PREIMAGE, 10)
        asked = router_pb2.SendPaymentRequest.FromString(lnd.sent[0])
        assert asked == router_pb2.SendPaymentRequest(
            dest=PUBKEY,
            payment_hash=hashlib.sha256(PREIMAGE).digest(),
            amt_msat=5000,
            fee_limit_msat=1000,
            cltv_limit=288,
            timeout_seconds=30,
            max_parts=1,
            dest_features=[ln.TLV_ONION_OPT],
            dest_custom_records={65537: b"hello", PREIMAGE_TYPE: PREIMAGE},
        )

    play(scene)


@pytest.mark.parametrize(
    "changes",
    [
        {"amount_msat": 0},
        {"amount_msat": -1},
        {"fee_limit_msat": -1},
        {"timeout_seconds": 0},
        {"cltv_limit": 0},
        {"records": b"\x01"},
        {"amount_msat": 2**63},
    ],
)
def test_an_intent_that_is_no_payment_is_refused_here(play: Play, changes: dict[str, Any]) -> None:
    async def scene(lnd: TinyLnd, node: LndNode) -> None:
        answer = await node.send(intent(**changes), PREIMAGE, 10)
        assert answer.kind is Kind.REFUSED
        assert answer.message.startswith("not sent: ")
        assert lnd.sent == []

    play(scene)


def test_patience_ends_the_wait_and_leaves_a_ghost(play: Play) -> None:
    async def scene(lnd: TinyLnd, node: LndNode) -> None:
        lnd.payment = [asyncio.Event()]
        answer = await node.send(intent(), PREIMAGE, 0.2)
        assert (answer.kind, answer.accepted, answer.closed) == (Kind.LOST, False, False)

    play(scene)


def test_cancelling_the_caller_cancels(play: Play) -> None:
    async def scene(lnd: TinyLnd, node: LndNode) -> None:
        lnd.payment = [FLYING, asyncio.Event()]
        task = asyncio.create_task(node.send(intent(), PREIMAGE, 10))
        while not lnd.sent:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    play(scene)


def test_closing_the_node_ends_a_call_in_flight_as_lost(play: Play) -> None:
    async def scene(lnd: TinyLnd, node: LndNode) -> None:
        lnd.payment = [asyncio.Event()]
        task = asyncio.create_task(node.send(intent(), PREIMAGE, 10))
        while not lnd.sent:
            await asyncio.sleep(0)
        await node.close()
        answer = await task
        assert (answer.kind, answer.accepted, answer.closed) == (Kind.LOST, False, False)

    play(scene)


def test_an_answer_that_cannot_be_read_is_doubt(play: Play) -> None:
    async def scene(lnd: TinyLnd, node: LndNode) -> None:
        lnd.payment = [b"\xff\xff\xff"]
        answer = await node.send(intent(), PREIMAGE, 10)
        assert (answer.kind, answer.accepted) == (Kind.LOST, True)

    play(scene)
