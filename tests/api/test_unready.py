"""/readyz and gRPC's health follow whether a node can pay, whatever keeps it from that."""

from __future__ import annotations

import pytest

from streamer.words.reasons import Halt, Reason
from tests.api.house import House, in_house

HALTS = [Halt.HASH_COLLISION, Halt.CLOCK, Halt.NODE_CHANGED]


async def readiness(house: House) -> tuple[int, str]:
    answer = await house.http.get("/readyz")
    return answer.status_code, answer.text.strip()


@pytest.mark.parametrize("halt", HALTS)
def test_a_node_that_is_connected_and_stopped_cannot_pay(halt: Halt) -> None:
    async def test(house: House) -> None:
        assert await readiness(house) == (200, "ready")
        house.engine.switch.stop(halt, "see to it")
        assert house.engine.up and await readiness(house) == (503, "node payer: see to it")
        house.engine.switch.lift(halt)
        assert await readiness(house) == (200, "ready")

    in_house(test)


def test_a_node_whose_channels_are_away_cannot_pay() -> None:
    async def test(house: House) -> None:
        house.engine.link.blocked, house.engine.link.problem = (
            Reason.NODE_DOWN,
            "no channel is active",
        )
        assert await readiness(house) == (503, "node payer: no channel is active")

    in_house(test)


def test_of_the_daemon_the_halt_that_counts_is_named_and_while_it_ends_that() -> None:
    async def test(house: House) -> None:
        switch = house.engine.book.shared.switch
        switch.stop(Halt.OPERATOR, "by hand")
        switch.stop(Halt.STORE_FAILED, "the disk is full")
        assert await readiness(house) == (503, "STORE_FAILED: the disk is full")
        switch.lift(Halt.STORE_FAILED)
        assert await readiness(house) == (503, "OPERATOR: by hand")
        house.engine.stopping = True
        assert (await readiness(house))[1].startswith("STOPPING: ")

    in_house(test)
